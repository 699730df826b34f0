"""What came of each model, kept outside of the tree: a model of which no byte has changed is not compiled again.

An outcome is known by every byte that it depends on, and by mrc's own. The files on disk are known by what the file
system says of them (as git knows those of its index), or, where they were written too lately for that, by their bytes.
"""

import contextlib
import hashlib
import marshal
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mrc import cache
from mrc.diagnostics import Diagnostic, Severity, has_errors
from mrc.records import dataclass
from mrc.tree import SHARED, Tree, UnreadableError

# A file changed within one tick of the clock of the file system keeps its times; a tick is at most 10 ms on Linux.
_SETTLED_NANOSECONDS = 100_000_000


class Folder(NamedTuple):  # of which there are thousands, and a dataclass takes five times as long to keep
    """A rendered folder. `stale` are the paths that differ on disk; `times` and `content` stand for its files."""

    path: str
    files: int
    stale: tuple[str, ...]
    times: str
    content: str


class Outcome(NamedTuple):
    """What came of one model, and the key of what it came from."""

    model: str
    key: str
    diagnostics: tuple[Diagnostic, ...]
    folders: tuple[Folder, ...]


@dataclass(frozen=True)
class Outcomes:
    """The outcomes of the last run in this tree, each as `_plain` has it: restored by who asks for it.

    What changed before `settled` has times of its own.
    """

    file: Path | None
    shared: str
    settled: int
    models: Mapping[str, tuple[Any, ...]]
    listings: Mapping[str, str]

    @classmethod
    def load(cls, root: Path, tree: Tree) -> "Outcomes":
        """What is known of the tree; nothing when there is no cache, or what all models share has changed."""
        folder = cache.folder()
        if folder is None:
            return cls(None, "", 0, {}, {})
        file = folder / f"{hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:20]}.outcomes"
        shared = _digest(tree, *SHARED)
        kept = cache.load(file)
        if kept is not None:
            before, settled, models, listings = marshal.loads(kept)  # noqa: S302  this very mrc has kept it
            if before == shared:
                return cls(file, shared, settled, models, listings)
        return cls(file, shared, 0, {}, {})

    def key(self, tree: Tree, model: str) -> str:
        """Stands for every byte that the outcome of a model depends on, besides what all models share."""
        return _digest(tree, f"policies/{model}")

    def of(self, root: Path, model: str, key: str) -> Outcome | None:
        """The outcome of the model, if it is known, and all its folders lie on disk as they were rendered."""
        plain = self.models.get(model)
        if plain is None or plain[0] != key:
            return None
        found = _restored(model, *plain)
        folders = tuple(each for folder in found.folders if (each := self._on_disk(root, folder)) is not None)
        return found._replace(folders=folders) if len(folders) == len(found.folders) else None

    def _on_disk(self, root: Path, folder: Folder) -> Folder | None:
        """The folder, with the times that it has now, if it is as it was rendered."""
        times, newest = times_of(f"{root}/{folder.path}")
        if folder.times and newest < self.settled:
            return folder if times == folder.times else None
        if _content_on_disk(root / folder.path) != folder.content:
            return None
        return folder._replace(times=times if _settled(newest) else "")

    def save(self, outcomes: Iterable[Outcome], listings: Mapping[str, str], begun: int, *, whole: bool) -> None:
        """Keep what came of a run that succeeded; `whole` says that there are no other models.

        `begun` is when (in ns) it began to place what it had staged: whoever else changed that did so later.
        """
        if self.file is None:
            return
        models = {} if whole else dict(self.models)
        for outcome in outcomes:
            if has_errors(outcome.diagnostics):
                models.pop(outcome.model, None)
            else:
                models[outcome.model] = _plain(outcome)
        if models == self.models and listings == self.listings and begun - self.settled < 10**9 * 86400:
            return
        kept = self.shared, begun - _SETTLED_NANOSECONDS, models, dict(listings)
        cache.save(self.file, marshal.dumps(kept))


def _plain(outcome: Outcome) -> tuple[Any, ...]:
    """The outcome in tuples and texts: what makes pickles of objects takes longer to import than all of this."""
    said = tuple(
        (str(one.file), one.line, one.column, one.code, str(one.message), one.severity.value, str(one.hint))
        for one in outcome.diagnostics
    )
    return outcome.key, said, tuple(tuple(folder._replace(stale=())) for folder in outcome.folders)


def _restored(model: str, key: str, said: Iterable[Any], folders: Iterable[Any]) -> Outcome:
    found = (
        Diagnostic(file, line, column, code, message, Severity(severity), hint)
        for file, line, column, code, message, severity, hint in said
    )
    return Outcome(model, key, tuple(found), tuple(map(Folder._make, folders)))


def _digest(tree: Tree, *roots: str) -> str:
    digest = hashlib.sha256()
    for root in roots:
        for path in tree.files(root):
            try:
                data = tree.read(path)
            except UnreadableError as problem:
                data = f"{problem}".encode()
            digest.update(f"{path}\0{len(data)}\0".encode(errors="surrogateescape") + data)
        for path, what in sorted(tree.refused.items()):
            if path == root or path.startswith(f"{root}/") or root.startswith(f"{path}/"):
                digest.update(f"{path}\0{what}\0".encode(errors="surrogateescape"))
    return digest.hexdigest()


def settled_times_of(folder: Path) -> str:
    """What the file system says of the folder's files; nothing where one could still change and not show it."""
    times, newest = times_of(folder)
    return times if _settled(newest) else ""


def _settled(newest: int) -> bool:
    return newest < time.time_ns() - _SETTLED_NANOSECONDS


def times_of(folder: Path | str) -> tuple[str, int]:
    """What the file system says of the folder's files, and the newest of their times (in ns); nothing of no folder."""
    lines, newest = [], 0
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            one = entry.stat(follow_symlinks=False)
            newest = max(newest, one.st_ctime_ns, one.st_mtime_ns)
            lines.append(
                f"{entry.name}\0{one.st_mode}\0{one.st_ino}\0{one.st_size}\0{one.st_mtime_ns}\0{one.st_ctime_ns}"
            )
    return hashlib.sha256("\n".join(sorted(lines)).encode(errors="surrogateescape")).hexdigest(), newest


def content_of(files: Iterable[tuple[str, bytes]]) -> str:
    """Stands for the names and bytes of a folder's files, sorted by name."""
    digest = hashlib.sha256()
    for name, data in files:
        digest.update(f"{name}\0{len(data)}\0".encode(errors="surrogateescape") + data)
    return digest.hexdigest()


def _content_on_disk(folder: Path) -> str:
    """The same of what lies there; nothing where anything but a regular file does."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        if not all(entry.is_file(follow_symlinks=False) for entry in entries):
            return ""
        return content_of((entry.name, Path(entry.path).read_bytes()) for entry in entries)
    except OSError:
        return ""
