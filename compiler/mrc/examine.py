"""Everything that is wrong with a tree: each model on its own, on every core. Nothing is rendered."""

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from mrc.check.names import named_after
from mrc.compile import analyse_models, shared
from mrc.cores import on_every_core
from mrc.diagnostics import Diagnostic
from mrc.load import entries, incidents
from mrc.tree import Tree


class Examined(NamedTuple):
    """How many releases there are, and every finding."""

    releases: int
    diagnostics: list[Diagnostic]


def examine(
    tree: Tree,
    base: Tree | None = None,
    now: datetime | None = None,
    progress: Callable[[int, int], None] = lambda done, whole: None,
) -> Examined:
    """Check all of the tree, against a base where there is one. `now` is what freezes are judged at.

    `progress` is told how many models are done. Raises what reading the base raises.
    """
    common = shared(tree)
    before = shared(base, common.objects) if base is not None else None
    names, problems = entries(tree)
    among = frozenset(names)

    def one(name: str) -> tuple[int, list[Diagnostic]]:
        other = named_after(name)
        compiled = analyse_models(common, [name, other] if other in among else [name], before, now)
        model = compiled.fleet.models.get(name)
        return len(model.releases) if model is not None else 0, compiled.diagnostics

    # What is no model's: a folder that is a link, an environment that demands less than before, an incident.
    found = {*common.diagnostics, *problems, *incidents(tree)}
    found.update(analyse_models(common, [], before, now).diagnostics)
    releases = 0
    for done, (count, diagnostics) in enumerate(on_every_core(one, names), 1):
        releases += count
        found.update(diagnostics)
        progress(done, len(names))
    return Examined(releases, sorted(found))
