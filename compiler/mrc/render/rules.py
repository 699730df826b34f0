"""Prometheus rules: the recorded series of each guardrail, and the alerts on its verdict.

Once as a PrometheusRule, once as a plain rule file; and the PodMonitor that gives every series model and version.
"""

from typing import Any

from mrc import labels
from mrc.artifact import Artifact
from mrc.catalogue import rollouts
from mrc.guardrail import (
    LIMIT,
    SAMPLES,
    VALUE,
    VERDICT,
    Absence,
    Guardrail,
    identity,
    limit_in_words,
    recorded,
    series_of,
    windows_in_words,
)
from mrc.link import Release
from mrc.promql import indent
from mrc.render.common import rule_labels
from mrc.render.common import selector as pod_selector
from mrc.render.engine import Raw, fill
from mrc.rollouts import active
from mrc.schema.units import Duration

WORSE = "ModelWorse"
"""The version that the policy serves is worse. `mrc_action` is the guardrail's action."""
STABLE_WORSE = "StableModelWorse"
"""Another version that still has traffic is worse: look for a cause outside the model first. It pages."""
TELEMETRY_MISSING = "ModelTelemetryMissing"
"""The series of a guardrail are gone, so that nothing watches the version for it. It pages, or asks for the rollback
where the guardrail says `onMissing: rollback`."""
STILL_ABORTED = "RolloutStillAborted"
"""Argo aborted a version, and after the time of a sync git still names it. It pages with the manual way, and needs
nothing but Argo's own metrics: no reconciler. Without a guardrail there is no tier."""
_LONGEST_GAP = Duration.parse("10m")
_PUSHED = Duration.parse("2m")  # the abort, its scrape, the commit, and another try of the push
_HUMANIZE = {"ratio": "humanizePercentage", "seconds": "humanizeDuration", "bytes": "humanize1024"}


def render(release: Release) -> list[Artifact]:
    """rules.yaml, prometheusrule.yaml and podmonitor.yaml."""
    environment = release.environment.spec
    groups = _groups(release).rstrip("\n")
    named = {"model": release.model, "namespace": environment.namespace}
    return [
        Artifact(
            f"{release.folder}/rules.yaml",
            fill("prometheus/rules.yaml", model=release.model, groups=Raw(groups)),
        ),
        Artifact(
            f"{release.folder}/prometheusrule.yaml",
            fill(
                "prometheus/prometheusrule.yaml",
                **named,
                labels=rule_labels(release),
                groups=Raw(indent(groups)),
            ),
        ),
        *_podmonitor(release),
    ]


def _podmonitor(release: Release) -> list[Artifact]:
    """podmonitor.yaml: every place where a served version shows metrics; nothing where none does."""
    environment = release.environment.spec
    versions = [release.version, *([release.fallback] if release.fallback is not None else [])]
    places = {(each.server.metrics.port, each.server.metrics.path) for each in versions if each.server.metrics}
    if not places:
        return []
    text = fill(
        "prometheus/podmonitor.yaml",
        model=release.model,
        namespace=environment.namespace,
        labels=rule_labels(release),
        selector=pod_selector(release),
        interval=str(environment.prometheus.scrape),
        endpoints=[{"port": port, "path": path} for port, path in sorted(places)],
        relabelings=[
            {"source": "__meta_kubernetes_pod_label_mrc_dev_model", "target": "model"},
            {"source": "__meta_kubernetes_pod_label_mrc_dev_version", "target": "version"},
        ],
    )
    return [Artifact(f"{release.folder}/podmonitor.yaml", text)]


def _groups(release: Release) -> str:
    guardrails = active(release)
    return fill(
        "prometheus/groups.yaml",
        name=f"mrc:{release.environment_name}:{release.model}",
        interval=str(release.environment.spec.prometheus.evaluate),
        guardrails=[_recording(release, guardrail) for guardrail in guardrails],
        alerts=[
            *(alert for guardrail in guardrails for alert in alerts(release, guardrail)),
            _still_aborted(release),
        ],
    )


def _recording(release: Release, guardrail: Guardrail) -> dict[str, Any]:
    watched = release.watched
    four = recorded(guardrail, watched)
    rules = [(SAMPLES, four.samples), (VALUE, four.value), (LIMIT, four.limit), (VERDICT, four.verdict)]
    return {
        "says": f"{guardrail.name}: {guardrail.title}, {limit_in_words(guardrail)}, over {windows_in_words(guardrail)}",
        "labels": identity(watched, guardrail),
        "rules": [{"record": name, "expr": expression} for name, expression in rules],
    }


def alerts(release: Release, guardrail: Guardrail) -> list[dict[str, Any]]:
    """The alerts of one guardrail, as name, expression, wait, labels and annotations."""
    found = [_worse(release, guardrail)]
    if not guardrail.only_served:
        found.append(_stable_worse(release, guardrail))
        if guardrail.on_missing != "ignore":
            found.append(_telemetry_missing(release, guardrail))
    return found


def _worse(release: Release, guardrail: Guardrail) -> dict[str, Any]:
    served = series_of(VERDICT, release.watched, guardrail, release.version.number)
    # A version that comes back was silent while it was warm: absence must last before it counts.
    wait = str(guardrail.window) if isinstance(guardrail.comparison, Absence) else None
    return {
        "name": WORSE,
        "expr": f"{served} == 1",
        "wait": wait,
        "labels": _labels(release, guardrail, guardrail.action),
        "annotations": _annotations(release, guardrail, "is worse", _what_to_do(release, guardrail)),
    }


