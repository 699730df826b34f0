"""Gateway API: an HTTPRoute, and a GRPCRoute where the model answers gRPC.

Two hosts, because routes of both kinds on one host of a listener exclude each other:
https://gateway-api.sigs.k8s.io/api-types/grpcroute/
The weights are moved by https://github.com/argoproj-labs/rollouts-plugin-trafficrouter-gatewayapi
"""

from mrc.artifact import Artifact
from mrc.link import Release
from mrc.render.common import grpc_host, http_host, object_labels, pins, service_ports, shares
from mrc.render.engine import fill


def render(release: Release) -> list[Artifact]:
    """routes.yaml, where the environment's router is the Gateway API."""
    environment = release.environment.spec
    router = environment.router.gateway_api
    if router is None:
        return []
    namespace, _, name = router.gateway.partition("/")
    kinds = {
        "http": ("HTTPRoute", http_host(release, router.domain)),
        "grpc": ("GRPCRoute", grpc_host(release, router.domain)),
    }
    routes = []
    for port in service_ports(release):
        kind, host = kinds[port["name"]]
        routes.append({"kind": kind, "host": host, "port": port["port"]})
    text = fill(
        "gateway/routes.yaml",
        model=release.model,
        namespace=environment.namespace,
        labels=object_labels(release),
        gateway={"name": name, "namespace": namespace},
        routes=routes,
        weighted=release.policy.blue_green is None,
        shares=shares(release),
        pins=pins(release),
    )
    return [Artifact(f"{release.folder}/routes.yaml", text)]
