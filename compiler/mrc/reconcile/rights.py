"""What a reconciler must be allowed in its cluster, asked before anything fails.

https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from mrc.schema.reconcile import Sync

_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


class Cluster(Protocol):
    """The API server."""

    def request(self, path: str, *, method: str, body: Any) -> Any: ...


@dataclass(frozen=True)
class Right:
    """A verb on the objects of a namespace, or on one of them."""

    verb: str
    group: str
    resource: str
    namespace: str
    name: str = ""

    def __str__(self) -> str:
        what = f"{self.resource}/{self.name}" if self.name else self.resource
        return f"{self.verb} {what} ({self.group or 'core'}) in the namespace {self.namespace}"


def needs(namespace: str, sync: Sync | None) -> list[Right]:
    """What the reconciler of an environment does in its cluster, but for the Lease: to hold it is the proof."""
    found = [
        *(Right(verb, "argoproj.io", "rollouts", namespace) for verb in ("list", "watch")),
        Right("list", "argoproj.io", "analysisruns", namespace),
        Right("list", "", "events", namespace),
    ]
    if sync is not None and sync.argo_cd is not None and sync.argo_cd.server is None:
        one = sync.argo_cd
        found.append(Right("patch", "argoproj.io", "applications", one.namespace, one.application))
    if sync is not None and sync.flux is not None:
        flux = sync.flux
        found.append(Right("patch", "source.toolkit.fluxcd.io", "gitrepositories", flux.namespace, flux.git_repository))
    return found


def refused(cluster: Cluster, rights: Iterable[Right]) -> list[str]:
    """Those that the API server would not grant, in words. Raises what the cluster raises."""
    return [str(right) for right in rights if not _granted(cluster, right)]


def _granted(cluster: Cluster, right: Right) -> bool:
    wanted = {
        "verb": right.verb, "group": right.group, "resource": right.resource, "namespace": right.namespace,
        **({"name": right.name} if right.name else {}),
    }  # fmt: skip
    kind = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
    body = {**kind, "spec": {"resourceAttributes": wanted}}
    answer = cluster.request(_REVIEWS, method="POST", body=body)
    return (answer.get("status") or {}).get("allowed") is True
