"""From a tree to `rendered/`: each model on its own, on every core, and only what has changed.

Nothing that compiles is imported before a model needs it: when nothing has changed, reading and comparing is all.
"""

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext, suppress
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from mrc.artifact import Artifact
from mrc.cores import on_every_core
from mrc.diagnostics import Diagnostic, at_file, has_errors
from mrc.outcomes import Folder, Outcome, Outcomes, content_of, settled_times_of, times_of
from mrc.records import dataclass, field
from mrc.tree import Snapshot, WorkTree
from mrc.write import FOREIGN, STAGING, Difference, Staging, compare, locked, of_mrc, stale

if TYPE_CHECKING:
    from mrc.compile import Shared

_LISTING = "kustomization.yaml"


@dataclass
class Built:
    """What came of a build. `changed` counts the folders that were swapped or removed."""

    releases: int = 0
    files: int = 0
    changed: int = 0
    diagnostics: list[Diagnostic] = field(default_factory=list)


@dataclass(frozen=True)
class Job:
    """What is asked, and what every worker knows. Without `environments` all are meant."""

    root: Path
    environments: frozenset[str]
    check: bool
    tree: Snapshot
    known: Outcomes
    staging: Staging

    @cached_property
    def disk(self) -> WorkTree:
        """What was rendered before."""
        return WorkTree(self.root)

    @cached_property
    def shared(self) -> "Shared":
        """What all models share."""
        from mrc.compile import shared

        return shared(self.tree)


def build(
    root: Path,
    models: Iterable[str] = (),
    environments: Iterable[str] = (),
    *,
    check: bool = False,
    progress: Callable[[int, int], None] = lambda done, whole: None,
    wait: Callable[[], None] = lambda: None,
) -> Built:
    """Render these models in these environments, all unless given; with `check`, find what is stale instead.

    `progress` is told how many models are done, `wait` that another render holds the tree. Raises OSError when the
    tree cannot be written; it is then as it was.
    """
    chosen = sorted(set(models))
    tree = Snapshot(WorkTree(root))
    job = Job(root, frozenset(environments), check, tree, Outcomes.load(root, tree), Staging(root))
    names = chosen or _entries(root / "policies")
    with nullcontext() if check else locked(root, wait):
        try:
            outcomes: list[Outcome] = []
            # Where nothing is known, all are compiled, and the workers inherit what compiling one has loaded.
            for outcome in on_every_core(partial(_outcome, job), names, first_here=not job.known.models):
                outcomes.append(outcome)
                progress(len(outcomes), len(names))
            return _finish(job, outcomes, whole=not chosen)
        finally:
            job.staging.drop()


def _entries(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in os.scandir(folder))
    except OSError:
        return []  # what cannot be listed is said by who reads it


# --- each model ---


def _outcome(job: Job, name: str) -> Outcome:
    """What is known of the model when nothing has changed; else it is compiled, compared and staged."""
    key = job.known.key(job.tree, name)
    known = job.known.of(job.root, name, key) if not job.environments else None
    found = known or _compiled(job, name, key)
    job.tree.forget(f"policies/{name}")
    return found


def _compiled(job: Job, name: str, key: str) -> Outcome:
    from mrc.compile import analyse_models, artifacts

    compiled = analyse_models(job.shared, [name])
    found = [*job.shared.diagnostics, *compiled.diagnostics]
    folders: list[Folder] = []
    if not has_errors(found):
        for path, files in artifacts(compiled.fleet, job.environments or None).items():
            times = settled_times_of(job.root / path)  # before it is read: what changes from now on shows
            difference = compare(job.disk, path, files)
            found += difference.foreign
            if difference.stale and not job.check:
                job.staging.put(path, files)
                times = times_of(job.staging.path / path)[0]
            folders.append(Folder(path, len(files), difference.stale, times, content_of(_named(files))))
    return Outcome(name, key, tuple(found), tuple(folders))


def _named(files: Iterable[Artifact]) -> Iterator[tuple[str, bytes]]:
    return ((file.path.rpartition("/")[2], file.text.encode()) for file in files)


# --- all of them ---


