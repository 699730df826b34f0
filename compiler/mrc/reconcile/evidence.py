"""What a decision rests on beyond the tree: how healthy environment and targets are. Asked only where it matters."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from mrc.compile import analyse
from mrc.reconcile.decide import Decision, decide, targets
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
    unhealthy = monitoring.problems(state.settings.healthy)
    worse: dict[tuple[str, str, int], str] = {}
    unfit: dict[tuple[str, int], str] = {}
    for decision in moving:
        unfit |= _unfit(tree, decision.failure, state)
        if decision.verdict == "rejected" and decision.failure.kind != "request" and not unhealthy:
            worse |= _worse(decision, state, unfit, monitoring)
    return replace(state, unhealthy=unhealthy, worse=worse, unfit=unfit), later


def _worse(
    decision: Decision, state: State, unfit: Mapping[tuple[str, int], str], monitoring: Monitoring
) -> dict[tuple[str, str, int], str]:
    """The guardrails that saw the failure and that are worse in a target, too."""
    failure = decision.failure
    tried = targets(state.models[failure.model], failure.version, demands_validated=state.demands_validated)
    if failure.aborted:  # git follows in any case: what the target does bears on the verdict alone
        tried = [number for number in tried if (failure.model, number) not in unfit][:1]
    found: dict[tuple[str, str, int], str] = {}
    for number in tried:
        for name, _ in failure.evidence:
            try:
                saw = monitoring.worse(state.environment, failure.model, name, number)
            except MonitoringError as fault:
                saw = f"cannot be asked: {fault}"
            if saw is not None:
                found[failure.model, name, number] = saw
    return found


def _unfit(tree: GitTree, failure: Failure, state: State) -> dict[tuple[str, int], str]:
    """The targets up to the first good one that are not what was promised."""
    fleet = analyse(tree, [failure.model]).fleet
    found: dict[tuple[str, int], str] = {}
    for number in targets(state.models[failure.model], failure.version, demands_validated=state.demands_validated):
        promised = manifest(fleet, failure.model, state.environment, number)
        if promised is None:
            found[failure.model, number] = "cannot be rendered"
            continue
        fault = problem(promised, state.settings.verify.seconds, patient=failure.aborted)
        if fault is None:
            break
        found[failure.model, number] = fault
    return found