def _stable_worse(release: Release, guardrail: Guardrail) -> dict[str, Any]:
    """While a new version is tried, the old one still carries traffic: somebody must hear when it fails too."""
    every = series_of(VERDICT, release.watched, guardrail)
    others = f'{every[:-1]},version!="{release.version.number}"}}'
    advice = "It is not the version that the policy serves: look for a cause outside the model first."
    return {
        "name": STABLE_WORSE,
        "expr": f"{others} == 1",
        "wait": None,
        "labels": _labels(release, guardrail, "page"),
        "annotations": _annotations(release, guardrail, "is worse, and it is not the new one", advice),
    }


def _telemetry_missing(release: Release, guardrail: Guardrail) -> dict[str, Any]:
    samples = series_of(SAMPLES, release.watched, guardrail, release.version.number)
    action = guardrail.action if guardrail.on_missing == "rollback" else "page"
    advice = "Nothing watches this version for it until the series come back. Broken telemetry is not a bad model."
    return {
        "name": TELEMETRY_MISSING,
        "expr": f"absent({samples})",
        "wait": str(telemetry_wait(guardrail)),
        "labels": _labels(release, guardrail, action),
        "annotations": _annotations(release, guardrail, "cannot be judged: its series are gone", advice, value=False),
    }


def _still_aborted(release: Release) -> dict[str, Any]:
    """Traffic is safe and git is not: the next edit would start the bad version again."""
    where, folder = f"{release.model} in {release.environment_name}", f"rendered/{release.environment_name}"
    namespace, wait = release.environment.spec.namespace, aborted_wait(release)
    lines = [
        f"Argo Rollouts has aborted a version, and {wait} later git still names it: the next edit of the Rollout "
        "starts it again. Do the reconciler and the syncer run?"
    ]
    if release.fallback is not None:
        lines.append(
            f"By hand: mrc rollback {release.model} -e {release.environment_name} --reason ..., commit, push, then: "
            f"kubectl apply -k {folder}/{release.model}."
        )
    else:
        lines.append(f"What aborted it: kubectl argo rollouts get rollout {release.model} -n {namespace}.")
    return {
        "name": STILL_ABORTED,
        "expr": rollouts.aborted(namespace, release.model),
        "wait": str(wait),
        "labels": {
            **{name: literal(text) for name, text in sorted(release.environment.spec.alerts.labels.items())},
            labels.SERIES_ENVIRONMENT: release.environment_name,
            labels.SERIES_MODEL: release.model,
            labels.ALERT_ACTION: "page",
            labels.ALERT_TEAM: release.team,
        },
        "annotations": {
            "summary": f"{where} stays aborted, and git still names the bad version",
            "description": " ".join(lines),
            **_runbook(release),
        },
    }


def aborted_wait(release: Release) -> Duration:
    """How long a Rollout may stay aborted: a sync, and what is before it."""
    return Duration(release.environment.spec.delays.sync + _PUSHED)


def telemetry_wait(guardrail: Guardrail) -> Duration:
    """How long series may be gone before somebody is told."""
    return max(guardrail.window, _LONGEST_GAP)


def _labels(release: Release, guardrail: Guardrail, action: str) -> dict[str, str]:
    return {
        **{name: literal(text) for name, text in sorted(release.environment.spec.alerts.labels.items())},
        labels.SERIES_ENVIRONMENT: release.environment_name,
        labels.SERIES_GUARDRAIL: guardrail.name,
        labels.SERIES_MODEL: release.model,
        labels.ALERT_ACTION: action,
        labels.ALERT_TEAM: release.team,
        labels.ALERT_TIER: guardrail.tier,
    }


def literal(text: str) -> str:
    """Text that Prometheus, which expands labels and annotations of alerts as templates, leaves as it is."""
    return text.replace("{{", '{{"{{"}}')


def _what_to_do(release: Release, guardrail: Guardrail) -> str:
    if guardrail.action != "rollback" or release.fallback is None:
        return "Nothing happens by itself: a person decides."
    command = f"mrc rollback {release.model} -e {release.environment_name} --reason ..."
    return f"Back to version {release.fallback.number} by hand: {command}, commit, sync."


def _annotations(
    release: Release, guardrail: Guardrail, what: str, advice: str, *, value: bool = True
) -> dict[str, str]:
    """Alertmanager's texts. The braces are Prometheus' templates; every name in them matches a strict pattern."""
    where = f"{release.model} {{{{ $labels.version }}}} in {release.environment_name}"
    what_is_worse = f"{limit_in_words(guardrail)}, over {windows_in_words(guardrail)}"
    lines = [literal(f"{guardrail.title[0].upper()}{guardrail.title[1:]}: {what_is_worse}.")]
    if value:
        lines.append(f"Now: {_now(release, guardrail)}.")
    found = {
        "summary": f"{where} {what}: {guardrail.name}",
        "description": " ".join([*lines, advice]),
    }
    return found | _runbook(release)


def _runbook(release: Release) -> dict[str, str]:
    runbooks = release.environment.spec.alerts.runbooks
    if runbooks is None:
        return {}
    return {"runbook_url": f"{runbooks.rstrip('/')}/{release.environment_name}/{release.model}/RUNBOOK.md"}


def _now(release: Release, guardrail: Guardrail) -> str:
    query = series_of(VALUE, release.watched, guardrail, "%s")
    humanize = _HUMANIZE.get(guardrail.unit, "humanize")
    return (
        f"{{{{ with printf `{query}` $labels.version | query }}}}{{{{ . | first | value | {humanize} }}}}{{{{ end }}}}"
    )
