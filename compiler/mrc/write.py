"""Artifacts to `rendered/`: each model's folder is swapped whole, and only when nothing is wrong with any.

The work is staged beside the tree; until the last check has passed, nothing of it has moved.
"""

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from mrc.diagnostics import Diagnostic, at_file, error
from mrc.render.artifact import Artifact, is_rendered
from mrc.render.kustomize import of_environment
from mrc.tree import Tree, UnreadableError

FOREIGN = error(
    "MRC401", "a foreign file in the rendered tree",
    reason="rendered/<environment>/<model>/ is mrc's whole: it is swapped, and what else lies there would be lost.",
    hint="move the file out of rendered/",
)  # fmt: skip
STALE = error(
    "MRC402", "the rendered tree is stale",
    reason="What the cluster applies is the rendered tree; reviewers must see what a change does to it.",
    hint="run mrc render, and commit what it wrote",
)  # fmt: skip
RULES = (FOREIGN, STALE)


@dataclass
class Changes:
    """What a write would do. Folders map to their new files; an empty list removes the folder."""

    folders: dict[str, list[Artifact]] = field(default_factory=dict)
    files: list[Artifact] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.folders or self.files or self.removed)


def plan(tree: Tree, rendered: dict[str, list[Artifact]], environments: set[str], *, whole: bool) -> Changes:
    """Compare what was rendered with the tree.

    `environments` are those that were rendered; `whole` says that all their models were, so that a folder which no
    model has any more is removed.
    """
    changes = Changes()
    there = _folders(tree, changes)
    for folder, found in rendered.items():
        _compare(tree, folder, found, there.get(folder, []), changes)
    if whole:
        for folder in sorted(there.keys() - rendered.keys()):
            if folder.split("/")[1] in environments or not environments:
                _remove(tree, folder, there[folder], changes)
    for environment in sorted(environments):
        _list_models(tree, environment, rendered, there, changes, whole=whole)
    return changes


def _folders(tree: Tree, changes: Changes) -> dict[str, list[str]]:
    """The files below `rendered/` by model folder; a file that stands elsewhere is foreign."""
    there: dict[str, list[str]] = {}
    for path in tree.files("rendered"):
        parts = path.split("/")
        if len(parts) == 4:
            there.setdefault("/".join(parts[:3]), []).append(path)
        elif not (len(parts) == 3 and parts[2] == "kustomization.yaml"):
            changes.diagnostics.append(at_file(FOREIGN, path, "mrc did not write this"))
    for path, what in sorted(tree.refused.items()):
        if path.startswith("rendered"):
            changes.diagnostics.append(at_file(FOREIGN, path, f"it is {what}, and mrc writes regular files"))
    return there


def _compare(tree: Tree, folder: str, found: list[Artifact], there: list[str], changes: Changes) -> None:
    wanted = {artifact.path: artifact.text.encode() for artifact in found}
    _foreign(tree, [path for path in there if path not in wanted], changes)
    stale = [path for path in there if path not in wanted]
    stale += [path for path, data in wanted.items() if path not in there or _read(tree, path) != data]
    if stale:
        changes.folders[folder] = found
        changes.stale += sorted(stale)


def _remove(tree: Tree, folder: str, there: list[str], changes: Changes) -> None:
    _foreign(tree, there, changes)
    changes.removed.append(folder)
    changes.stale += there


def _foreign(tree: Tree, paths: list[str], changes: Changes) -> None:
    for path in paths:
        if not is_rendered(_read(tree, path)):
            changes.diagnostics.append(at_file(FOREIGN, path, "mrc did not write this"))


def _list_models(
    tree: Tree,
    environment: str,
    rendered: dict[str, list[Artifact]],
    there: dict[str, list[str]],
    changes: Changes,
    *,
    whole: bool,
) -> None:
    folders = set(rendered) if whole else set(rendered) | set(there)
    models = [folder.split("/")[2] for folder in folders if folder.split("/")[1] == environment]
    listing = of_environment(environment, models)
    if _read(tree, listing.path) != listing.text.encode():
        changes.files.append(listing)
        changes.stale.append(listing.path)


def _read(tree: Tree, path: str) -> bytes:
    try:
        return tree.read(path)
    except UnreadableError:
        return b""


def write(root: Path, changes: Changes) -> None:
    """Stage everything, then move it into place. OSError leaves the tree as it was, or a folder as a whole."""
    staging = root / "rendered" / f".mrc-{os.getpid()}"
    try:
        staging.mkdir(parents=True)
        new, old = staging / "new", staging / "old"
        for artifact in (*changes.files, *(one for found in changes.folders.values() for one in found)):
            target = new / artifact.path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(artifact.text.encode())
        for folder in (*changes.folders, *changes.removed):
            _swap(root, folder, new, old)
        for artifact in changes.files:
            (root / artifact.path).parent.mkdir(parents=True, exist_ok=True)
            os.replace(new / artifact.path, root / artifact.path)  # noqa: PTH105
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _swap(root: Path, folder: str, new: Path, old: Path) -> None:
    target, aside = root / folder, old / folder
    aside.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        target.rename(aside)
    if (new / folder).exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            (new / folder).rename(target)
        except OSError:
            if aside.exists():
                aside.rename(target)
            raise
