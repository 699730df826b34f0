"""A tree of files: a work tree, a git revision, or either one under an overlay of edits.

Paths are relative, with `/`. Symbolic links and submodules are never followed: they are listed in `refused`.
"""

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

# Everything that mrc reads; other folders of the repository are nobody's business.
ROOTS = ("mrc.yaml", "policies", "environments", "holds", "incidents", "rendered")
# What every model depends on, besides its own folder in policies/.
SHARED = ("mrc.yaml", "environments", "holds")
LARGEST = 4 * 2**20  # bytes; nothing that people or mrc write comes near


NAME = r"[a-z](?:[-a-z0-9]{0,38}[a-z0-9])?"
"""What a model or an environment may be called, and hence a folder."""


class UnreadableError(Exception):
    """A file of the tree cannot be read; the message says why, without the path."""


class Tree(Protocol):
    """Files by relative path."""

    @property
    def refused(self) -> Mapping[str, str]:
        """Entries that are not regular files, with what they are."""

    def files(self, under: str = "") -> list[str]:
        """The sorted paths of the regular files below a folder; all of them by default."""

    def read(self, path: str) -> bytes:
        """The bytes of a file; UnreadableError when it cannot be had."""


def below(paths: Iterable[str], under: str) -> list[str]:
    """The sorted paths that stand under a folder, or that are the path itself."""
    if not under:
        return sorted(paths)
    inside = f"{under}/"
    return sorted(path for path in paths if path.startswith(inside) or path == under)


class WorkTree:
    """The files on disk below `root`, as they are when first asked for."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._root = f"{root}/"
        self.refused: dict[str, str] = {}
        self._files: dict[str, list[str]] = {}

    def files(self, under: str = "") -> list[str]:
        roots = [under] if under else ROOTS
        return sorted(path for name in roots for path in self._below(name))

    def _below(self, name: str) -> list[str]:
        if name not in self._files:
            found: list[str] = []
            self._walk(name, found)
            self._files[name] = found
        return self._files[name]

    def _walk(self, name: str, found: list[str]) -> None:
        parts = name.split("/")
        for depth in range(1, len(parts)):  # what is below a link is not ours, however it is named
            above = "/".join(parts[:depth])
            if above in self.refused or _is_link(self._root + above):
                self.refused[above] = "a symbolic link"
                return
        try:
            mode = os.lstat(self._root + name).st_mode
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as problem:
            self.refused[name] = f"unreadable: {problem.strerror}"
            return
        pending = [(name, mode)]
        while pending:
            path, mode = pending.pop()
            if stat.S_ISREG(mode):
                found.append(path)
            elif stat.S_ISDIR(mode):
                if path.endswith(".yaml"):
                    self.refused[path] = "a folder"
                try:
                    with os.scandir(self._root + path) as entries:
                        pending += [(f"{path}/{entry.name}", _mode(entry)) for entry in entries if entry.name != ".git"]
                except OSError as problem:
                    self.refused[path] = f"unreadable: {problem.strerror}"
            else:
                self.refused[path] = "a symbolic link" if stat.S_ISLNK(mode) else "a special file"

    def read(self, path: str) -> bytes:
        try:
            data = _contents(self._root + path)
        except OSError as problem:
            raise UnreadableError(problem.strerror or "cannot be read") from None
        if len(data) > LARGEST:
            raise UnreadableError(f"it has more than {LARGEST >> 20} MiB")
        return data


def _is_link(path: str) -> bool:
    try:
        return stat.S_ISLNK(os.lstat(path).st_mode)
    except OSError:
        return False


def _contents(path: str) -> bytes:
    """The bytes of a regular file, hardly more than LARGEST of them. Raises OSError, UnreadableError.

    It opens no link, which the entry may have become since it was listed, and waits for no pipe.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableError("it is not a regular file")
        data = os.read(handle, min(status.st_size, LARGEST) + 1)
        while len(data) != status.st_size and len(data) <= LARGEST and (more := os.read(handle, LARGEST)):
            data += more  # it has changed since its size was asked for, or comes in parts
        return data
    finally:
        os.close(handle)


def _mode(entry: "os.DirEntry[str]") -> int:
    """The type bits of a directory entry, without a system call where the entry already knows."""
    if entry.is_symlink():
        return stat.S_IFLNK
    if entry.is_dir(follow_symlinks=False):
        return stat.S_IFDIR
    return stat.S_IFREG if entry.is_file(follow_symlinks=False) else stat.S_IFIFO


class Snapshot:
    """A tree of which each file is read once: what is known by its bytes is compiled from these very bytes."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._read: dict[str, bytes | UnreadableError] = {}

    @property
    def refused(self) -> Mapping[str, str]:
        return self._tree.refused

    def files(self, under: str = "") -> list[str]:
        return self._tree.files(under)

    def read(self, path: str) -> bytes:
        if path not in self._read:
            try:
                self._read[path] = self._tree.read(path)
            except UnreadableError as problem:
                self._read[path] = problem
        found = self._read[path]
        if isinstance(found, UnreadableError):
            raise found
        return found

    def forget(self, under: str) -> None:
        """Keep nothing of what was read below a folder."""
        for path in self.files(under):
            self._read.pop(path, None)


class MemoryTree:
    """Files held in memory."""

    def __init__(self, files: Mapping[str, bytes], refused: Mapping[str, str] | None = None) -> None:
        self._files = files
        self.refused: Mapping[str, str] = refused or {}

    def files(self, under: str = "") -> list[str]:
        return below(self._files, under)

    def read(self, path: str) -> bytes:
        try:
            return self._files[path]
        except KeyError:
            raise UnreadableError("there is no such file") from None


class Overlay:
    """A tree with some files replaced, added, or (with None) removed."""

    def __init__(self, tree: Tree, edits: Mapping[str, bytes | None]) -> None:
        self._tree = tree
        self._edits = edits

    @property
    def refused(self) -> Mapping[str, str]:
        return {path: why for path, why in self._tree.refused.items() if path not in self._edits}

    def files(self, under: str = "") -> list[str]:
        kept = [path for path in self._tree.files(under) if path not in self._edits]
        added = [path for path, data in self._edits.items() if data is not None]
        return sorted(kept + below(added, under))

    def read(self, path: str) -> bytes:
        if path in self._edits:
            data = self._edits[path]
            if data is None:
                raise UnreadableError("there is no such file")
            return data
        return self._tree.read(path)
