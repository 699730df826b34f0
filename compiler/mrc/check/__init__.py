"""What is wrong with a fleet that parses and links. One theme a file; no rule renders."""

from mrc.check import history, limits, safety, verdicts
from mrc.check.history import Base
from mrc.diagnostics import Diagnostic, Rule
from mrc.link import Fleet
from mrc.tree import Tree

RULES: tuple[Rule, ...] = (*safety.RULES, *verdicts.RULES, *limits.RULES, *history.RULES)


def check(fleet: Fleet, tree: Tree, base: Base | None) -> list[Diagnostic]:
    """Every finding. Without a base, what was merged before is not compared."""
    found: list[Diagnostic] = []
    for release in fleet.releases:
        found += safety.check(release)
        found += verdicts.check(release)
        found += limits.check(release)
    if base is not None:
        found += history.check(tree, fleet, base)
    return found


__all__ = ["RULES", "Base", "check"]
