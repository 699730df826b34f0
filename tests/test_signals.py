"""Whoever may write an object or an alert ends no reconciler with it, and begins no record that nobody can read."""

from __future__ import annotations

import copy
import json
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mrc.parse import parse
from mrc.read import read
from mrc.reconcile.change import opened
from mrc.reconcile.cluster import Rollouts
from mrc.reconcile.decide import Decision
from mrc.reconcile.failure import Failure
from mrc.reconcile.gates import Gate
from mrc.reconcile.message import message
from mrc.reconcile.records import emit
from mrc.reconcile.signals import aborted, alerts, own, remembering, running, slim
from mrc.reconcile.stage import stage
from mrc.schema.policy import Serve
from mrc.schema.units import Positive
from reconciling import ENVIRONMENT, MODEL, alert, rollout, run

REVISION = "rollout.argoproj.io/revision"
NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
INCIDENT = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{8}")
KEYS = [
    "metadata", "labels", "spec", "template", "status", "conditions", "reason", "message", "abort", "abortedAt",
    "phase", "ownerReferences", "metricResults", "measurements", "observedGeneration", "currentPodHash",
    "pauseConditions", "currentStepIndex", "strategy", "canary", "blueGreen", "steps", "setWeight", "setMirrorRoute",
    "pause", "percentage", "startsAt", "fingerprint", "annotations", "summary", "state", "failed", "error", "value",
    "name",
]  # fmt: skip
TEXTS = ["x", "RolloutAborted", "Failed", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+23:00", "2026-11-20T09:00:00",
         "9999-12-31T23:59:59-23:00", "2026-11-20\n09:00:00Z", "a\nb\u202e", "9" * 5000]  # fmt: skip
anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(TEXTS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=12,
)
written = st.dictionaries(st.sampled_from(KEYS), anything, max_size=5)


def recorded(failure: Failure) -> None:
    """Its record can be written, and read again by its commit's message."""
    why = Gate("environment", False, failure.message)
    for action, verdict in (("page", "none"), ("rollback", "rejected")):
        after = Serve(version=Positive(1)) if action == "rollback" else None
        decided = Decision(failure, action, (why,), verdict, Serve(version=Positive(2)), after)  # type: ignore[arg-type]
        found = opened(ENVIRONMENT, decided, NOW, NOW)
        assert parse(read("x", emit(found)), "Incident") == found  # type: ignore[arg-type]
        said = message(ENVIRONMENT, [found])
        assert said.rpartition("\n\n")[2].count("\n") == 4 + 2 * (after is not None)


@example({}, {"pauseConditions": [{"reason": []}]}, {}, {})
@given(written, written, written, written)
def test_whatever_stands_in_a_rollout_or_its_runs_is_read_or_left(
    whole: dict[str, Any], status: dict[str, Any], seen: dict[str, Any], owned: dict[str, Any]
) -> None:
    slim(whole)
    running(whole, ENVIRONMENT)
    assert stage(whole, ENVIRONMENT, 13) == "not as mrc renders it"
    midway = rollout(phase="progressing")
    midway["status"] |= status
    midway["spec"] |= {"strategy": seen}
    assert re.fullmatch(r"[A-Za-z0-9 %,:-]+", stage(midway, ENVIRONMENT, 13))
    found = rollout()
    found["status"] |= status
    mine = run()
    mine["status"] |= seen
    failure = aborted(slim(found), [mine, run() | owned, owned], ENVIRONMENT)
    if failure is not None:
        recorded(failure)
        assert INCIDENT.fullmatch(failure.incident)
        assert failure.message.isprintable()
        assert failure.cause.isprintable()


@given(st.lists(written, max_size=2), written, st.sampled_from(["errors", *TEXTS]))
def test_whatever_stands_in_an_alert_is_read_or_left(
    others: list[dict[str, Any]], own: dict[str, Any], guardrail: str
) -> None:
    mine = alert(guardrail=guardrail)
    mine |= {key: value for key, value in own.items() if key != "labels"}
    for failure in alerts([*others, mine], ENVIRONMENT):
        assert INCIDENT.fullmatch(failure.incident)
        recorded(failure)
        assert failure.onset.year >= 1970
        assert failure.message.isprintable()
        assert failure.cause.isprintable()


@pytest.mark.parametrize(
    ("index", "said"),
    [(0, "begins"), (1, "shadow of 50 %"), (2, "shadow of 50 %"), (4, "5 %"), (5, "5 %, waits for an approval"),
     (6, "bake"), (7, "bake")],
)  # fmt: skip
def test_a_stage_is_told_in_the_words_of_the_policy(index: int, said: str) -> None:
    found = rollout(phase="progressing")
    found["status"]["currentStepIndex"] = index
    found["spec"]["strategy"] = {"canary": {"steps": [
        {"setCanaryScale": {"weight": 50}}, {"setMirrorRoute": {"name": "shadow", "percentage": 50}},
        {"pause": {"duration": "60s"}}, {"setMirrorRoute": {"name": "shadow"}}, {"setWeight": 5}, {"pause": {}},
        {"setWeight": 100}, {"pause": {"duration": "60s"}},
    ]}}  # fmt: skip
    assert stage(found, ENVIRONMENT, 13) == said
    assert stage(found, ENVIRONMENT, 12) == "not synced, still 13"
    assert stage(None, ENVIRONMENT, 12) == "not in the cluster"


