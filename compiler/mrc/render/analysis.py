"""The AnalysisTemplate: during the rollout Argo reads the same verdict as the alerts.

Rules that its schema does not say: https://argo-rollouts.readthedocs.io/en/stable/features/analysis/
"""

from typing import Any

from mrc.guardrail import VERDICT, Guardrail, identity, limit_in_words
from mrc.link import Release
from mrc.promql import selector
from mrc.render.artifact import Artifact
from mrc.render.common import object_labels
from mrc.render.engine import fill
from mrc.rollouts import aborting

# An empty result makes `result[0]` an Error, hence the length; neither condition true is Inconclusive, a pause.
_FINE = "len(result) > 0 && result[0] == 0"
_WORSE = "len(result) > 0 && result[0] == 1"
_CONDITIONS = {
    "pause": (_FINE, _WORSE),
    "rollback": (_FINE, "len(result) == 0 || result[0] == 1"),
    "ignore": ("len(result) == 0 || result[0] == 0", _WORSE),
}


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
        metrics=[_metric(release, guardrail) for guardrail in guardrails],
    )
    return [Artifact(f"{release.folder}/analysis.yaml", text)]


def _metric(release: Release, guardrail: Guardrail) -> dict[str, Any]:
    prometheus = release.environment.spec.prometheus
    success, failure = _CONDITIONS[guardrail.on_missing]
    interval = prometheus.evaluate.seconds
    found = identity(release.watched, guardrail)
    # Undecided while the first window fills, and for as long again over the whole rollout.
    undecided = 2 * guardrail.window.seconds + prometheus.scrape.seconds + prometheus.evaluate.seconds
    return {
        "name": guardrail.name,
        "says": f"{guardrail.name}: {limit_in_words(guardrail)}, over {guardrail.window}",
        "interval": f"{interval}s",
        "inconclusive_limit": -(-undecided // interval),
        "success": success,
        "failure": failure,
        "query": selector(VERDICT, {**found, "version": "{{args.version}}"}),
    }
