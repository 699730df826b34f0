"""Whatever happens, in whatever order: what the reconciler promises of the repository holds, and everything ends.

Two reconcilers of one environment and one of another, people, a remote, clusters and a clock, all in memory; each call
of a reconciler may hang, be refused, lose its answer, meet somebody else's push, or be the last thing that the process
does. The code under test is the real one but for git, and `test_memory.py` holds that to git.

It fails when the cooldown, the breaker, the gate of a hold, the record's own name, resuming, escalating, or the scope
of a commit is taken out of the code; when a race is answered by the same files on the new tip, a rejected version is
tried, an abort waits for the gates of an alert, a cleared hold counts, git is not asked while nothing fails, people
are called twice for one version, or a verdict loses what another environment said.

`MRC_FUZZ=25 pytest tests/test_world.py` tries 1,500 histories, new ones each time.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from examples import examples
from mrc.reconcile.monitoring import PAGED_FOR
from reconciling.judge import Judge, hold, incidents, rendered, served
from reconciling.world import ENVIRONMENT, MODELS, OTHER, PLACES, VERSIONS, World

models = st.sampled_from([MODELS[0], *MODELS])
who = st.sampled_from([0, 0, 1, 1, 2])
places = st.sampled_from([ENVIRONMENT, ENVIRONMENT, OTHER])
versions = st.sampled_from(VERSIONS)
decisions = st.sampled_from(
    ["hold", "clear", "clear", "clear", "absolve", "absolve", "absolve", "rollback", "all", "none", "none", "none"]
)
faults = st.one_of(
    st.none(),
    st.tuples(
        st.sampled_from(["fetch", "ask", "commit", "push", "pushed", "page"]),
        st.sampled_from(
            ["kill", "hang", "other", "abroad", "edit", "promote", "hold", "clear", "absolve", "rollback", "break"]
        ),
    ),
    st.just(("push", "refuse")),
)


class TheWorld(RuleBasedStateMachine):
    """Each rule is something that happens."""

    @initialize()
    def begin(self) -> None:
        self.world = World()
        self.judge = Judge(self.world.remote)

    @rule(who=who, fault=faults, look=st.sampled_from(["now", "now", "now", "stale", "restarted"]))
    def reconcile(self, who: int, fault: Any, look: str) -> None:
        """A reconciler comes round; what it sees may be of some time ago."""
        world, replica = self.world, self.world.replicas[who]
        if look == "restarted":
            replica.reconciler = None
        replica.plan = fault
        before = world.stale.get(replica.environment) if look == "stale" else None
        replica.step(before if before is not None else world.seen(replica.environment))

    @rule(model=models, version=versions, how=st.sampled_from(["part", "whole", "whole", "merged", "serving"]),
          late=st.sampled_from([1, 1, 100, 2000]), who=who, fault=faults, times=st.sampled_from([1, 2, 3]))  # fmt: skip
    def fail(self, model: str, version: int, how: str, late: int, who: int, fault: Any, times: int) -> None:
        """Versions fail in their rollouts, or after them; a reconciler comes round, and its commit is synced."""
        world, place = self.world, self.world.replicas[who].environment
        model = model if model in PLACES[place] else MODELS[0]
        for _ in range(times):
            if how == "merged":
                world.line(model, version, version % 5 + 1, place)
                world.sync()
            elif how != "serving":
                world.release(model, version, whole=how == "whole", place=place)
            world.turn(model, world.clusters[place].rollouts[model].version, bad=True, place=place)
            world.wait(late)
            world.stale[place] = world.seen(place)
            self.reconcile(who, fault, "now")
            self.judge.look()
            world.sync()

    @rule(version=versions, whole=st.booleans(), first=who, second=who, fault=faults)
    def fail_everywhere(self, version: int, whole: bool, first: int, second: int, fault: Any) -> None:
        """A version that is wherever the model is fails there; their reconcilers write to the same verdict."""
        world, model = self.world, MODELS[0]
        for place in PLACES:
            world.release(model, version, whole=whole, place=place)
            world.turn(model, world.clusters[place].rollouts[model].version, bad=True, place=place)
        world.wait(1)
        self.reconcile(first, fault, "now")
        self.reconcile(second, None, "now")
        self.judge.look()
        world.sync()

    @rule(model=models, version=versions, whole=st.booleans(), place=places)
    def release(self, model: str, version: int, whole: bool, place: str) -> None:
        """A version that is promoted, and synced."""
        self.world.release(model if place == ENVIRONMENT else MODELS[0], version, whole=whole, place=place)

    @rule(seconds=st.sampled_from([1, 20, 70, 360, 960, 1860, 4000, 11000]), synced=st.booleans())
    def wait(self, seconds: int, synced: bool) -> None:
        """Time passes."""
        self.world.wait(seconds)
        if synced:
            self.world.sync()

    @rule(model=models, version=versions, what=st.sampled_from(["bad", "well", "person", "deadline", "telemetry"]),
          place=places)  # fmt: skip
    def turn(self, model: str, version: int, what: str, place: str) -> None:
        """A version answers otherwise, or its rollout is ended."""
        model = model if place == ENVIRONMENT else MODELS[0]
        if what in ("bad", "well"):
            self.world.turn(model, version, bad=what == "bad", place=place)
        else:
            self.world.abort(model, what, place)

    @rule(seconds=st.sampled_from([0, 0, -3600, 7200, -100000]))
    def clock(self, seconds: int) -> None:
        """The clock of the reconcilers is wrong, or is put right."""
        self.world.skew = seconds

    @rule(sick=st.booleans(), blind=st.booleans())
    def ail(self, sick: bool, blind: bool) -> None:
        """The environment is unhealthy, or nobody can tell."""
        self.world.sick, self.world.blind = sick, blind

    @rule(model=models, version=versions, fallback=versions, place=places,
          what=st.sampled_from(["promote", "merge", "scale", "readme"]))  # fmt: skip
    def edit(self, model: str, version: int, fallback: int, place: str, what: str) -> None:
        """A person changes something; what was green once is merged whatever has been decided since."""
        model = model if place == ENVIRONMENT else MODELS[0]
        if what == "promote":
            self.world.promote(model, version, place)
        elif what == "merge" and version != fallback:
            self.world.line(model, version, fallback, place)
        elif what == "scale":
            self.world.replicas_line(model, version)
        elif what == "readme":
            self.world.readme()

    @rule(model=models, what=decisions, place=places)
    def decide(self, model: str, what: str, place: str) -> None:
        """A person holds, ends a hold, takes a rejection back, or goes back by hand."""
        if what in ("all", "none"):
            {"all": self.world.hold, "none": self.world.clear}[what](None, place)
        elif what == "absolve":
            self.world.absolve(model)
        else:
            getattr(self.world, what)(model if place == ENVIRONMENT else MODELS[0], place)

    @rule(path=st.sampled_from([f"policies/{MODELS[0]}/policy.yaml", f"environments/{ENVIRONMENT}.yaml",
                                f"environments/{OTHER}.yaml", "mrc.yaml"]),
          what=st.sampled_from(["break_", "remove", "repair", "repair"]))  # fmt: skip
    def main_is_broken(self, path: str, what: str) -> None:
        """Somebody merges what cannot be read, removes it, or puts it right."""
        getattr(self.world, what)(path)

    # What holds.

    @invariant()
    def the_history_is_right(self) -> None:
        if hasattr(self, "judge"):
            self.judge.look()

    def teardown(self) -> None:
        if not hasattr(self, "judge"):
            return
        try:
            if not self.judge.convicted:
                self._quiet()
        finally:
            self.world.close()

    def _quiet(self) -> None:
        """Everything works again, and nobody does anything: then it ends."""
        world, quiet = self.world, self.world.now
        world.sick, world.blind, world.skew = False, False, 0
        for path in list(world.valid):
            world.repair(path)
        for _ in range(16):
            world.sync()
            world.wait(61)
            for replica in world.replicas:
                replica.plan = None
                replica.step(world.seen(replica.environment))
        self.judge.look()
        last = world.remote.tip
        for _ in range(3):
            world.sync()
            for replica in world.replicas:
                replica.step(world.seen(replica.environment))
            world.wait(15)
        assert world.remote.tip == last, "it comes to rest"
        for place in PLACES:
            self._ended(place, quiet)

    def _ended(self, place: str, quiet: datetime) -> None:
        world, files = self.world, self.world.remote.head.files
        every = incidents(files, place=place)
        for path, one in every.items():
            assert one.spec.outcome is not None, f"{path} never ends"
        for rollout in world.clusters[place].rollouts.values():
            if rollout.aborted is not None and served(files, rollout.model, place) == rollout.version:
                known = incidents(files, rollout.model, place).values()
                assert any(one.spec.cause.version == rollout.version for one in known), "an abort is followed, or told"
        for model in PLACES[place]:
            # A hold on everything pins what could be read when it was written.
            holds = [one for one in (hold(files, model, place), hold(files, None, place)) if one is not None]
            if any(one.serves(model) is not None for one in holds):
                assert rendered(files, model, place) == served(files, model, place), "what is held is what is rendered"
        told = {str(alert["labels"].get("incident")) for alert in world.clusters[place].pages}
        for one in every.values():
            # What nobody lived to tell of for hours is not told any more.
            if one.spec.action == "page" and one.spec.times.decided > quiet - PAGED_FOR:
                assert one.metadata.id in told, "people are called"


TestTheWorld = TheWorld.TestCase
TestTheWorld.settings = settings(max_examples=examples(60), stateful_step_count=40)


@pytest.fixture
def world() -> Iterator[World]:
    """Where nothing has happened yet."""
    made = World()
    yield made
    made.close()


def test_a_fleet_that_fails_at_once_is_frozen_where_it_went_back_to(world: World) -> None:
    """The hold on everything was written with the first of them, and pinned the others to what had failed."""
    for model in MODELS:
        world.release(model, 3, whole=False)
        world.turn(model, 3, bad=True)
    for _ in MODELS:
        world.replicas[0].step(world.seen())
    Judge(world.remote).look()
    files = world.remote.head.files
    assert [served(files, model) for model in MODELS] == [2, 2, 2]
    assert [path for path in files if path.startswith("holds/")] == ["holds/production/_all.yaml"]


def test_who_has_cleared_the_hold_on_everything_does_not_find_it_again_for_what_was_before(world: World) -> None:
    for model in MODELS:
        world.release(model, 3, whole=False)
        world.turn(model, 3, bad=True)
    for _ in MODELS:
        world.replicas[0].step(world.seen())
    world.sync()
    assert hold(world.remote.head.files, None) is not None
    world.wait(1200)
    world.clear(None)
    world.sync()
    world.turn(MODELS[0], 3, bad=False)
    world.line(MODELS[0], 4, 2)
    world.sync()
    world.turn(MODELS[0], 4, bad=True)
    world.replicas[0].step(world.seen())
    files = world.remote.head.files
    assert [one.spec.cause.version for one in incidents(files, MODELS[0]).values()] == [3, 4]
    assert hold(files, None) is None


def test_two_versions_that_are_aborted_within_one_second_are_two_failures(world: World) -> None:
    for version in (3, 4):
        world.release(MODELS[0], version, whole=False)
        world.abort(MODELS[0], "deadline")
        world.replicas[0].step(world.seen())
        world.sync()
    files = world.remote.head.files
    assert sorted(one.spec.cause.version for one in incidents(files).values()) == [3, 4]
    assert served(files, MODELS[0]) == 2


def test_a_hold_that_a_person_has_cleared_starts_the_breaker_anew(world: World) -> None:
    """Else the first rollback after it would hold the model again."""
    model = MODELS[0]
    for version, held in ((3, False), (4, True), (5, False)):
        world.release(model, version, whole=False)
        world.turn(model, version, bad=True)
        world.replicas[0].step(world.seen())
        Judge(world.remote).look()
        assert (hold(world.remote.head.files, model) is not None) is held, version
        world.sync()
        world.wait(70)
        world.clear(model)
        world.sync()


def test_an_incident_ends_that_nobody_remembers(world: World) -> None:
    """The answer to the push was lost, and nothing fails any more: no signal says that there is something to end."""
    world.release(MODELS[0], 3, whole=False)
    world.turn(MODELS[0], 3, bad=True)
    world.replicas[0].plan = ("pushed", "hang")
    world.replicas[0].step(world.seen())
    world.sync()
    for _ in range(3):
        world.wait(61)
        world.replicas[0].step(world.seen())
    (one,) = incidents(world.remote.head.files).values()
    assert one.spec.outcome is not None
    assert one.spec.outcome.state == "recovered"


def test_what_was_gone_back_to_is_not_gone_back_from(world: World) -> None:
    """If the way back was wrong as well, it is not about the version: people look, and nothing moves."""
    model = MODELS[0]
    for version in (3, 2):
        if version == 3:
            world.release(model, 3, whole=True)
        world.turn(model, version, bad=True)
        world.wait(60)
        world.replicas[0].step(world.seen())
        world.sync()
        world.wait(1900)
    Judge(world.remote).look()
    files = world.remote.head.files
    assert [one.spec.action for one in incidents(files).values()] == ["rollback", "page"]
    assert served(files, model) == 2


@pytest.mark.parametrize("whole", [False, True])
def test_who_has_rolled_forward_meanwhile_is_not_taken_back(world: World, whole: bool) -> None:
    """What failed is not what git names any more, and the cluster only does not know it yet."""
    model = MODELS[0]
    world.release(model, 3, whole=whole)
    world.turn(model, 3, bad=True)
    world.wait(60)
    world.line(model, 4, 2)
    world.replicas[0].step(world.seen())
    Judge(world.remote).look()
    assert not incidents(world.remote.head.files)
    assert served(world.remote.head.files, model) == 4