def test_only_what_is_read_of_a_rollout_wakes_the_reconciler() -> None:
    """Argo writes to ten thousand Rollouts all the time; each round looks at all of them and asks Alertmanager."""
    first = rollout()
    first["metadata"] |= {"resourceVersion": "1"}
    unread, read = copy.deepcopy(first), copy.deepcopy(first)
    unread["metadata"]["resourceVersion"] = "2"
    unread["status"].setdefault("conditions", []).append({"type": "Progressing", "reason": "ReplicaSetUpdated"})
    read["status"]["message"] = "something else"
    events = [("MODIFIED", unread), ("BOOKMARK", {"metadata": {"resourceVersion": "3"}}), ("MODIFIED", read),
              ("DELETED", read)]  # fmt: skip
    for _, item in events:
        item["metadata"].setdefault("resourceVersion", "4")
    woken: list[bool] = []
    stop = threading.Event()

    class Cluster:
        def request(self, path: str, query: dict[str, str]) -> Any:
            return {"items": [first], "metadata": {"resourceVersion": "1"}}

        def lines(self, path: str, query: dict[str, str]) -> Iterator[str]:
            assert rollouts.changed.is_set(), "a list is news"
            for kind, item in events:
                rollouts.changed.clear()
                yield json.dumps({"type": kind, "object": item})
                woken.append(rollouts.changed.is_set())
            stop.set()

    rollouts = Rollouts(Cluster(), "models", ENVIRONMENT, lambda *_, **__: stop.set())  # type: ignore[arg-type]
    rollouts.follow(stop)
    assert woken == [False, False, True, True]


def test_a_watch_that_is_closed_at_once_is_not_asked_for_without_end() -> None:
    """Some proxies do that; the API server would be asked some thousand times a second."""
    asked, waited = 0, 0.0

    class Cluster:
        def request(self, path: str, query: dict[str, str]) -> Any:
            return {"items": [], "metadata": {"resourceVersion": "1"}}

        def lines(self, path: str, query: dict[str, str]) -> Iterator[str]:
            nonlocal asked
            asked += 1
            return iter(())

    class Stop(threading.Event):
        def is_set(self) -> bool:
            return asked >= 10

        def wait(self, timeout: float | None = None) -> bool:
            nonlocal waited
            waited += timeout or 0
            return self.is_set()

    Rollouts(Cluster(), "models", ENVIRONMENT, lambda *_, **__: None).follow(Stop())  # type: ignore[arg-type]
    assert waited > 5


def test_an_abort_that_argo_has_not_seen_yet_is_none() -> None:
    """Nobody has moved traffic, and without its time the same abort would be another incident at each look."""
    found = rollout(message="")
    del found["status"]["abortedAt"]
    state = running(found, ENVIRONMENT)
    assert state is not None
    assert state.phase == "unknown"
    assert aborted(found, [run()], ENVIRONMENT) is None


def test_what_an_earlier_try_of_the_version_saw_is_not_held_against_this_one() -> None:
    """Argo keeps the runs: the same pods are the same hash, and what they were once blamed for is not why now."""
    found = rollout(message="RolloutAborted: Rollout aborted update to revision 6", annotations={REVISION: "6"})
    earlier, retried, mine = run(uid="run-1"), run(uid="run-2"), run(uid="run-3")
    earlier["metadata"]["annotations"] = {REVISION: "4"}
    retried["metadata"]["annotations"] = mine["metadata"]["annotations"] = {REVISION: "6"}
    retried["status"]["completedAt"] = "2026-11-20T08:40:00Z"
    mine["status"]["completedAt"] = "2026-11-20T08:59:59Z"
    by_person = aborted(slim(found), [earlier, retried], ENVIRONMENT)
    assert by_person is not None
    assert (by_person.kind, by_person.blamed, by_person.evidence) == ("abort", False, ())
    analysed = aborted(slim(found), [earlier, retried, mine], ENVIRONMENT)
    assert analysed is not None
    assert (analysed.cause, analysed.kind, len(analysed.evidence)) == ("analysisrun/run-3", "analysis", 1)


def test_a_copy_of_a_rollout_is_not_the_model() -> None:
    """Somebody tries something in a Rollout of another name, with the same labels; its abort is not the model's."""
    mine, copy_, renamed = rollout(phase="stable"), rollout(), rollout(model="fraud")
    copy_["metadata"]["name"] = "a-try"
    renamed["metadata"]["name"] = "team-fraud"
    for objects in ([mine, copy_, renamed], [renamed, copy_, mine]):
        found, others = own(objects, ENVIRONMENT)
        assert [each["metadata"]["name"] for each in found] == [MODEL, "team-fraud"]
        assert others == ["a-try"]


def test_what_argo_says_once_of_a_deadline_is_remembered() -> None:
    first, then = rollout(), rollout(message="Rollout aborted update to revision 4")
    said = 'ReplicaSet "x" has timed out progressing.'
    first["status"]["conditions"] = [{"type": "Progressing", "reason": "ProgressDeadlineExceeded", "message": said}]
    first["status"]["message"] = f"ProgressDeadlineExceeded: {said}"
    later = remembering(slim(first), slim(then))
    for each in (slim(first), later, remembering(later, slim(then))):
        failure = aborted(each, [], ENVIRONMENT)
        assert failure is not None
        assert (failure.kind, failure.blamed) == ("deadline", True)
    then["status"]["abortedAt"] = "2026-11-20T10:00:00Z"
    other = aborted(remembering(later, slim(then)), [], ENVIRONMENT)
    assert other is not None
    assert other.kind == "abort"
