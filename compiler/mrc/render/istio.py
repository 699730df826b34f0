"""Istio: a VirtualService with a host-level split between the stable and the canary Service.

Host-level is preferred over subsets: https://argo-rollouts.readthedocs.io/en/stable/features/traffic-management/istio/
"""

from mrc.artifact import Artifact
from mrc.link import Release
from mrc.render.common import object_labels, pins, service_ports, shares
from mrc.render.engine import fill


def render(release: Release) -> list[Artifact]:
    """virtualservice.yaml, where the environment's router is Istio."""
    environment = release.environment.spec
    if environment.router.istio is None:
        return []
    hosts = [
        f"{release.model}.{environment.router.istio.domain}",
        f"{release.model}.{environment.namespace}.svc.cluster.local",
    ]
    text = fill(
        "istio/virtualservice.yaml",
        model=release.model,
        namespace=environment.namespace,
        labels=object_labels(release),
        hosts=hosts,
        gateway=environment.router.istio.gateway,
        routes=sorted(service_ports(release), key=lambda port: str(port["name"])),
        weighted=release.policy.blue_green is None,
        shares=shares(release),
        pins=pins(release),
    )
    return [Artifact(f"{release.folder}/virtualservice.yaml", text)]
