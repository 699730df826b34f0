"""A reconciler that could not do its work says so when it begins, not when a version fails."""

from __future__ import annotations

from typing import Any

import pytest

from mrc.reconcile.rights import needs, refused
from mrc.schema.reconcile import Sync

READS = ["list rollouts", "watch rollouts", "list analysisruns", "list events"]


class Cluster:
    """An API server that grants what a test says."""

    def __init__(self, *granted: str) -> None:
        self.granted = granted

    def request(self, path: str, *, method: str, body: Any) -> Any:
        assert (path, method) == ("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "POST")
        assert body["kind"] == "SelfSubjectAccessReview"
        asked = body["spec"]["resourceAttributes"]
        return {"status": {"allowed": f"{asked['verb']} {asked['resource']}" in self.granted}}


@pytest.mark.parametrize(
    ("sync", "granted", "missing"),
    [
        (None, READS, []),
        (None, READS[:3], ["list events (core) in the namespace models"]),
        (None, READS[:1] + READS[2:], ["watch rollouts (argoproj.io) in the namespace models"]),
        ({"argoCD": {"application": "m"}}, READS,
         ["patch applications/m (argoproj.io) in the namespace argocd"]),
        ({"argoCD": {"application": "m", "server": "https://argocd.example.com"}},
         READS, []),
        ({"flux": {"gitRepository": "m"}}, READS,
         ["patch gitrepositories/m (source.toolkit.fluxcd.io) in the namespace flux-system"]),
    ],
)  # fmt: skip
def test_every_right_that_is_missing_is_named(
    sync: dict[str, Any] | None, granted: list[str], missing: list[str]
) -> None:
    wanted = needs("models", Sync.model_validate(sync) if sync is not None else None)
    assert refused(Cluster(*granted), wanted) == missing
