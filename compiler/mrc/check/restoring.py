"""How long may a failure last, at worst, and is the fallback still warm when it is seen?"""

from collections.abc import Sequence

from mrc.diagnostics import Diagnostic, error
from mrc.link import Release
from mrc.read import Path
from mrc.schema.units import Duration
from mrc.timing import Part, Phase, Way, restore, slowest

OVER_BUDGET = error(
    "MRC351", "going back takes longer than its budget",
    reason="The parts are worst cases that add up; on the day on which it matters, some of them will be.",
    hint="shorten what is longest: the window, the way back, the start, the lifetime of sessions; or correct "
    "timeToRestore",
)  # fmt: skip
BUDGET_TOO_LONG = error(
    "MRC352", "a budget longer than the environment's",
    reason="The environment's owners say how long a failure may last there.",
    hint="write a timeToRestore of at most theirs",
)  # fmt: skip
WARM_TOO_SHORT = error(
    "MRC353", "warm ends before the slowest guardrail that rolls back has been heard",
    reason="A version that is bad from the promotion on is found after a window; if the fallback is gone by then, "
    "going back is a cold start.",
    hint="keep the fallback warm for longer, or let the guardrail page",
)  # fmt: skip
RULES = (OVER_BUDGET, BUDGET_TOO_LONG, WARM_TOO_SHORT)

_WHEN: dict[Phase, str] = {
    "rollout": "during the rollout",
    "bake": "in the bake",
    "warm": "after the promotion, while the fallback is warm",
    "cold": "after the promotion, when nothing is warm",
}


def check(release: Release) -> list[Diagnostic]:
    """Findings about one release."""
    ways = restore(release)
    return [*_budget(release, ways), *_warm(release, ways)]


def _budget(release: Release, ways: Sequence[Way]) -> list[Diagnostic]:
    found: list[Diagnostic] = []
    document, place = release.policy_document, (*release.path, "timeToRestore")
    own, demanded = release.policy.time_to_restore, release.environment.spec.limits.time_to_restore
    if own is not None and demanded is not None and own > demanded:
        message = f"timeToRestore is {own}, and {release.environment_name} allows at most {demanded}"
        found.append(document.report(BUDGET_TOO_LONG, place, message))
    given = [budget for budget in (own, demanded) if budget is not None]
    if not given:
        return found
    budget = min(given)
    promoted: Phase = "warm" if release.policy.warm is not None else "cold"
    for phase in ("rollout", "bake", promoted):
        way = slowest(ways, phase, "immediate", "short")
        if way is not None and (way.restored > budget or way.approvals):
            at: Path = place if own is not None else _phase(release, phase)
            message = (
                f"{_WHEN[way.phase]} in {release.environment_name}: {way.guardrail.name} is seen within {way.seen} "
                f"({_sum(way.detection)}), and the fallback serves {way.back} later ({_sum(way.execution)}): "
                f"{way.restored}{_approved(way)}, and the budget is {budget}"
            )
            found.append(document.report(OVER_BUDGET, at, message))
    return found


def _phase(release: Release, phase: Phase) -> Path:
    keys: dict[Phase, str] = {"bake": "bake", "warm": "warm"}
    return (*release.path, keys[phase]) if phase in keys else release.path


def _approved(way: Way) -> str:
    return "".join(f" and an approval by {group}, for which nobody knows how long" for group in way.approvals)


def _sum(parts: tuple[Part, ...]) -> str:
    return " + ".join(f"{name} {long}" for name, long in parts)


def _warm(release: Release, ways: Sequence[Way]) -> list[Diagnostic]:
    warm = release.policy.warm
    listening = [way for way in ways if way.phase == "warm"]
    if warm is None or not listening:
        return []
    way = max(listening, key=lambda way: way.restored)
    if warm >= way.restored:
        return []
    message = (
        f"warm is {warm} in {release.environment_name}, and {way.guardrail.name} takes {way.seen} to be seen "
        f"(window {way.guardrail.window}) and {way.back} to be acted on: {Duration(way.restored)}"
    )
    return [release.policy_document.report(WARM_TOO_SHORT, (*release.path, "warm"), message)]
