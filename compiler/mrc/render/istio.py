"""Istio: a VirtualService with a host-level split between the stable and the canary Service.

Host-level is preferred over subsets: https://argo-rollouts.readthedocs.io/en/stable/features/traffic-management/istio/
"""

from typing import Any

from mrc.link import Release
from mrc.render.artifact import Artifact
from mrc.render.common import GRPC_PORT, HTTP_PORT, canary_service, object_labels, stable_service
from mrc.render.engine import fill


def _shares(release: Release) -> list[dict[str, Any]]:
    """The Services of a route with the weights outside a rollout. Blue-green switches the Service, not the route."""
    if release.policy.blue_green is not None:
        return [{"service": release.model, "weight": 100}]
    return [{"service": stable_service(release), "weight": 100}, {"service": canary_service(release), "weight": 0}]


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
        routes=[
            {"name": "grpc", "port": GRPC_PORT, "grpc": True},
            {"name": "http", "port": HTTP_PORT, "grpc": False},
        ],
        weighted=release.policy.blue_green is None,
        shares=_shares(release),
    )
    return [Artifact(f"{release.folder}/virtualservice.yaml", text)]
