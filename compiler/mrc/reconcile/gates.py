"""What is looked at before a decision, one gate each: the values seen, the limits, the times. Pure."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from mrc.reconcile.failure import Failure
from mrc.reconcile.state import ModelState, State
from mrc.schema.units import Duration

FEWEST = 3
"""Fewer distinct models than this that fail are never a failing environment."""
MASS_WINDOW = timedelta(hours=1)
BREAKER_WINDOW = timedelta(days=1)


@dataclass(frozen=True)
class Gate:
    """One thing that was looked at: the values seen, the limits, the times."""

    name: str
    passed: bool
    saw: str


def unheld(model: ModelState, state: State) -> Gate:
    hold = model.hold or state.hold
    if hold is None and model.unread is not None:
        return Gate("hold", False, f"{model.unread} cannot be read: nobody can tell whether it is held")
    if hold is None:
        return Gate("hold", True, "it is not held")
    what = model.name if model.hold is not None else state.environment
    return Gate("hold", False, f"{what} is held since {hold.spec.at} by {hold.spec.by}: {hold.spec.reason}")


def cooldown(model: ModelState, state: State, now: datetime) -> Gate:
    limit = state.settings.cooldown
    last = max((one.spec.times.decided for one in model.incidents if one.spec.action == "rollback"), default=None)
    if last is None:
        return Gate("cooldown", True, "it was never rolled back")
    ago = now - last
    if ago < timedelta(0):
        return Gate("cooldown", False, f"the last rollback is dated {last}, which is to come: is a clock wrong?")
    return Gate("cooldown", ago >= delta(limit), f"the last rollback was {words(ago)} ago; the limit is {limit}")


def forward(model: ModelState) -> Gate:
    """Never a rollback of a rollback: if the way back was wrong as well, it is not about the version."""
    moves = [one for one in model.incidents if one.automatic and one.spec.after is not None]
    last = max(moves, key=lambda one: one.spec.times.decided, default=None)
    if last is not None and last.spec.after is not None and last.spec.after.version == model.serve.version:
        saw = f"version {int(model.serve.version)} is what {last.metadata.id} went back to"
        return Gate("forward", False, saw)
    return Gate("forward", True, "it was promoted, not gone back to")


def healthy(state: State) -> Gate:
    saw = "; ".join(state.unhealthy) or "Prometheus answers, and every check holds"
    return Gate("environment", not state.unhealthy, saw)


def spent(model: ModelState, now: datetime) -> int:
    """The rollbacks that count for the breaker."""
    since = max(at for at in (now - BREAKER_WINDOW, model.cleared) if at is not None)
    return sum(one.automatic and one.spec.times.decided > since for one in model.incidents)


def breaker(model: ModelState, state: State, now: datetime) -> tuple[Gate, bool]:
    """Whether this rollback is the one after which the model is held."""
    count, limit = spent(model, now) + 1, int(state.settings.breaker)
    saw = f"rollback {count} within {words(BREAKER_WINDOW)}; at {limit} the model is held"
    return Gate("breaker", True, saw), count >= limit


def mass(failures: Iterable[Failure], state: State, now: datetime) -> Gate:
    """Distinct models: the ones that fail now, and those with an incident within the window."""
    now_failing = {one.model for one in failures if one.kind not in ("request", "abort") and _current(one, state, now)}
    since = max(at for at in (now - MASS_WINDOW, state.cleared) if at is not None)  # people looked at what was before
    before = {name for name, at in state.failing.items() if at > since}
    count = len(now_failing | before)
    limit = max(FEWEST, math.ceil(state.settings.mass * state.total))
    saw = f"{count} of {state.total} models failed within {words(MASS_WINDOW)}; the limit is {limit}"
    return Gate("mass", count < limit, saw)


def _current(failure: Failure, state: State, now: datetime) -> bool:
    """Whether it is about what serves, and recent: an old failure says nothing of this hour."""
    model = state.models.get(failure.model)
    return model is not None and model.serve.version == failure.version and now - failure.onset < MASS_WINDOW


def delta(duration: Duration) -> timedelta:
    return timedelta(milliseconds=int(duration))


def words(delta: timedelta) -> str:
    """A length of time in the two largest units that say something."""
    seconds = max(0, round(delta.total_seconds()))
    if seconds < 60:
        return f"{seconds}s"
    parts = [(seconds // 86400, "d"), (seconds // 3600 % 24, "h"), (seconds // 60 % 60, "m"), (seconds % 60, "s")]
    return "".join(f"{count}{unit}" for count, unit in [part for part in parts if part[0]][:2])


def both(failure: Failure, model: ModelState, state: State, target: int | None) -> Gate:
    """Whether what failed is worse in the target, too: then it is the environment, not the version."""
    found = [
        f"{name} {state.worse[model.name, name, target]}"
        for name, _ in failure.evidence
        if target is not None and (model.name, name, target) in state.worse
    ]
    which = f"version {target}" if target is not None else "no version"
    saw = f"{which} is worse too: {'; '.join(found)}" if found else f"{which} is not seen as worse"
    return Gate("both", not found, saw)
