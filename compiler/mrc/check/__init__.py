"""What is wrong with a fleet that parses and links. One theme a file; no rule renders."""

from datetime import datetime

from mrc.check import (
    detecting,
    history,
    holds,
    hooks,
    limits,
    looser,
    names,
    promotions,
    restoring,
    safety,
    samples,
    sessions,
    strategies,
    verdicts,
)
from mrc.check.history import Base
from mrc.diagnostics import Diagnostic, Rule
from mrc.link import Fleet
from mrc.tree import Tree

RULES: tuple[Rule, ...] = (
    *safety.RULES,
    *strategies.RULES,
    *sessions.RULES,
    *names.RULES,
    *verdicts.RULES,
    *limits.RULES,
    *detecting.RULES,
    *samples.RULES,
    *restoring.RULES,
    *history.RULES,
    *looser.RULES,
    *promotions.RULES,
    *holds.RULES,
    *hooks.RULES,
)

# A guardrail that did not link would be reported again as one that is missing.
MISSING_GUARDRAIL = frozenset(
    rule.code
    for rule in (
        safety.NO_HARD,
        safety.NO_CRASHES,
        limits.MISSING_GUARDRAIL,
        detecting.ONLY_COMPARED,
        looser.LOOSER,
    )
)


def check(fleet: Fleet, tree: Tree, base: Base | None, now: datetime | None = None) -> list[Diagnostic]:
    """Every finding. Without a base, what was merged before is not compared; without a time, no freeze is judged."""
    found: list[Diagnostic] = []
    for release in fleet.releases:
        found += safety.check(release)
        found += strategies.check(release)
        found += sessions.check(release)
        found += verdicts.check(release)
        found += limits.check(release)
        found += detecting.check(release)
        found += samples.check(release)
        found += restoring.check(release)
        found += hooks.check(release)
    found += names.check(fleet)
    found += holds.check(fleet, base.fleet if base is not None else None)
    found += promotions.check(fleet, base.fleet if base is not None else None, now)
    if base is not None:
        found += history.check(tree, fleet, base)
        found += looser.check(fleet, base.fleet)
        found += verdicts.written(tree, fleet, base.tree, base.fleet)
    return found


__all__ = ["MISSING_GUARDRAIL", "RULES", "Base", "check"]
