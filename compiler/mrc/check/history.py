"""What was merged before: versions are written once, and kept while something may go back to them."""

from collections.abc import Collection

from mrc.diagnostics import Diagnostic, at_file, error
from mrc.link import Fleet, LinkedModel
from mrc.records import dataclass
from mrc.tree import Tree, UnreadableError

EDITED = error(
    "MRC331", "a version that was edited",
    reason="A version is what was tested and what a rollback brings back. Edited, it is neither.",
    hint="restore the file, and write the change as a new version",
)  # fmt: skip
DROPPED = error(
    "MRC332", "a version that is still needed was removed",
    reason="Something serves it, falls back to it, or its pods may still restart and look for their bundle.",
    hint="restore the file; remove a version once it is older than those that the environments retain",
)  # fmt: skip
BELOW = error(
    "MRC337", "a new version numbered below one that serves",
    reason="Numbers say which version is newer. Served after a newer one, it would count as a way back, which no "
    "freeze and no other environment holds up.",
    hint="give it the next free number",
)  # fmt: skip
RULES = (EDITED, DROPPED, BELOW)


@dataclass(frozen=True)
class Base:
    """What the change is compared with: its tree and, as far as it links, its fleet.

    `models` are those that were asked for, of both sides; None means all.
    """

    tree: Tree
    fleet: Fleet
    models: Collection[str] | None = None


def check(tree: Tree, fleet: Fleet, base: Base) -> list[Diagnostic]:
    """Findings against the base. Bytes are compared, not meaning."""
    folders = ["policies"] if base.models is None else [f"policies/{name}" for name in sorted(base.models)]
    now = {path for folder in folders for path in tree.files(folder) if "/versions/" in path}
    found: list[Diagnostic] = []
    merged = [path for folder in folders for path in base.tree.files(folder)]
    for path in merged:
        if path not in now:
            continue
        try:
            same = tree.read(path) == base.tree.read(path)
        except UnreadableError:
            continue  # said when it was read
        if not same:
            found.append(at_file(EDITED, path, "this version differs from the one that was merged"))
    for name, model in sorted(base.fleet.models.items()):
        if name in fleet.models:
            found += _dropped(name, model.versions.keys() & _needed(base.fleet, name), now)
            found += _below(fleet.models[name], model, frozenset(merged))
    return found


def _below(after: LinkedModel, before: LinkedModel, merged: Collection[str]) -> list[Diagnostic]:
    newest = max((release.version.number for release in before.releases), default=0)
    return [
        version.document.report(BELOW, ("metadata", "version"), f"version {number} is new, and {newest} serves already")
        for number, version in sorted(after.versions.items())
        if number < newest and version.document.file not in merged
    ]


def _dropped(name: str, needed: set[int], now: set[str]) -> list[Diagnostic]:
    missing = [number for number in sorted(needed) if f"policies/{name}/versions/{number}.yaml" not in now]
    return [
        at_file(DROPPED, f"policies/{name}/versions/{number}.yaml",
                f"version {number} of {name} is served, fallen back to or retained, and its file is gone")
        for number in missing
    ]  # fmt: skip


def _needed(fleet: Fleet, name: str) -> set[int]:
    """Served, fallen back to, and the newest that each environment retains."""
    needed: set[int] = set()
    for release in fleet.models[name].releases:
        needed.add(release.version.number)
        if release.fallback is not None:
            needed.add(release.fallback.number)
        kept = int(release.environment.spec.limits.retained)
        needed |= {version.number for version in release.retained[-kept:]}
    return needed
