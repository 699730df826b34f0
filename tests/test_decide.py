"""What is decided about failures: when a version is blamed, when nothing may move, and that it is said why."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrc.reconcile.decide import Decision, decide
from mrc.reconcile.failure import Failure, Running
from mrc.reconcile.state import ModelState, State
from mrc.schema import Hold, Incident
from mrc.schema.policy import Serve
from mrc.schema.reconcile import Reconcile

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)


def serve(version: int, fallback: int | None = None) -> Serve:
    return Serve.model_validate({"version": str(version)} | ({"fallback": str(fallback)} if fallback else {}))


def failure(kind: Any = "alert", model: str = "fraud", version: int = 42, **more: Any) -> Failure:
    given = {"onset": NOW - timedelta(seconds=30), "message": "worse", "blamed": True, "evidence": (("errors", "50%"),)}
    return Failure(f"{kind}/{model}", kind, model, version, **{**given, **more})


def rolled_back(ago: timedelta, before: int = 41, after: int = 40) -> Incident:
    at = f"{NOW - ago:%Y-%m-%dT%H:%M:%SZ}"
    return Incident.model_validate({
        "apiVersion": "mrc.dev/v1alpha1", "kind": "Incident",
        "metadata": {"environment": "production", "model": "fraud", "id": f"{NOW - ago:%Y%m%d-%H%M%S}-00000000"},
        "spec": {
            "cause": {"kind": "alert", "id": "alert/1", "version": str(before), "message": "worse"},
            "action": "rollback", "verdict": "rejected", "before": {"version": str(before)},
            "after": {"version": str(after)}, "reasons": [], "times": {"onset": at, "detected": at, "decided": at},
        },
    })  # fmt: skip


def named_later() -> Incident:
    """One that was decided long before, of something that began a moment ago by a clock that is wrong."""
    found = rolled_back(timedelta(hours=3))
    named = found.metadata.model_copy(update={"id": f"{NOW:%Y%m%d-%H%M%S}-00000000"})
    return found.model_copy(update={"metadata": named})


def model(name: str = "fraud", **more: Any) -> ModelState:
    given = {"serve": serve(42, 41), "versions": (40, 41, 42), "validated": frozenset({40, 41})}
    return ModelState(name, **{**given, **more})


def state(*models: ModelState, **more: Any) -> State:
    models = models or (model(),)
    given = {"settings": Reconcile(), "total": 100}
    return State("production", models={one.name: one for one in models}, **{**given, **more})


def one(found: list[Decision]) -> Decision:
    (decision,) = found
    return decision


HOLD = Hold.model_validate({
    "apiVersion": "mrc.dev/v1alpha1", "kind": "Hold", "metadata": {"environment": "production", "model": "fraud"},
    "spec": {"serve": {"version": "42"}, "by": "ana@example.com", "at": "2026-11-20T08:00:00Z", "reason": "big day"},
})  # fmt: skip


def test_a_rollback_that_is_to_come_is_a_wrong_clock() -> None:
    found = one(decide([failure()], state(model(incidents=(rolled_back(timedelta(days=-30)),))), NOW))
    assert found.action == "page"
    assert ["is a clock wrong?" in gate.saw for gate in found.reasons if not gate.passed] == [True]


def test_an_alert_brings_the_fallback_back_and_rejects_the_version() -> None:
    found = one(decide([failure()], state(), NOW))
    assert (found.action, found.verdict, found.after) == ("rollback", "rejected", serve(41, 40))
    assert not found.held


@pytest.mark.parametrize(
    ("gate", "world", "failed"),
    [
        ("hold", state(model(hold=HOLD)), failure()),
        ("age", state(), failure(onset=NOW - timedelta(minutes=21))),
        ("cooldown", state(model(incidents=(rolled_back(timedelta(minutes=29)),))), failure()),
        ("forward", state(model(incidents=(rolled_back(timedelta(hours=2), 43, 42),))), failure()),
        ("forward", state(model(incidents=(rolled_back(timedelta(hours=2), 43, 42), named_later()))), failure()),
        ("mass", state(failing=dict.fromkeys("abcdefghi", NOW)), failure()),
        ("environment", state(unhealthy=("nodes is 0",)), failure()),
        ("both", state(worse={("fraud", "errors", 41): "is 0.2"}), failure()),
        ("target", state(unfit={("fraud", 41): "gone", ("fraud", 40): "gone"}), failure()),
        ("target", state(model(rejected=frozenset({40, 41}))), failure()),
    ],
)
def test_after_the_promotion_every_gate_stops_it_and_people_are_told_which(
    gate: str, world: State, failed: Failure
) -> None:
    found = one(decide([failed], world, NOW))
    assert found.action == "page"
    assert found.after is None
    assert [each.name for each in found.reasons if not each.passed] == [gate]


def test_a_fleet_that_fails_one_model_after_another_is_seen_as_one() -> None:
    """Argo has two minutes to abort what it rolls out; until then nothing is done about it, and it counts."""
    names = ("fraud", "spam", "ads")
    models = tuple(model(name) for name in names)
    waiting = tuple(failure(model=name) for name in names[1:])
    running = {name: Running(name, 42, "progressing") for name in names[1:]}
    assert {each.action for each in decide(waiting, state(*models, running=running), NOW)} == {"nothing"}
    found = one(decide([failure()], state(*models, running=running, others=waiting, total=3), NOW))
    assert (found.action, found.frozen) == ("page", True)
    assert one(decide([failure()], state(*models, running=running, total=3), NOW)).action == "rollback"


@pytest.mark.parametrize(
    "world",
    [
        state(),
        state(model(hold=HOLD)),
        state(model(incidents=(rolled_back(timedelta(minutes=1)),))),
        state(unhealthy=("nodes is 0",)),
        state(failing=dict.fromkeys("abcdefghi", NOW)),
        state(worse={("fraud", "errors", 41): "is 0.2"}),
    ],
)
@pytest.mark.parametrize("blamed", [True, False])
def test_an_aborted_rollout_is_followed_whatever_else_is_the_case(world: State, blamed: bool) -> None:
    found = one(decide([failure("analysis", blamed=blamed)], world, NOW))
    assert found.action == "rollback"
    recent = any(each.incidents for each in world.models.values())
    excused = world.unhealthy or world.failing or world.worse or recent
    assert found.verdict == ("rejected" if blamed and not excused else "mayRetry")
    assert found.frozen == bool(world.failing)


def test_the_second_rollback_within_a_day_holds_the_model_unless_a_person_cleared_it_since() -> None:
    before = rolled_back(timedelta(hours=5))
    assert one(decide([failure()], state(model(incidents=(before,))), NOW)).held
    cleared = model(incidents=(before,), cleared=NOW - timedelta(hours=1))
    assert not one(decide([failure()], state(cleared), NOW)).held


@pytest.mark.parametrize(("minutes", "verdict"), [(29, "mayRetry"), (30, "rejected")])
def test_who_is_aborted_right_after_a_rollback_may_be_tried_again_and_counts_for_the_breaker(
    minutes: int, verdict: str
) -> None:
    world = state(model(incidents=(rolled_back(timedelta(minutes=minutes)),)))
    found = one(decide([failure("analysis")], world, NOW))
    assert (found.action, found.verdict, found.held) == ("rollback", verdict, True)
    (said,) = [each.saw for each in found.reasons if each.name == "cooldown"]
    assert said == f"the last rollback was {minutes}m ago; the limit is 30m"


def test_a_held_model_goes_to_the_newest_version_that_a_person_validated() -> None:
    world = state(model(incidents=(rolled_back(timedelta(hours=5)),), validated=frozenset({40})))
    assert one(decide([failure()], world, NOW)).after == serve(40)


def test_nothing_happens_while_argo_itself_can_still_abort() -> None:
    world = state(running={"fraud": Running("fraud", 42, "progressing")})
    assert one(decide([failure()], world, NOW)).action == "nothing"
    assert one(decide([failure(onset=NOW - timedelta(minutes=3))], world, NOW)).action == "rollback"


def test_what_git_does_not_name_any_more_is_nobodys_failure() -> None:
    assert one(decide([failure(version=41)], state(), NOW)).action == "nothing"
    assert one(decide([failure(model="gone")], state(), NOW)).action == "nothing"


kinds = st.sampled_from(["analysis", "deadline", "abort", "alert", "request"])
names = st.sampled_from(["fraud", "spam", "search", "price"])
failures = st.builds(
    lambda kind, name, version, minutes, blamed: failure(
        kind, name, version, onset=NOW - timedelta(minutes=minutes), blamed=blamed
    ),
    kinds, names, st.integers(39, 44), st.integers(0, 90), st.booleans(),
)  # fmt: skip
models = st.builds(
    lambda name, version, rejected, held, ago: model(
        name, serve=serve(version, version - 1), rejected=frozenset(rejected), hold=HOLD if held else None,
        versions=(39, 40, 41, 42, 43),
        incidents=tuple(rolled_back(timedelta(minutes=each)) for each in sorted(ago)[::-1]),
    ),
    names, st.integers(40, 43), st.sets(st.integers(39, 43), max_size=4), st.booleans(),
    st.sets(st.integers(1, 3000), max_size=3),
)  # fmt: skip


@given(st.lists(failures, max_size=8), st.lists(models, max_size=4), st.booleans())
def test_no_decision_serves_a_rejected_or_failed_version_or_moves_a_model_twice(
    found: list[Failure], there: list[ModelState], healthy: bool
) -> None:
    world = state(*there, unhealthy=() if healthy else ("nodes is 0",))
    decisions = decide(found, world, NOW)
    assert decisions == decide(reversed(found), world, NOW)
    assert {each.failure for each in decisions} == set(found)
    acted = [each.failure.model for each in decisions if each.action != "nothing"]
    assert len(acted) == len(set(acted))
    for each in decisions:
        assert each.reasons
        assert (each.after is not None) == (each.action == "rollback")
        if each.after is not None:
            own = world.models[each.failure.model]
            assert each.after.version != each.failure.version == own.serve.version
            assert not {each.after.version, each.after.fallback} & own.rejected
        if each.action == "rollback" and each.failure.kind == "alert":
            assert all(gate.passed for gate in each.reasons)


@given(st.lists(failures, max_size=8), st.lists(models, max_size=4), st.booleans())
def test_an_abort_is_always_followed_and_blames_only_what_a_rollback_could_have_been_for(
    found: list[Failure], there: list[ModelState], healthy: bool
) -> None:
    world = state(*there, unhealthy=() if healthy else ("nodes is 0",))
    for each in decide(found, world, NOW):
        own = world.models.get(each.failure.model)
        if not each.failure.aborted or own is None or each.action == "nothing":
            continue
        if each.action == "page":
            assert each.reasons[-1].name == "target", "nothing but a missing target stops it"
        recent = any(NOW - past.spec.times.decided < timedelta(minutes=30) for past in own.incidents)
        assert each.verdict != "rejected" or (healthy and not recent and not each.frozen and each.failure.blamed)
        assert each.failure.kind != "abort" or each.verdict == "none"
