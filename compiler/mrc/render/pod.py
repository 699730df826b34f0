"""The pod template of a version: a function of the version, `environment.pods` and these templates, of nothing else.

Whatever else it depended on would keep Argo from finding the ReplicaSet of a version that comes back.
"""

from mrc.link import Release, Version
from mrc.promql import indent
from mrc.render.bundle import config_map_name
from mrc.render.common import pod_labels
from mrc.render.engine import Raw, fill

MEBIBYTE = 2**20
PROBE_SECONDS = 5


def template(release: Release, version: Version) -> str:
    """What stands below `template:`."""
    pods = release.environment.spec.pods
    return fill(
        "pod/pod.yaml",
        pod_labels=pod_labels(release, version),
        service_account=pods.service_account,
        image_pull_secrets=pods.image_pull_secrets,
        node_selector=dict(sorted(pods.node_selector.items())),
        fetch_image=pods.fetch_image,
        fetch_secrets=pods.fetch_secrets,
        server=Raw(indent(_triton(version).rstrip("\n"), 2)),
        config_map=config_map_name(release, version),
        models_size=models_size(version),
    )


def _triton(version: Version) -> str:
    spec = version.object.spec
    return fill(
        "pod/triton.yaml",
        image=spec.image,
        triton_models=sorted(spec.triton.models),
        resources=dict(sorted(spec.resources.items())),
        ready_path=f"/v2/models/{version.entrypoint}/versions/{version.number}/ready",
        startup_failures=max(1, -(-spec.startup.seconds // PROBE_SECONDS)),
    )


def models_size(version: Version) -> str:
    """The volume of the model repository: twice the bundle (a fetch is laid down beside), and some room."""
    total = sum(int(artifact.size) for files in version.object.spec.bundle.values() for artifact in files.values())
    return f"{2 * -(-total // MEBIBYTE) + 64}Mi"
