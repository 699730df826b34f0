"""The syncer is asked right after a push; what goes wrong with that stops nothing."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from judges.endpoint import serve
from mrc.reconcile.sync import Syncer, SyncError
from mrc.reconcile.telemetry import Telemetry
from mrc.schema.reconcile import Sync
from reconciling import BEGIN, begin, rollout, run, seen, team


class Cluster:
    """An API server that remembers what it was asked, or does not answer."""

    def __init__(self, problem: Exception | None = None) -> None:
        self.asked: list[tuple[str, str, Any, str]] = []
        self.problem = problem

    def request(self, path: str, *, method: str, body: Any, content: str) -> Any:
        self.asked.append((method, path, body, content))
        if self.problem is not None:
            raise self.problem


def syncer(cluster: Cluster, settings: dict[str, Any], token: Path | None = None) -> tuple[Syncer, io.StringIO]:
    log = io.StringIO()
    return Syncer(cluster, Sync.model_validate(settings), token, Telemetry(log)), log


@pytest.mark.parametrize(
    ("settings", "path", "annotation"),
    [
        ({"argoCD": {"application": "models-production"}},
         "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/models-production",
         {"argocd.argoproj.io/refresh": "normal"}),
        ({"flux": {"gitRepository": "rollouts", "namespace": "flux"}},
         "/apis/source.toolkit.fluxcd.io/v1/namespaces/flux/gitrepositories/rollouts",
         {"reconcile.fluxcd.io/requestedAt": "2026-11-20T09:00:00.000000Z"}),
    ],
    ids=["Argo CD", "Flux"],
)  # fmt: skip
def test_an_annotation_asks_the_syncer(settings: dict[str, Any], path: str, annotation: dict[str, str]) -> None:
    cluster = Cluster()
    syncer(cluster, settings)[0].ask(BEGIN)
    body = {"metadata": {"annotations": annotation}}
    assert cluster.asked == [("PATCH", path, body, "application/merge-patch+json")]


def test_argo_cd_in_another_cluster_is_asked_by_its_api(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    with serve() as endpoint:
        server = f"http://127.0.0.1:{endpoint.port}/"
        settings = {"argoCD": {"application": "models-production", "server": server}}
        asked, log = syncer(Cluster(), settings, token)
        asked("c0ffee", BEGIN).join(60)
        (request,) = endpoint.requests
        assert request.method == "GET"
        assert request.path == "/api/v1/applications/models-production?refresh=normal&appNamespace=argocd"
        assert request.headers["Authorization"] == "Bearer s3cret"
        assert "was asked" in log.getvalue()

        endpoint.statuses, endpoint.text = [403], b"token s3cret is not allowed"
        with pytest.raises(SyncError, match="HTTP status 403"):
            asked.ask(BEGIN)
        asked("c0ffee", BEGIN).join(60)
        assert "s3cret" not in log.getvalue()
    with pytest.raises(SyncError, match="ConnectError"):
        asked.ask(BEGIN)
    with pytest.raises(SyncError, match="--argocd-token-file"):
        syncer(Cluster(), settings)[0].ask(BEGIN)


def test_a_syncer_that_cannot_be_asked_stops_nothing(tmp_path: Path) -> None:
    cluster = Cluster(OSError("no route"))
    asked, log = syncer(cluster, {"flux": {"gitRepository": "rollouts"}})
    threads = []
    world = begin(tmp_path / "state", team(tmp_path), pushed=lambda commit: threads.append(asked(commit, BEGIN)))
    world.reconciler.step(seen([rollout()], [run()]))
    threads[0].join(60)
    assert '"level": "warning"' in log.getvalue()
    assert "no route" in log.getvalue()

    # Closing the incident changes nothing in the cluster: nobody is asked again.
    world.clock.pass_(seconds=5)
    world.reconciler.step(seen([rollout(version=12, phase="stable")]))
    assert "Close" in world.team.log()[0]
    assert len(threads) == len(cluster.asked) == 1
