"""Ingresses, for ingress-nginx and for the AWS Load Balancer Controller.

NGINX: Argo Rollouts makes a canary Ingress beside each of these and moves its weight.
https://argo-rollouts.readthedocs.io/en/stable/features/traffic-management/nginx/
ALB: Argo Rollouts writes the weights of both Services into an annotation of this one.
https://argo-rollouts.readthedocs.io/en/stable/features/traffic-management/alb/
"""

import json
from typing import Any

from mrc.artifact import Artifact
from mrc.link import Release
from mrc.render.common import grpc_host, http_host, ingress_names, object_labels, service_ports, shares
from mrc.render.engine import fill

_NGINX, _ALB = "nginx.ingress.kubernetes.io", "alb.ingress.kubernetes.io"


def render(release: Release) -> list[Artifact]:
    """ingress.yaml, where the environment's router is NGINX or an ALB."""
    environment = release.environment.spec
    router = environment.router.nginx or environment.router.alb
    if router is None:
        return []
    text = fill(
        "ingress/ingress.yaml",
        model=release.model,
        namespace=environment.namespace,
        labels=object_labels(release),
        ingress_class=router.ingress_class,
        tls_secret=environment.router.nginx.tls_secret if environment.router.nginx is not None else None,
        ingresses=_nginx(release) if environment.router.nginx is not None else [_alb(release)],
    )
    return [Artifact(f"{release.folder}/ingress.yaml", text)]


def _nginx(release: Release) -> list[dict[str, Any]]:
    router = release.environment.spec.router.nginx
    assert router is not None
    names = ingress_names(release)
    found = []
    for port in service_ports(release):
        if port["name"] not in names:
            continue
        grpc = port["name"] == "grpc"
        found.append(
            {
                "name": names[port["name"]],
                "host": grpc_host(release, router.domain) if grpc else http_host(release, router.domain),
                "annotations": {f"{_NGINX}/backend-protocol": "GRPC"} if grpc else {},
                # Of one rule and one backend: Argo copies it to the canary Ingress with the canary Service.
                "service": shares(release)[0]["service"],
                "port": port["port"],
            }
        )
    return found


def _alb(release: Release) -> dict[str, Any]:
    router = release.environment.spec.router.alb
    assert router is not None
    weighted = release.policy.blue_green is None
    secure = router.certificate is not None
    annotations = {
        f"{_ALB}/scheme": router.scheme,
        f"{_ALB}/target-type": "ip",
        f"{_ALB}/listen-ports": json.dumps([{"HTTPS": 443} if secure else {"HTTP": 80}]),
        f"{_ALB}/healthcheck-path": release.version.server.ready,
    }
    if router.group is not None:
        annotations[f"{_ALB}/group.name"] = router.group
    if router.certificate is not None:
        annotations[f"{_ALB}/certificate-arn"] = router.certificate
    http = next(port["port"] for port in service_ports(release) if port["name"] == "http")
    return {
        "name": ingress_names(release)["http"],
        "host": http_host(release, router.domain),
        "annotations": annotations,
        "service": shares(release)[0]["service"],
        "port": None if weighted else http,
    }
