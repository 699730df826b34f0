"""What a decision rests on beyond the tree: how healthy environment and targets are. Asked only where it matters."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from mrc.compile import Compiled, linked
from mrc.reconcile.decide import Decision, decide
from mrc.reconcile.failure import Failure
from mrc.reconcile.gittree import GitTree
from mrc.reconcile.monitoring import MonitoringError
from mrc.reconcile.state import State
from mrc.reconcile.verify import manifest, problem

BATCH = 100
"""How many rollbacks one commit carries, so that the first of a thousand does not wait for the last."""


class Monitoring(Protocol):
    """What is asked of Prometheus before a decision."""

    def problems(self, healthy: Mapping[str, str]) -> tuple[str, ...]: ...
    def worse(self, environment: str, model: str, guardrail: str, version: int) -> str | None: ...


def gathered(
    state: State, due: list[Failure], tree: GitTree, monitoring: Monitoring, now: datetime
) -> tuple[State, set[str]]:
    """The state with what was asked, and the causes that are too many for one commit."""
    # Where the answer is known already, nothing is asked: most failures are seen again and again.
    moving = [one for one in decide(due, state, now) if one.action == "rollback"]
    if not moving:
        return state, set()
    moving, later = moving[:BATCH], {one.failure.cause for one in moving[BATCH:]}
    state = replace(state, unhealthy=monitoring.problems(state.settings.healthy))
    state = _verified(state, moving, tree, now)
    worse: dict[tuple[str, str, int], str] = {}
    for decision in _rollbacks(moving, state, now):
        if decision.verdict == "rejected" and not state.unhealthy:
            worse |= _worse(decision, state, monitoring)
    return replace(state, worse=worse), later


def _rollbacks(moving: Iterable[Decision], state: State, now: datetime) -> list[Decision]:
    again = decide((one.failure for one in moving), state, now)
    return [one for one in again if one.action == "rollback"]


def _verified(state: State, moving: Iterable[Decision], tree: GitTree, now: datetime) -> State:
    """Every target that would be chosen is looked at before it is; one that is not what was promised leaves its place
    to the next."""
    seen: set[tuple[str, int]] = set()
    shared = linked(tree, [])
    while True:
        new = {
            (one.failure.model, int(one.after.version)): one.failure
            for one in moving
            if one.after is not None and (one.failure.model, int(one.after.version)) not in seen
        }
        if not new:
            return state
        seen |= new.keys()
        faults = {place: _fault(tree, shared, state, failure, place[1]) for place, failure in new.items()}
        state = replace(state, unfit={**state.unfit, **{place: fault for place, fault in faults.items() if fault}})
        moving = _rollbacks(moving, state, now)


def _fault(tree: GitTree, shared: Compiled, state: State, failure: Failure, version: int) -> str | None:
    """What is wrong with a version's files."""
    promised = manifest(linked(tree, [failure.model], shared).fleet, failure.model, state.environment, version)
    if promised is None:
        return "cannot be rendered"
    return problem(promised, state.settings.verify.seconds, patient=failure.aborted)


def _worse(decision: Decision, state: State, monitoring: Monitoring) -> dict[tuple[str, str, int], str]:
    """The guardrails that saw the failure and that are worse in the target, too."""
    assert decision.after is not None
    model, version = decision.failure.model, int(decision.after.version)
    found: dict[tuple[str, str, int], str] = {}
    for name, _ in decision.failure.evidence:
        try:
            saw = monitoring.worse(state.environment, model, name, version)
        except MonitoringError as fault:
            saw = f"cannot be asked: {fault}"
        if saw is not None:
            found[model, name, version] = saw
    return found
