"""Two reconcilers and one Lease: never do both act, whatever stops, hangs or comes back."""

from __future__ import annotations

import copy
import io
import threading
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from examples import examples
from mrc.reconcile import lease
from mrc.reconcile.cluster import ClusterError
from mrc.reconcile.lease import DEADLINE, DURATION, Candidate, Lease, look, written
from mrc.reconcile.telemetry import Telemetry

EPOCH = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)


class Candidates(RuleBasedStateMachine):
    """Three candidates with clocks of their own, an API server that may not answer, and time that passes."""

    @initialize(skews=st.lists(st.integers(-1000, 1000), min_size=3, max_size=3))
    def begin(self, skews: list[int]) -> None:
        self.now = 5000.0
        self.skews = dict(zip("abc", skews, strict=True))
        self.candidates = {name: Candidate(name) for name in "abc"}
        self.spec: dict[str, Any] | None = None

    def clock(self, name: str) -> float:
        return self.now + self.skews[name]

    @rule(seconds=st.floats(0.1, 2 * DURATION))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(name=st.sampled_from("abc"), slow=st.floats(0, 8), lost=st.booleans())
    def a_try(self, name: str, slow: float, lost: bool) -> None:
        """The request takes a while; the answer to a write may be lost, and then it counts as not written."""
        begun, me = self.clock(name), self.candidates[name]
        me, write = look(me, self.spec, begun)
        if write:
            self.spec = written(self.spec, name, EPOCH + timedelta(seconds=self.clock(name)))
            self.now += slow
            if not lost:
                me = Candidate(name, me.seen, me.since, begun)
        self.candidates[name] = me

    @rule(name=st.sampled_from("abc"))
    def it_ends_and_releases(self, name: str) -> None:
        held = self.spec is not None and self.spec["holderIdentity"] == name
        if held and self.candidates[name].may_act(self.clock(name)):
            self.spec = written(self.spec, "", EPOCH)
        self.candidates[name] = Candidate(name)

    @rule(name=st.sampled_from("abc"))
    def it_is_killed(self, name: str) -> None:
        self.candidates[name] = Candidate(name)

    @invariant()
    def at_most_one_acts(self) -> None:
        if hasattr(self, "candidates"):
            acting = [name for name, each in self.candidates.items() if each.may_act(self.clock(name))]
            assert len(acting) <= 1, acting


TestCandidates = Candidates.TestCase
TestCandidates.settings = settings(max_examples=examples(150), stateful_step_count=40)


def test_a_lease_that_is_not_renewed_is_taken_when_its_time_is_over() -> None:
    held = written(None, "a", EPOCH)
    me, write = look(Candidate("b"), held, 100)
    assert not write
    assert not look(me, held, 100 + DURATION)[1]
    assert look(me, held, 100.1 + DURATION)[1]
    renewed = written(held, "a", EPOCH + timedelta(seconds=5))
    assert not look(me, renewed, 200)[1], "a renewal that is new to it begins the time again"
    assert written(held, "b", EPOCH)["leaseTransitions"] == 2


@pytest.mark.parametrize("length", [0, -1, 10**9, "for ever", None])
def test_what_somebody_writes_into_it_keeps_nobody_out_for_long(length: Any) -> None:
    held = {"holderIdentity": "x", "renewTime": "?", "leaseDurationSeconds": length}
    me, _ = look(Candidate("b"), held, 0)
    assert not look(me, held, DURATION)[1]
    assert look(me, held, DURATION + 0.1)[1]


class Server:
    """The API server's Leases, with its conflicts."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.there: dict[str, Any] | None = None
        self.version = 0
        self.away = False
        self.asked = 0

    def request(self, path: str, *, method: str = "GET", body: Any = None, seconds: float) -> Any:
        with self.lock:
            self.asked += method == "GET"
            if self.away:
                raise ClusterError(0, "nobody answers")
            if method == "GET":
                if self.there is None:
                    raise ClusterError(404, "not found")
                return copy.deepcopy(self.there)
            current = self.there["metadata"]["resourceVersion"] if self.there else None
            if body["metadata"].get("resourceVersion") != current:
                raise ClusterError(409, "conflict")
            self.version += 1
            self.there = copy.deepcopy(body)
            self.there["metadata"]["resourceVersion"] = str(self.version)
            return self.there


def candidate(server: Server, who: str, lost: threading.Event) -> Lease:
    return Lease(server, "mrc", "mrc-production", who, Telemetry(io.StringIO()), lost.set)


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "RETRY", 0.02)


def test_who_ends_releases_it_and_the_next_one_begins_at_once() -> None:
    server, stop, lost = Server(), threading.Event(), threading.Event()
    begun = threading.Event()

    def second() -> None:
        with candidate(server, "b", lost).held(stop) as acts:
            assert acts
            begun.set()

    with candidate(server, "a", lost).held(stop) as acts:
        assert acts
        thread = threading.Thread(target=second, daemon=True)
        thread.start()
        assert not begun.wait(0.5), "both act"
    assert begun.wait(60), "it was not released"
    thread.join(60)
    assert server.there is not None
    assert server.there["spec"]["holderIdentity"] == ""
    assert not lost.is_set()


def test_who_cannot_renew_ends_before_another_one_may_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    assert DEADLINE < DURATION - 2
    now = [100.0]
    monkeypatch.setattr(lease, "time", SimpleNamespace(monotonic=lambda: now[0]))
    server, stop, lost = Server(), threading.Event(), threading.Event()

    def tries(count: int) -> None:
        """So many more begin, and hence all but the last one end."""
        wanted, end = server.asked + count, time.monotonic() + 60
        while server.asked < wanted:
            assert time.monotonic() < end
            time.sleep(0.005)

    with candidate(server, "a", lost).held(stop) as acts:
        assert acts
        for _ in range(3):
            now[0] += DEADLINE - 0.1
            tries(3)  # one of them began after that
            assert not lost.is_set(), "it renews"
        server.away = True
        now[0] += DEADLINE - 0.1
        assert not lost.wait(0.5), "it still holds for certain"
        now[0] += 0.2
        assert lost.wait(60)


def test_who_is_told_to_end_while_it_waits_never_acts() -> None:
    server, stop, lost = Server(), threading.Event(), threading.Event()
    server.there = {"metadata": {"resourceVersion": "1"}, "spec": written(None, "somebody", EPOCH)}
    threading.Timer(0.2, stop.set).start()
    with candidate(server, "a", lost).held(stop) as acts:
        assert not acts
    assert server.there["spec"]["holderIdentity"] == "somebody"
