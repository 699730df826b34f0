"""The AnalysisTemplates: during the rollout Argo reads the same verdict as the alerts.

A canary has one that runs behind its steps, and one of a single measurement for the gates between them. A blue-green
rollout has two of a fixed length: before the switch, when no user has met the new version, and after it.
Rules that their schema does not say: https://argo-rollouts.readthedocs.io/en/stable/features/analysis/
"""

from typing import Any, Literal

from mrc.artifact import Artifact
from mrc.coverage import filling, first_asked
from mrc.guardrail import VERDICT, Guardrail, limit_in_words, series_of, windows_in_words
from mrc.link import Release
from mrc.render.common import object_labels
from mrc.render.engine import fill
from mrc.rollouts import aborting
from mrc.schema.units import Duration

Phase = Literal["gate", "preview", "bake"]
GATE: Phase = "gate"
PREVIEW: Phase = "preview"
BAKE: Phase = "bake"

# An empty result makes `result[0]` an Error, hence the length; neither condition true is Inconclusive, a pause.
_FINE = "len(result) > 0 && result[0] == 0"
_FINE_OR_NOTHING = "len(result) == 0 || result[0] == 0"
_WORSE = "len(result) > 0 && result[0] == 1"
_MISSING_IS_WORSE = "len(result) == 0 || result[0] == 1"
_CONDITIONS = {
    "pause": (_FINE, _WORSE),
    "rollback": (_FINE, _MISSING_IS_WORSE),
    "ignore": (_FINE_OR_NOTHING, _WORSE),
}


def template_name(release: Release, phase: Phase | None = None) -> str:
    """What the AnalysisTemplate of a phase is called; of the canary's steps without one."""
    return release.model if phase is None else f"{release.model}-{phase}"


def render(release: Release) -> list[Artifact]:
    """analysis.yaml with a metric for each guardrail that rolls back; nothing where none does."""
    guardrails = aborting(release)
    if not guardrails:
        return []
    text = fill(
        "argo/analysis.yaml",
        model=release.model,
        namespace=release.environment.spec.namespace,
        labels=object_labels(release),
        address=release.environment.spec.prometheus.address,
        templates=[
            {
                "name": template_name(release, phase),
                "metrics": [_metric(release, guardrail, phase, length) for guardrail in guardrails],
            }
            for phase, length in _phases(release)
        ],
    )
    return [Artifact(f"{release.folder}/analysis.yaml", text)]


def _phases(release: Release) -> list[tuple[Phase | None, Duration | None]]:
    blue_green = release.policy.blue_green
    if blue_green is None:
        return [(None, None), (GATE, Duration(0))]
    found: list[tuple[Phase | None, Duration | None]] = [(PREVIEW, blue_green.preview.for_)]
    return [*found, (BAKE, release.policy.bake)] if release.policy.bake else found


def _metric(release: Release, guardrail: Guardrail, phase: Phase | None, length: Duration | None) -> dict[str, Any]:
    prometheus = release.environment.spec.prometheus
    success, failure = _CONDITIONS[guardrail.on_missing]
    if phase == GATE:
        # What cannot be told is the business of the analysis behind the steps: while that is undecided, no gate opens.
        success, failure = _FINE_OR_NOTHING, _WORSE
    elif phase is not None and not guardrail.of_pods and (phase == PREVIEW or guardrail.compares):
        # Nobody sends requests to a preview unless somebody tests it, nor to the old side after the switch.
        success, failure = _FINE_OR_NOTHING, _WORSE
    interval = prometheus.evaluate.seconds
    # Undecided while the first window fills, and for as long again over the whole rollout.
    undecided = filling(release, guardrail).seconds
    delay = first_asked(release, guardrail).seconds if failure == _MISSING_IS_WORSE else 0
    if phase is None and guardrail.compares and not guardrail.of_pods:
        undecided += release.policy.bake.seconds  # in the bake the stable version answers nothing
    limit, count = -(-undecided // interval), None
    if length is not None:
        # One more than intervals: the first measurement comes at once. Undecided throughout must not count as fine.
        count = max(1, -(-(length.seconds - delay) // interval) + 1)
        limit = min(limit, count - 1)
    return {
        "name": guardrail.name,
        "says": f"{guardrail.name}: {limit_in_words(guardrail)}, over {windows_in_words(guardrail)}",
        "interval": f"{interval}s",
        "initial_delay": f"{delay}s" if delay else None,
        "count": count,
        "inconclusive_limit": limit,
        "success": success,
        "failure": failure,
        "query": series_of(VERDICT, release.watched, guardrail, "{{args.version}}"),
    }