def _finish(job: Job, outcomes: list[Outcome], *, whole: bool) -> Built:
    """Look at what stands around the models' folders; then place everything, or say what is wrong."""
    folders = [folder for outcome in outcomes for folder in outcome.folders]
    found = {item for outcome in outcomes for item in outcome.diagnostics}
    if not outcomes:
        from mrc.load import load

        found.update(load(job.tree)[1])
    built = Built(len(folders), sum(folder.files for folder in folders))
    around = _Around(job, {folder.path for folder in folders}, whole=whole)
    if not has_errors(found):
        around.look()
        found.update(around.foreign)
    changed = {folder.path: Difference(folder.stale) for folder in folders if folder.stale}
    if job.check and not has_errors(found):
        found.update(stale(path, one) for path, one in (changed | around.listings | around.removed).items())
    built.diagnostics = sorted(found)
    if has_errors(found):
        return built
    begun = time.time_ns()
    if not job.check:
        # A listing names only what is there: folders come before it, and go after it.
        job.staging.commit([*changed, *around.listings], around.removed)
    built.changed = len(changed) + len(around.removed)
    if not job.environments:
        job.known.save(outcomes, around.known, begun, whole=whole)
    return built


class _Around:
    """What stands around the rendered folders: the listing of each environment, and what no model has any more."""

    def __init__(self, job: Job, rendered: set[str], *, whole: bool) -> None:
        self.job, self.rendered, self.whole = job, rendered, whole
        self.tree = WorkTree(job.root)  # as it is now: a worker's has been read before
        self.listings: dict[str, Difference] = {}
        self.removed: dict[str, Difference] = {}
        self.foreign: list[Diagnostic] = []
        self.known: dict[str, str] = {}

    def look(self) -> None:
        """Fill the three; listings that are stale are staged."""
        there = self._there()
        files = self.tree.files("environments")
        environments = self.job.environments or {path[len("environments/") : -len(".yaml")] for path in files}
        if self.whole:
            for path in sorted(there - self.rendered):
                if path.split("/")[1] in environments or not self.job.environments:
                    self._remove(path)
        if self.whole and not self.job.environments:
            for name in _entries(self.job.root / "rendered"):
                if name not in environments and not name.startswith(STAGING):
                    self._remove(f"rendered/{name}")
        for environment in sorted(environments):
            paths = self.rendered | (there - set(self.removed))
            self._list(environment, sorted(path for path in paths if path.split("/")[1] == environment))

    def _there(self) -> set[str]:
        """The folders of models on disk; what stands among them and is neither folder nor listing is foreign."""
        there: set[str] = set()
        for environment in _entries(self.job.root / "rendered"):
            if environment.startswith(STAGING):
                continue
            folder = self.job.root / "rendered" / environment
            if folder.is_symlink() or not folder.is_dir():
                self._foreign(f"rendered/{environment}")
                continue
            with suppress(OSError), os.scandir(folder) as entries:
                for entry in entries:
                    path = f"rendered/{environment}/{entry.name}"
                    if entry.is_dir(follow_symlinks=False) and entry.name != _LISTING:
                        there.add(path)
                    elif entry.name != _LISTING:
                        self._foreign(path)
        if (self.job.root / "rendered").is_symlink():
            self._foreign("rendered")
        return there

    def _foreign(self, path: str) -> None:
        self.foreign.append(at_file(FOREIGN, path, "mrc did not write this"))

    def _remove(self, path: str) -> None:
        files = self.tree.files(path)
        for file in files:
            if not of_mrc(self.tree, file):
                self._foreign(file)
        for refused in self.tree.refused:
            if refused.startswith(f"{path}/"):
                self._foreign(refused)
        inside = {known for known in self.removed if known.startswith(f"{path}/")}
        for known in inside:
            del self.removed[known]
        self.removed[path] = Difference(tuple(files) or (path,))

    def _list(self, environment: str, folders: list[str]) -> None:
        path = f"rendered/{environment}/{_LISTING}"
        there = self.job.root / path
        data = there.read_bytes() if there.is_file() and not there.is_symlink() else b""
        key = hashlib.sha256("\0".join([*folders, ""]).encode() + data).hexdigest()
        if self.job.known.listings.get(environment) == key:
            self.known[environment] = key
            return
        from mrc.render.kustomize import of_environment

        listing = of_environment(environment, [folder.split("/")[2] for folder in folders])
        difference = compare(self.tree, path, [listing])
        self.foreign += difference.foreign
        if difference.stale:
            self.listings[path] = difference
            if not self.job.check:
                self.job.staging.put(f"rendered/{environment}", [listing])
        listed = "\0".join([*folders, ""]).encode() + listing.text.encode()
        self.known[environment] = hashlib.sha256(listed).hexdigest()
