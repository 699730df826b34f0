"""Failures to decisions. Pure: no clock, no network; all failures at once, so that a fleet that fails is seen as one.

An aborted Rollout is always followed in git; what varies is the verdict. After the promotion a rollback moves traffic,
and every gate must allow it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from mrc.reconcile import gates
from mrc.reconcile.failure import Failure
from mrc.reconcile.gates import Gate
from mrc.reconcile.state import ModelState, State
from mrc.schema.incident import Verdict
from mrc.schema.policy import Serve
from mrc.schema.units import Positive

PATIENCE = timedelta(minutes=2)
"""While Argo rolls a version out, its own analysis aborts faster than a commit; it has this long."""
QUIET = timedelta(hours=1)
"""Nobody is paged again for the same version within this time."""


@dataclass(frozen=True)
class Decision:
    """What is done about one failure. `nothing` leaves no record in git: it is the case already, or not yet due."""

    failure: Failure
    action: Literal["rollback", "page", "nothing"]
    reasons: tuple[Gate, ...]
    verdict: Verdict = "none"
    before: Serve | None = None
    after: Serve | None = None
    held: bool = False
    frozen: bool = False
    """Whether the whole environment is held with it."""


def decide(failures: Iterable[Failure], state: State, now: datetime) -> list[Decision]:
    """One decision a failure, in an order that does not depend on theirs."""
    ordered = sorted(set(failures), key=_order)
    mass = gates.mass((*ordered, *state.others), state, now)
    found: list[Decision] = []
    moved: dict[str, str] = {}
    for failure in ordered:
        if failure.model in moved:
            gate = Gate("once", False, f"{failure.model} is moved by {moved[failure.model]} already")
            found.append(Decision(failure, "nothing", (gate,)))
            continue
        decision = _one(failure, state, now, mass)
        if decision.action != "nothing":
            moved[failure.model] = failure.incident
        found.append(decision)
    return found


def _order(one: Failure) -> tuple[object, ...]:
    """First what Argo has done already, then what a person wants; the rest is for an order that is always the same."""
    return not one.aborted, one.kind != "request", one.onset, one.cause, one.version, not one.blamed, one.message


def targets(model: ModelState, failed: int, *, demands_validated: bool) -> list[int]:
    """The versions that could serve instead, in the order in which they are tried: the fallback, then older ones."""
    older = sorted((number for number in model.versions if number < failed), reverse=True)
    fallback = [int(model.serve.fallback)] if model.serve.fallback is not None else []
    allowed = [
        number
        for number in dict.fromkeys([*fallback, *older])
        if number != failed and number in model.versions and number not in model.rejected
    ]
    return [number for number in allowed if number in model.validated] if demands_validated else allowed


def _one(failure: Failure, state: State, now: datetime, mass: Gate) -> Decision:
    model = state.models.get(failure.model)
    if model is None:
        gate = Gate("git", False, f"{failure.model} does not serve in {state.environment}, or cannot be read")
        return Decision(failure, "nothing", (gate,))
    known = _known(failure, model, now)
    if known is not None:
        return Decision(failure, "nothing", (known,), before=model.serve)
    serving = int(model.serve.version)
    if serving != failure.version:
        saw = f"git names version {serving}; {failure.version} is what failed"
        return Decision(failure, "nothing", (Gate("git", False, saw),), before=model.serve)
    reasons = [Gate("git", True, f"git names version {serving}")]
    if failure.incident in state.withdrawn:
        # A second rollback would be a quarrel with a person, without end: they are told what they have now.
        saw = f"somebody has taken what was done about it out of git again, and git names version {serving}"
        return Decision(failure, "page", (*reasons, Gate("withdrawn", False, saw)), before=model.serve)
    if failure.aborted:
        return _follow(failure, model, state, now, mass, reasons)
    if failure.kind == "request":
        return _request(failure, model, state, reasons)
    return _gated(failure, model, state, now, mass, reasons)


def _known(failure: Failure, model: ModelState, now: datetime) -> Gate | None:
    if failure.incident in model.declined:
        saw = f"a person closed the pull request of incident {failure.incident}, or changed its branch"
        return Gate("once", False, saw)
    for incident in model.incidents:
        if incident.metadata.id == failure.incident:
            return Gate("once", False, f"it is incident {failure.incident}, which git has")
        if incident.metadata.id in model.asked and int(incident.spec.cause.version) == failure.version:
            saw = f"the pull request of {incident.metadata.id} is about version {failure.version} already"
            return Gate("once", False, saw)
        paged = incident.spec.action == "page" and int(incident.spec.cause.version) == failure.version
        if failure.kind == "alert" and paged and abs(now - incident.spec.times.decided) < QUIET:
            return Gate("once", False, f"people were paged for version {failure.version} by {incident.metadata.id}")
    return None


def _follow(
    failure: Failure, model: ModelState, state: State, now: datetime, mass: Gate, reasons: list[Gate]
) -> Decision:
    """The traffic is back on stable: git must say so, or the next edit starts the bad version again.

    What stops a rollback after the promotion stops the blame here: it may be something else that fails.
    """
    healthy, calm = gates.healthy(state), gates.cooldown(model, state, now)
    _, target, _, _ = _target(failure, model, state, now)
    both = gates.both(failure, model, state, target)
    reasons += [calm, healthy, mass, both]
    if failure.kind == "abort":
        verdict: Verdict = "none"
        reasons.append(Gate("verdict", True, "a person aborted: nothing is held against the version"))
    elif failure.blamed and all(gate.passed for gate in (calm, healthy, mass, both)):
        verdict = "rejected"
        reasons.append(Gate("verdict", True, "the analysis found it worse, and the environment was healthy"))
    else:
        verdict = "mayRetry"
        reasons.append(Gate("verdict", True, f"{_excuse(failure, calm)}: the version may be tried again"))
    return _moved(failure, model, state, now, mass, reasons, verdict)


def _excuse(failure: Failure, calm: Gate) -> str:
    if not failure.blamed:
        return "the analysis could not tell"
    return "the environment may be to blame" if calm.passed else "it may be what failed before, and not the version"


def _gated(
    failure: Failure, model: ModelState, state: State, now: datetime, mass: Gate, reasons: list[Gate]
) -> Decision:
    running = state.running.get(failure.model)
    age = now - failure.onset
    if running is not None and running.phase in ("progressing", "paused") and age < PATIENCE:
        saw = f"Argo is rolling version {running.version} out, and its analysis has {gates.words(PATIENCE)} to abort"
        return Decision(failure, "nothing", (*reasons, Gate("rollout", False, saw)), before=model.serve)
    reasons += [
        gates.unheld(model, state),
        Gate("age", age <= gates.delta(state.settings.oldest),
             f"it began {gates.words(age)} ago; the limit is {state.settings.oldest}"),
        gates.cooldown(model, state, now),
        gates.forward(model),
        mass,
        gates.healthy(state),
    ]  # fmt: skip
    if not all(gate.passed for gate in reasons):
        return _paged(failure, model, reasons, mass)
    return _moved(failure, model, state, now, mass, reasons, "rejected")


def _request(failure: Failure, model: ModelState, state: State, reasons: list[Gate]) -> Decision:
    reasons.append(Gate("person", True, f"{failure.by} asked for it: {failure.message}"))
    order = targets(model, failure.version, demands_validated=state.demands_validated)
    wanted = [failure.target] if failure.target is not None else order
    target = next((number for number in wanted if number in order and (model.name, number) not in state.unfit), None)
    if target is None:
        reasons.append(_no_target(model, failure, state, wanted))
        return Decision(failure, "page", tuple(reasons), before=model.serve)
    reasons.append(Gate("target", True, _chosen(model, target)))
    after = _serve(target, order)
    return Decision(failure, "rollback", tuple(reasons), "rejected", model.serve, after, held=model.hold is not None)


def _moved(
    failure: Failure, model: ModelState, state: State, now: datetime, mass: Gate, reasons: list[Gate], verdict: Verdict
) -> Decision:
    order, target, breaker, spent = _target(failure, model, state, now)
    if target is None:
        reasons.append(_no_target(model, failure, state, order))
        return _paged(failure, model, reasons, mass)
    reasons.append(Gate("target", True, _chosen(model, target)))
    if not failure.aborted:
        both = gates.both(failure, model, state, target)
        reasons.append(both)
        if not both.passed:
            return _paged(failure, model, reasons, mass)
    reasons.append(breaker)
    held = (spent and failure.kind != "abort") or model.hold is not None
    return Decision(
        failure, "rollback", tuple(reasons), verdict, model.serve, _serve(target, order), held, frozen=not mass.passed
    )


def _target(
    failure: Failure, model: ModelState, state: State, now: datetime
) -> tuple[list[int], int | None, Gate, bool]:
    """Everything that is tried, the first that is fit, and whether going there is what the model is held for."""
    order = targets(model, failure.version, demands_validated=state.demands_validated)
    fit = [number for number in order if (model.name, number) not in state.unfit]
    breaker, spent = gates.breaker(model, state, now)
    trusted = [number for number in fit if number in model.validated] if spent and failure.kind != "abort" else []
    return order, max(trusted) if trusted else next(iter(fit), None), breaker, spent


def _paged(failure: Failure, model: ModelState, reasons: list[Gate], mass: Gate) -> Decision:
    return Decision(failure, "page", tuple(reasons), before=model.serve, frozen=not mass.passed)


def _serve(target: int, order: list[int]) -> Serve:
    fallback = next((number for number in order if number < target), None)
    return Serve(version=Positive(target), fallback=Positive(fallback) if fallback is not None else None)


def _chosen(model: ModelState, target: int) -> str:
    fallback = model.serve.fallback
    which = "the fallback" if fallback is not None and target == fallback else "the newest that is left"
    return f"version {target}, {which}"


def _no_target(model: ModelState, failure: Failure, state: State, tried: Iterable[int]) -> Gate:
    parts = [
        f"version {number}: {unfit}"
        if (unfit := state.unfit.get((model.name, number)))
        else f"version {number} {_why_not(model, number, failure, state)}"
        for number in tried
    ]
    rejected = [str(number) for number in sorted(model.rejected) if str(number) not in parts]
    saw = "; ".join(parts) if parts else "there is no older version that may serve"
    if rejected:
        saw += f" (rejected: {', '.join(rejected)})"
    return Gate("target", False, saw)


def _why_not(model: ModelState, number: int, failure: Failure, state: State) -> str:
    if number not in model.versions:
        return "does not exist"
    if number in model.rejected:
        return f"was rejected in {state.environment}"
    if state.demands_validated and number not in model.validated:
        return "is not validated"
    return "is not older than what failed" if number >= failure.version else "cannot serve"


def settled(decision: Decision, why: str) -> Decision:
    """The same failure, handed over to people: what was decided could not be written."""
    gate = Gate("check", False, why)
    return replace(decision, action="page", verdict="none", after=None, held=False, reasons=(*decision.reasons, gate))
