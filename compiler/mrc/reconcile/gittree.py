"""A commit of a bare repository as a tree: a folder is read when it is asked for, a file when it is read."""

import re
from collections.abc import Iterator, Mapping, Sequence

from mrc.reconcile.git import GitError
from mrc.reconcile.objects import Objects
from mrc.tree import LARGEST, UnreadableError

FILE, FOLDER = b"100644", b"40000"
_ENTRY = re.compile(rb"(\d+) ([^\0]+)\0(.{20})", re.DOTALL)
_NONE = "0" * 40
_SOME = 500
_REFUSED = {b"120000": "a symbolic link", b"160000": "a submodule"}

Entries = dict[bytes, tuple[bytes, bytes]]
"""Mode and object by name."""


class GitTree:
    """The files of one commit. Symbolic links and submodules are refused, never followed."""

    def __init__(self, objects: Objects, commit: str) -> None:
        """Raises GitError."""
        found = objects.read(f"{commit}^{{tree}}")
        if found is None or found.kind != "tree" or found.data is None:
            raise GitError(None, f"the tree of {commit} cannot be read")
        self.commit, self.root = commit, found.id
        self.refused: dict[str, str] = {}
        self._objects = objects
        self._folders: dict[str, Entries] = {"": _entries(found.data)}
        self._listed: dict[str, list[str]] = {}
        self._blobs: dict[str, str] = {}

    def entries(self, folder: str) -> Mapping[bytes, tuple[bytes, bytes]]:
        """What stands in a folder; nothing where there is none. Raises GitError."""
        if folder not in self._folders:
            entry = self._entry(folder)
            if entry is None or entry[0] != FOLDER:
                return {}
            self._folders[folder] = self._read([entry[1].hex()])[0]
        return self._folders[folder]

    def _entry(self, path: str) -> tuple[bytes, bytes] | None:
        above, _, name = path.rpartition("/")
        found = self.entries(above).get(name.encode(errors="surrogateescape"))
        if found is not None and found[0] in _REFUSED:
            self.refused[path] = _REFUSED[found[0]]
        return found

    def _read(self, ids: Sequence[str]) -> list[Entries]:
        found = []
        for own, one in zip(ids, self._objects.each(ids), strict=True):
            if one is None or one.kind != "tree" or one.data is None:
                raise GitError(None, f"the folder {own} of {self.commit} cannot be read")
            found.append(_entries(one.data))
        return found

    def files(self, under: str = "") -> list[str]:
        if under not in self._listed:
            self._listed[under] = sorted(self._walk(under))
        return self._listed[under]

    def _walk(self, under: str) -> list[str]:
        entry = self._entry(under) if under else (FOLDER, bytes.fromhex(self.root))
        if entry is None or entry[0] in _REFUSED:
            return []
        if entry[0] != FOLDER:
            self._blobs[under] = entry[1].hex()
            return [under]
        found, pending = [], [(under, entry[1].hex())]
        while pending:
            inside = self._read([own for _, own in pending])
            folders = [folder for folder, _ in pending]
            pending = []
            for folder, entries in zip(folders, inside, strict=True):
                for name, (mode, own) in entries.items():
                    path = f"{folder}/{name.decode(errors='surrogateescape')}".removeprefix("/")
                    if mode == FOLDER:
                        pending.append((path, own.hex()))
                    elif mode in _REFUSED:
                        self.refused[path] = _REFUSED[mode]
                    else:
                        self._blobs[path] = own.hex()
                        found.append(path)
        return found

    def id(self, path: str) -> str | None:
        """What names a file or a folder: while it is the same, so is everything in it."""
        entry = self._entry(path)
        return entry[1].hex() if entry is not None else None

    def folders(self, under: str) -> dict[str, str]:
        """The folders directly in a folder, and their ids."""
        return {
            name.decode(errors="surrogateescape"): own.hex()
            for name, (mode, own) in self.entries(under).items()
            if mode == FOLDER
        }

    def across(self, folders: Sequence[str], file: str) -> Iterator[bytes | None]:
        """One file of many folders, named by their ids; None where there is none. Nothing of it is kept."""
        for begin in range(0, len(folders), _SOME):
            blobs = []
            for entries in self._read(folders[begin : begin + _SOME]):
                mode, own = entries.get(file.encode(), (FOLDER, b""))
                blobs.append(own.hex() if mode.startswith(b"100") else _NONE)
            yield from (found.data if found is not None else None for found in self._objects.each(blobs, LARGEST))

    def read(self, path: str) -> bytes:
        if path not in self._blobs:
            self.files(path)
        if path not in self._blobs:
            raise UnreadableError("there is no such file")
        found = self._objects.read(self._blobs[path], LARGEST)
        if found is None:
            raise GitError(None, f"{path} of {self.commit} cannot be read")
        if found.data is None:
            raise UnreadableError(f"it has more than {LARGEST >> 20} MiB")
        return found.data


def _entries(data: bytes) -> Entries:
    return {name: (mode, own) for mode, name, own in _ENTRY.findall(data)}
