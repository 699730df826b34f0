"""Every label and annotation name that mrc writes or reads."""

MODEL = "mrc.dev/model"
VERSION = "mrc.dev/version"
ENVIRONMENT = "mrc.dev/environment"
TEAM = "mrc.dev/team"

MANAGED_BY = {"app.kubernetes.io/managed-by": "mrc"}

# Istio takes the workload's name and version for its metrics from these two.
ISTIO_NAME = "service.istio.io/canonical-name"
ISTIO_REVISION = "service.istio.io/canonical-revision"

# How kube-state-metrics spells the pod labels above (`--metric-labels-allowlist=pods=[mrc.dev/model,mrc.dev/version]`).
KSM_MODEL = "label_mrc_dev_model"
KSM_VERSION = "label_mrc_dev_version"

# Labels of the recorded series and of alerts.
SERIES_MODEL = "model"
SERIES_VERSION = "version"
SERIES_ENVIRONMENT = "environment"
SERIES_GUARDRAIL = "guardrail"
ALERT_TIER = "tier"
ALERT_ACTION = "mrc_action"
ALERT_TEAM = "team"
RESERVED = frozenset(
    {
        "alertname",
        SERIES_MODEL,
        SERIES_VERSION,
        SERIES_ENVIRONMENT,
        SERIES_GUARDRAIL,
        ALERT_TIER,
        ALERT_ACTION,
        ALERT_TEAM,
    }
)
