"""The Rollout: its strategy, what it keeps to go back to, and the pod of the version.

What makes going back a routing change: https://argo-rollouts.readthedocs.io/en/stable/features/rollback/
"""

from mrc.artifact import Artifact
from mrc.link import Release
from mrc.promql import indent
from mrc.render import bluegreen, canary, pod
from mrc.render.common import object_labels, selector
from mrc.render.engine import Raw, fill
from mrc.timing import fetching

HISTORY = 10  # ReplicaSets that Argo keeps; more than any rollback window needs


def render(release: Release, *, analysed: bool) -> list[Artifact]:
    """rollout.yaml; `analysed` says whether there is an AnalysisTemplate to name."""
    environment, version = release.environment.spec, release.version
    by_steps = release.policy.blue_green is None
    strategy = canary.strategy if by_steps else bluegreen.strategy
    retained = int(environment.limits.retained)
    text = fill(
        "argo/rollout.yaml",
        model=release.model,
        namespace=environment.namespace,
        labels=object_labels(release),
        replicas=release.policy.replicas,
        selector=selector(release),
        revision_history_limit=max(HISTORY, retained),
        # A blue-green return to what is warm skips its analysis without a window; with one, a return to what is cold
        # waits for ever for an analysis that Argo skipped.
        rollback_revisions=retained if by_steps else None,
        # Fetching a large bundle is no progress to Argo, which would abort a version that is only just being fetched.
        progress_deadline_seconds=fetching(release, version).seconds + version.object.spec.startup.seconds + 60,
        strategy=Raw(indent(strategy(release, analysed=analysed).rstrip("\n"), 4)),
        pod=Raw(indent(pod.template(release, version).rstrip("\n"), 4)),
    )
    return [Artifact(f"{release.folder}/rollout.yaml", text)]
