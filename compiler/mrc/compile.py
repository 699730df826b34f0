"""The passes composed: what the command line calls."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from mrc.check import MISSING_GUARDRAIL, Base, check
from mrc.diagnostics import Diagnostic, Severity, has_errors
from mrc.link import Fleet, link
from mrc.load import Objects, load
from mrc.render import render
from mrc.render.artifact import Artifact
from mrc.tree import Tree


@dataclass(frozen=True)
class Compiled:
    """A fleet with everything that was found about it. `objects` says which documents there are.

    `broken` are the files that could not be read, parsed or linked: what hangs on them is not whole. `before` is the
    base that it was checked against, itself not checked.
    """

    objects: Objects
    fleet: Fleet
    diagnostics: list[Diagnostic]
    broken: frozenset[str]
    before: "Compiled | None" = None

    @property
    def failed(self) -> bool:
        """Whether anything forbids rendering."""
        return has_errors(self.diagnostics)


def analyse(
    tree: Tree, models: Iterable[str] | None = None, base: Tree | None = None, now: datetime | None = None
) -> Compiled:
    """Read, parse, link and check; only these models when they are given. `now` is what freezes are judged at."""
    linked = _linked(tree, models)
    before = _linked(base, models) if base is not None else None
    checked = check(
        linked.fleet, tree, Base(base, before.fleet) if base is not None and before is not None else None, now
    )
    found = [item for item in checked if item.code not in MISSING_GUARDRAIL or item.file not in linked.broken]
    return replace(linked, diagnostics=sorted({*linked.diagnostics, *found}), before=before)


def _linked(tree: Tree, models: Iterable[str] | None) -> Compiled:
    objects, found = load(tree, models)
    fleet, problems = link(objects)
    found += problems
    broken = {item.file for item in found if item.severity is Severity.ERROR}
    return Compiled(objects, fleet, found, frozenset(broken))


def artifacts(fleet: Fleet, environments: Iterable[str] | None = None) -> dict[str, list[Artifact]]:
    """The rendered files by folder (`rendered/<environment>/<model>`)."""
    wanted = set(environments) if environments is not None else None
    return {
        release.folder: render(release)
        for release in fleet.releases
        if wanted is None or release.environment_name in wanted
    }
