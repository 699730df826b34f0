"""What each router can do, as data: what is asked of one that cannot is an error, never silently nothing."""

from typing import Literal

from mrc.records import dataclass

Capability = Literal["weights", "mesh", "mirror", "pins", "grpc"]


@dataclass(frozen=True)
class Router:
    """One way to bring requests to a model.

    weights: splits by share of the requests, so that an abort moves no pod and a version can be kept warm.
    mesh: routes what is sent to the model's Service within the cluster as well, not at the edge alone.
    mirror: sends copies of requests (Argo Rollouts implements setMirrorRoute for Istio alone).
    pins: keeps a session on its version by a cookie that the router sets and reads.
    grpc: carries gRPC beside HTTP. With an ALB, Argo Rollouts moves the weight of one port alone.
    """

    title: str
    weights: bool
    mesh: bool
    mirror: bool
    pins: bool
    grpc: bool


# By the key of `router` in an Environment.
ROUTERS: dict[str, Router] = {
    "istio": Router("Istio", weights=True, mesh=True, mirror=True, pins=True, grpc=True),
    "gatewayAPI": Router("Gateway API", weights=True, mesh=False, mirror=False, pins=True, grpc=True),
    "nginx": Router("ingress-nginx", weights=True, mesh=False, mirror=False, pins=False, grpc=True),
    "alb": Router("AWS Application Load Balancer", weights=True, mesh=False, mirror=False, pins=False, grpc=False),
    "none": Router("no router", weights=False, mesh=False, mirror=False, pins=False, grpc=True),
}


def can(router: str, what: Capability) -> bool:
    """Whether the router of that name has the capability."""
    return bool(getattr(ROUTERS[router], what))


def those_that(what: Capability) -> str:
    """The routers with the capability, for a message: `istio`, `istio and gatewayAPI`."""
    names = [name for name in ROUTERS if can(name, what)]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
