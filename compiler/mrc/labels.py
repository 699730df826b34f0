"""Every label and annotation name that mrc writes or reads."""

MODEL = "mrc.dev/model"
"""On every object and pod: the model."""
VERSION = "mrc.dev/version"
"""On every pod: the version that it serves."""
ENVIRONMENT = "mrc.dev/environment"
"""On every object: the environment."""
TEAM = "mrc.dev/team"
"""On every object: the team that owns the policy."""

MANAGED_BY = {"app.kubernetes.io/managed-by": "mrc"}
"""On every object and pod, with the value `mrc`."""

ISTIO_NAME = "service.istio.io/canonical-name"
"""On every pod: the model, which Istio takes for its metrics."""
ISTIO_REVISION = "service.istio.io/canonical-revision"
"""On every pod: the version, which Istio takes for its metrics."""

# How kube-state-metrics spells the pod labels above (`--metric-labels-allowlist=pods=[mrc.dev/model,mrc.dev/version]`).
KSM_MODEL = "label_mrc_dev_model"
KSM_VERSION = "label_mrc_dev_version"

SERIES_MODEL = "model"
"""On recorded series and alerts: the model."""
SERIES_VERSION = "version"
"""On recorded series and alerts: the version that was measured."""
SERIES_ENVIRONMENT = "environment"
"""On recorded series and alerts: the environment."""
SERIES_GUARDRAIL = "guardrail"
"""On recorded series and alerts: the guardrail, as the policy names it."""
ALERT_TIER = "tier"
"""On alerts: the guardrail's tier, `immediate`, `short` or `trend`."""
ALERT_ACTION = "mrc_action"
"""On alerts: what is asked for, `rollback`, `page` or `ticket`. Alertmanager routes by it."""
ALERT_TEAM = "team"
"""On alerts: the team that owns the policy."""
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
