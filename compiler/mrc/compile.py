"""The passes composed: what the command line calls."""

from collections.abc import Collection, Iterable
from datetime import datetime

from mrc import revert
from mrc.artifact import Artifact
from mrc.catalogue import Metric
from mrc.check import MISSING_GUARDRAIL, Base, check
from mrc.diagnostics import Diagnostic, Severity, has_errors
from mrc.link import Fleet, link
from mrc.load import Objects, load, load_models, load_shared
from mrc.metrics import declared
from mrc.records import dataclass, replace
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


@dataclass(frozen=True)
class Shared:
    """What all models of a tree share: documents, the metrics that mrc.yaml declares, and what is wrong with either."""

    tree: Tree
    objects: Objects
    own: dict[str, Metric]
    diagnostics: list[Diagnostic]


def shared(tree: Tree, like: Objects | None = None) -> Shared:
    """What all models of the tree share, to be loaded and judged once. What `like` has is not parsed again."""
    objects, found = load_shared(tree, like)
    return Shared(tree, objects, declared(objects, found), found)


def analyse(
    tree: Tree, models: Iterable[str] | None = None, base: Tree | None = None, now: datetime | None = None
) -> Compiled:
    """Read, parse, link and check; only these models when they are given. `now` is what freezes are judged at."""
    linked = _linked(*load(tree, models))
    if base is None:
        return _checked(tree, linked, None, None, now)
    before = _linked(*load(base, models, linked.objects), like=linked.fleet)
    return _compared(tree, linked, Base(base, before.fleet), before, now)


def linked(tree: Tree, models: Iterable[str], like: Compiled | None = None) -> Compiled:
    """Read, parse and link these models, and check nothing: for who asks a part of the rules himself.

    What has the same bytes in `like`, which came of a tree much like this one, is not parsed again.
    """
    objects, found = load(tree, models, like.objects if like is not None else None)
    return _linked(objects, found, like=like.fleet if like is not None else None)


def analyse_models(
    shared: Shared, names: Collection[str], base: Shared | None = None, now: datetime | None = None
) -> Compiled:
    """The same for some models beside what all models share, whose own findings are left out."""
    tree = shared.tree
    linked = _linked(*load_models(tree, shared.objects, names), shared.own)
    if base is None:
        return _checked(tree, linked, None, None, now)
    before = _linked(*load_models(base.tree, base.objects, names, linked.objects), base.own, linked.fleet)
    return _compared(tree, linked, Base(base.tree, before.fleet, names), before, now)


def _compared(tree: Tree, linked: Compiled, base: Base, before: Compiled, now: datetime | None) -> Compiled:
    """Checked against the base, and with the way back of what has changed since."""
    found = _checked(tree, linked, base, before, now)

    def following(edited: Tree, name: str) -> list[Diagnostic]:
        """What would be wrong with a model in a change of one of its files; no clock, hence no freeze."""
        after = _linked(*load_models(edited, linked.objects, [name]))
        parent = Fleet(linked.fleet.environments, {name: linked.fleet.models[name]})
        return _checked(edited, after, Base(tree, parent, [name]), linked, None).diagnostics

    back = revert.check(tree, base.tree, found.fleet, before.fleet, found.diagnostics, following)
    return replace(found, diagnostics=sorted({*found.diagnostics, *back}))


def _linked(
    objects: Objects, found: list[Diagnostic], own: dict[str, Metric] | None = None, like: Fleet | None = None
) -> Compiled:
    fleet, problems = link(objects, declared(objects, found) if own is None else own, like)
    found += problems
    broken = {item.file for item in found if item.severity is Severity.ERROR}
    return Compiled(objects, fleet, found, frozenset(broken))


def _checked(
    tree: Tree, linked: Compiled, base: Base | None, before: Compiled | None, now: datetime | None
) -> Compiled:
    checked = check(linked.fleet, tree, base, now)
    found = [item for item in checked if item.code not in MISSING_GUARDRAIL or item.file not in linked.broken]
    return replace(linked, diagnostics=sorted({*linked.diagnostics, *found}), before=before)


def artifacts(fleet: Fleet, environments: Iterable[str] | None = None) -> dict[str, list[Artifact]]:
    """The rendered files by folder (`rendered/<environment>/<model>`)."""
    from mrc.render import render  # and its templates: only for who renders

    wanted = set(environments) if environments is not None else None
    return {
        release.folder: render(release)
        for release in fleet.releases
        if wanted is None or release.environment_name in wanted
    }
