"""The Rollout: its strategy, what it keeps to go back to, and the pod of the version.

What makes going back a routing change: https://argo-rollouts.readthedocs.io/en/stable/features/rollback/
"""

from mrc.link import Release, Version
from mrc.promql import indent
from mrc.render import canary
from mrc.render.artifact import Artifact
from mrc.render.bundle import config_map_name
from mrc.render.common import object_labels, pod_labels, selector
from mrc.render.engine import Raw, fill

MEBIBYTE = 2**20
PROBE_SECONDS = 5
HISTORY = 10  # ReplicaSets that Argo keeps; more than any rollback window needs


def models_size(version: Version) -> str:
    """The volume of the model repository: twice the bundle (a fetch is laid down beside), and some room."""
    total = sum(int(artifact.size) for files in version.object.spec.bundle.values() for artifact in files.values())
    return f"{2 * -(-total // MEBIBYTE) + 64}Mi"


def render(release: Release, *, analysed: bool) -> list[Artifact]:
    """rollout.yaml; `analysed` says whether there is an AnalysisTemplate to name."""
    environment, policy, version = release.environment.spec, release.policy, release.version
    spec = version.object.spec
    retained = int(environment.limits.retained)
    text = fill(
        "argo/rollout.yaml",
        model=release.model,
        namespace=environment.namespace,
        labels=object_labels(release),
        replicas=policy.replicas,
        selector=selector(release),
        revision_history_limit=max(HISTORY, retained),
        rollback_revisions=retained,
        progress_deadline_seconds=spec.startup.seconds + 60,
        strategy=Raw(indent(canary.strategy(release, analysed=analysed).rstrip("\n"), 4)),
        pod_labels=pod_labels(release, version),
        service_account=environment.pods.service_account,
        image_pull_secrets=environment.pods.image_pull_secrets,
        node_selector=dict(sorted(environment.pods.node_selector.items())),
        fetch_image=environment.pods.fetch_image,
        fetch_secrets=environment.pods.fetch_secrets,
        image=spec.image,
        triton_models=sorted(spec.triton.models),
        resources=dict(sorted(spec.resources.items())),
        ready_path=f"/v2/models/{version.entrypoint}/versions/{version.number}/ready",
        startup_failures=max(1, -(-spec.startup.seconds // PROBE_SECONDS)),
        config_map=config_map_name(release, version),
        models_size=models_size(version),
    )
    return [Artifact(f"{release.folder}/rollout.yaml", text)]
