"""The passes composed: what the command line calls."""

from collections.abc import Iterable
from dataclasses import dataclass
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
    """A fleet with everything that was found about it. `objects` says which documents there are."""

    objects: Objects
    fleet: Fleet
    diagnostics: list[Diagnostic]

    @property
    def failed(self) -> bool:
        """Whether anything forbids rendering."""
        return has_errors(self.diagnostics)


def analyse(
    tree: Tree, models: Iterable[str] | None = None, base: Tree | None = None, now: datetime | None = None
) -> Compiled:
    """Read, parse, link and check; only these models when they are given. `now` is what freezes are judged at."""
    objects, found = load(tree, models)
    fleet, problems = link(objects)
    found += problems
    before = None
    if base is not None:
        before = Base(base, link(load(base, models)[0])[0])
    broken = {item.file for item in problems if item.severity is Severity.ERROR}
    found += [
        item
        for item in check(fleet, tree, before, now)
        if item.code not in MISSING_GUARDRAIL or item.file not in broken
    ]
    return Compiled(objects, fleet, sorted(set(found)))


def artifacts(fleet: Fleet, environments: Iterable[str] | None = None) -> dict[str, list[Artifact]]:
    """The rendered files by folder (`rendered/<environment>/<model>`)."""
    wanted = set(environments) if environments is not None else None
    return {
        release.folder: render(release)
        for release in fleet.releases
        if wanted is None or release.environment_name in wanted
    }
