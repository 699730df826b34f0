"""The loop around a reconciler: what it says of itself when others do not answer it."""

from __future__ import annotations

import io
import threading
import time
from typing import Any

import pytest

from mrc.reconcile.cluster import ClusterError, Rollouts
from mrc.reconcile.git import GitError
from mrc.reconcile.monitoring import MonitoringError
from mrc.reconcile.proposal import Own, Proposal
from mrc.reconcile.service import Service
from mrc.reconcile.telemetry import Telemetry
from reconciling import BEGIN, ENVIRONMENT, rollout


class Api:
    """An API server with some Rollouts, that may cease to answer."""

    def __init__(self, objects: list[dict[str, Any]]) -> None:
        self.objects, self.gone = objects, False
        self.pause = 0.0

    def request(self, path: str, query: dict[str, str]) -> Any:
        time.sleep(self.pause)
        if self.gone:
            raise ClusterError(403, "forbidden")
        items = self.objects if path.endswith("/rollouts") else []
        return {"items": items, "metadata": {"resourceVersion": "1"}}

    def lines(self, path: str, query: dict[str, str]) -> Any:
        raise ClusterError(410, "gone")


class Alertmanager:
    """One that may be silent."""

    deaf = False

    def alerts(self, environment: str) -> list[Any]:
        if self.deaf:
            raise MonitoringError("ConnectError")
        return []


@pytest.fixture
def told() -> io.StringIO:
    return io.StringIO()


def begun(api: Api, told: io.StringIO) -> tuple[Service, Rollouts]:
    """A service that has listed what there is."""
    telemetry = Telemetry(told)
    service = Service(None, ENVIRONMENT, api, telemetry, lambda: BEGIN, 1)  # type: ignore[arg-type]
    rollouts, stop = Rollouts(api, "models", ENVIRONMENT, telemetry.log), threading.Event()  # type: ignore[arg-type]
    rollouts._list()
    stop.set()
    return service, rollouts


def test_who_is_not_answered_does_not_say_that_all_is_well(told: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    """For weeks an alert would roll nothing back, and a Rollout that aborts would not be seen."""
    api, alertmanager = Api([rollout(phase="stable")]), Alertmanager()
    service, rollouts = begun(api, told)
    assert service._look(rollouts, alertmanager)[1]  # type: ignore[arg-type]
    alertmanager.deaf = True
    seen, complete = service._look(rollouts, alertmanager)  # type: ignore[arg-type]
    assert not complete
    assert seen.running, "what answers is acted on"
    alertmanager.deaf = False
    now = time.monotonic()
    monkeypatch.setattr("mrc.reconcile.cluster.time.monotonic", lambda: now + 200)
    assert not service._look(rollouts, alertmanager)[1]  # type: ignore[arg-type]


def test_a_copy_of_a_rollout_is_named_once(told: io.StringIO) -> None:
    mine, copy = rollout(phase="stable"), rollout()
    copy["metadata"]["name"] = "a-try"
    service, rollouts = begun(Api([mine, copy]), told)
    for _ in range(2):
        seen, _ = service._look(rollouts, Alertmanager())  # type: ignore[arg-type]
        assert not seen.failures
    assert told.getvalue().count("a-try") == 1


def test_who_goes_on_slowly_is_not_stuck(told: io.StringIO) -> None:
    """A fleet that aborts while the API server is slow, or a thousand branches after a start: each step is a beat."""
    api = Api([rollout(model=f"m{number}") for number in range(5)])
    service, rollouts = begun(api, told)
    api.pause = 0.02
    service._alive()
    before = service._beat
    service._look(rollouts, Alertmanager())  # type: ignore[arg-type]
    assert before is not None
    assert service._beat is not None
    assert service._beat - before > 4 * 0.02

    class Ledger:
        def parents(self, commit: str) -> list[str]:
            raise GitError(1, "it is gone")

    beats: list[int] = []
    own = Own(Ledger(), Telemetry(told), lambda: beats.append(1))  # type: ignore[arg-type]
    for number in range(3):
        assert not own.has(Proposal(f"mrc/{number}", "rollback", f"{number}", None))  # type: ignore[arg-type]
    assert len(beats) == 3
