"""What a decision rests on beyond the tree: how healthy environment and targets are. Asked only where it matters."""

from collections.abc import Container, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from itertools import repeat
from typing import Protocol

from mrc.compile import Compiled, linked
from mrc.fetch import Manifest
from mrc.reconcile.decide import Decision, decide
from mrc.reconcile.failure import Failure
from mrc.reconcile.gittree import GitTree
from mrc.reconcile.monitoring import MonitoringError
from mrc.reconcile.state import State
from mrc.reconcile.verify import manifest, problem

BATCH = 100
"""How many rollbacks one commit carries, so that the first of a thousand does not wait for the last."""

REQUESTS = 20
"""How many pull requests one pass asks for: each takes the forge some seconds, and /healthz has two minutes."""
AT_ONCE = 32
"""How many targets are looked at together."""


class Monitoring(Protocol):
    """What is asked of Prometheus before a decision."""

    def problems(self, healthy: Mapping[str, str]) -> tuple[str, ...]: ...
    def worse(self, environment: str, model: str, guardrail: str, version: int) -> str | None: ...


def gathered(
    state: State, due: list[Failure], tree: GitTree, monitoring: Monitoring, now: datetime, *, apart: bool
) -> tuple[State, set[str]]:
    """The state with what was asked, and the causes that are too many for one pass. `apart`: each is a pull request."""
    # Where the answer is known already, nothing is asked: most failures are seen again and again.
    moving = _rollbacks(due, state, now)
    if not moving:
        return state, set()
    most = REQUESTS if apart else BATCH
    batch = {one.failure.cause for one in moving[:most]}
    later = {one.failure.cause for one in moving[most:]}
    state = replace(state, unhealthy=monitoring.problems(state.settings.healthy))
    state, moving = _verified(state, due, batch, tree, now)
    worse: dict[tuple[str, str, int], str] = {}
    for decision in moving:
        if decision.verdict == "rejected" and not state.unhealthy:
            worse |= _worse(decision, state, monitoring)
    return replace(state, worse=worse), later


def _rollbacks(due: list[Failure], state: State, now: datetime, among: Container[str] | None = None) -> list[Decision]:
    found = [one for one in decide(due, state, now) if one.action == "rollback"]
    return [one for one in found if among is None or one.failure.cause in among]


def _verified(
    state: State, due: list[Failure], batch: Container[str], tree: GitTree, now: datetime
) -> tuple[State, list[Decision]]:
    """Every target that would be chosen is looked at before it is; one that is not what was promised leaves its place
    to the next."""
    seen: set[tuple[str, int]] = set()
    shared = linked(tree, [])
    # All at once: a store that is slow must not be waited for once for each model.
    with ThreadPoolExecutor(AT_ONCE) as pool:
        while True:
            moving = _rollbacks(due, state, now, batch)
            new = {
                (one.failure.model, int(one.after.version)): one.failure
                for one in moving
                if one.after is not None and (one.failure.model, int(one.after.version)) not in seen
            }
            if not new:
                return state, moving
            seen |= new.keys()
            promised = [_promised(tree, shared, state, *place) for place in new]
            answers = pool.map(_fault, promised, repeat(state), new.values())
            unfit = {place: fault for place, fault in zip(new, answers, strict=True) if fault is not None}
            state = replace(state, unfit={**state.unfit, **unfit})


def _promised(tree: GitTree, shared: Compiled, state: State, model: str, version: int) -> Manifest | None:
    return manifest(linked(tree, [model], shared).fleet, model, state.environment, version)


def _fault(promised: Manifest | None, state: State, failure: Failure) -> str | None:
    """What is wrong with a version's files."""
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
