"""What several targets say of a release in the same words: names, labels, selectors."""

from typing import Any

from mrc import labels
from mrc.link import Release, Version
from mrc.rollouts import pinned

COOKIE = "mrc-"  # and the model: its value is the version
HTTP_PORT = 8000
GRPC_PORT = 8001


def stable_service(release: Release) -> str:
    """The Service that Argo points at the stable ReplicaSet."""
    return f"{release.model}-stable"


def canary_service(release: Release) -> str:
    """The Service that Argo points at the ReplicaSet under trial."""
    return f"{release.model}-canary"


def preview_service(release: Release) -> str:
    """The Service that Argo points at the new side of a blue-green rollout."""
    return f"{release.model}-preview"


def version_service(release: Release, version: Version) -> str:
    """The Service of the pods of one version, to which sessions are pinned."""
    return f"{release.model}-v{version.number}"


def version_selector(release: Release, version: Version) -> dict[str, str]:
    """The pods of one version."""
    return {labels.MODEL: release.model, labels.VERSION: str(version.number)}


def set_cookie(release: Release) -> str | None:
    """What pins whoever meets the version under trial to it; None where sessions are not pinned.

    Only the canary side sets it. What the stable side is changes at the promotion, and nothing rendered with it.
    """
    sessions = release.policy.sessions
    if sessions is None:
        return None
    cookie = f"{COOKIE}{release.model}={release.version.number}"
    return f"{cookie}; Max-Age={sessions.lifetime.seconds}; Path=/; HttpOnly; SameSite=Lax"


def pins(release: Release) -> list[dict[str, Any]]:
    """The routes of pinned sessions: an RE2 expression for the whole Cookie header, and the Service of the version."""
    return [
        {
            "name": f"pinned-v{version.number}",
            "cookie": rf"(.*;\s*)?{COOKIE}{release.model}={version.number}(;.*)?",
            "service": version_service(release, version),
        }
        for version in pinned(release)
    ]


def shares(release: Release) -> list[dict[str, Any]]:
    """The Services behind a route, with the weights outside a rollout.

    Blue-green switches the model's own Service, not the route.
    """
    if release.policy.blue_green is not None:
        return [{"service": release.model, "weight": 100, "set_cookie": None}]
    return [
        {"service": stable_service(release), "weight": 100, "set_cookie": None},
        {"service": canary_service(release), "weight": 0, "set_cookie": set_cookie(release)},
    ]


def http_host(release: Release, domain: str) -> str:
    """Where a model answers HTTP."""
    return f"{release.model}.{domain}"


def grpc_host(release: Release, domain: str) -> str:
    """Where a model answers gRPC, with a router that tells the two apart by host."""
    return f"{release.model}-grpc.{domain}"


def ingress_names(release: Release) -> dict[str, str]:
    """The Ingresses that a router of Ingresses needs, by protocol."""
    found = {"http": release.model}
    nginx = release.environment.spec.router.nginx
    # ingress-nginx speaks HTTP/2 to clients with TLS only.
    if nginx is not None and nginx.tls_secret is not None and any(p["name"] == "grpc" for p in service_ports(release)):
        found["grpc"] = f"{release.model}-grpc"
    return found


def service_ports(release: Release) -> list[dict[str, Any]]:
    """What a model's Services offer, whichever runtime is behind them: HTTP, and gRPC if a served version speaks it."""
    versions = [release.version, *([release.fallback] if release.fallback is not None else [])]
    ports = [{"name": "http", "port": HTTP_PORT}]
    if any("grpc" in version.server.answers for version in versions):
        ports.append({"name": "grpc", "port": GRPC_PORT})
    return ports


def selector(release: Release) -> dict[str, str]:
    """The pods of a model, of every version."""
    return {labels.MODEL: release.model}


def object_labels(release: Release) -> dict[str, str]:
    """The labels of every object of a release."""
    return {
        **labels.MANAGED_BY,
        labels.ENVIRONMENT: release.environment_name,
        labels.MODEL: release.model,
        labels.TEAM: release.team,
    }


def rule_labels(release: Release) -> dict[str, str]:
    """The same, with those by which the environment's Prometheus finds its objects."""
    return {**object_labels(release), **release.environment.spec.prometheus.rule_labels}


def pod_labels(release: Release, version: Version) -> dict[str, str]:
    """The labels of a pod: a function of model and version alone, so that a template can be restored."""
    return {
        **labels.MANAGED_BY,
        labels.MODEL: release.model,
        labels.VERSION: str(version.number),
        labels.ISTIO_NAME: release.model,
        labels.ISTIO_REVISION: str(version.number),
    }
