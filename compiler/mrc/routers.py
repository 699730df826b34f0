"""What each router can do, as data: what is asked of one that cannot is an error, never silently nothing."""

from dataclasses import dataclass
from typing import Literal

Capability = Literal["weights", "mirror", "pins", "grpc"]


@dataclass(frozen=True)
class Router:
    """One way to bring requests to a model.

    weights: splits by share of the requests, so that an abort moves no pod and a version can be kept warm.
    mirror: sends copies of requests (Argo Rollouts implements setMirrorRoute for Istio alone).
    pins: keeps a session on its version by a cookie that the router sets and reads.
    grpc: carries gRPC beside HTTP.
    """

    weights: bool
    mirror: bool
    pins: bool
    grpc: bool


ROUTERS: dict[str, Router] = {
    "istio": Router(weights=True, mirror=True, pins=True, grpc=True),
    "none": Router(weights=False, mirror=False, pins=False, grpc=True),
}


def can(router: str, what: Capability) -> bool:
    """Whether the router of that name has the capability."""
    return bool(getattr(ROUTERS[router], what))


def those_that(what: Capability) -> str:
    """The routers with the capability, for a message: `istio`, `istio and gatewayAPI`."""
    names = [name for name in ROUTERS if can(name, what)]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
