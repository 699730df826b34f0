"""git's objects: read through one process that stays, and written without one.

The form of an object: https://git-scm.com/book/en/v2/Git-Internals-Git-Objects
"""

import hashlib
import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import IO, Any, Literal

from mrc.reconcile.git import Git, GitError

Kind = Literal["blob", "tree"]
_AHEAD = 64
"""How many objects are asked for before the first answer is read: their names must fit into a pipe."""
_SLICE = 1 << 20
_SMALL = 1 << 16
_KEPT = 4 << 20
"""Bytes of one document that is kept, and of all of them: one pass reads the same few again and again."""


@dataclass(frozen=True)
class Object:
    """One object. `data` is None where it is larger than was asked for."""

    id: str
    kind: str
    data: bytes | None


class Objects:
    """The objects of one repository. Not for several threads."""

    def __init__(self, git: Git) -> None:
        self._git = git
        self._reader: Any = None
        self._known: dict[str, Object] = {}
        self._size = 0

    def read(self, name: str, most: int | None = None) -> Object | None:
        """The object of a name or an id, with `most` bytes at most; None where there is none. Raises GitError."""
        known = self._known.get(name)
        if known is not None:
            return known
        found = next(self.each([name], most))
        if found is not None and found.id == name and found.data is not None and len(found.data) <= _SMALL:
            self._keep(found, len(found.data))
        return found

    def _keep(self, found: Object, size: int) -> None:
        if self._size + size > _KEPT:
            self._known.clear()
            self._size = 0
        self._known[found.id] = found
        self._size += size

    def each(self, names: Iterable[str], most: int | None = None) -> Iterator[Object | None]:
        """The same for many, in order."""
        waiting = iter(names)
        while some := list(islice(waiting, _AHEAD)):
            yield from self._asked(some, most)

    def _asked(self, names: list[str], most: int | None) -> list[Object | None]:
        if any("\n" in name for name in names):
            raise GitError(None, "a name of an object has several lines")
        question = "".join(f"{name}\n" for name in names).encode()
        for again in (True, False):
            try:
                reader = self._running()
                reader.stdin.write(question)
                reader.stdin.flush()
                return [_answer(reader.stdout, most) for _ in names]
            except (OSError, EOFError):
                self._reader = None  # it was killed: the next one reads the same
                if not again:
                    raise GitError(None, "git cat-file ended before it had answered") from None
        raise AssertionError

    def _running(self) -> Any:
        if self._reader is None:
            self._reader = self._git.started("cat-file", "--batch")
        return self._reader

    def write(self, kind: Kind, data: bytes) -> str:
        """Store an object. Its id."""
        whole = f"{kind} {len(data)}\0".encode() + data
        own = hashlib.sha1(whole, usedforsecurity=False).hexdigest()
        target = self._git.folder / "objects" / own[:2] / own[2:]
        if not target.exists():
            target.parent.mkdir(exist_ok=True)
            new = target.with_name(f"tmp_obj_{os.getpid()}")  # as git calls them, which removes what a crash leaves
            new.write_bytes(zlib.compress(whole, 0 if kind == "tree" else 1))  # the ids in a tree do not get smaller
            new.replace(target)
        return own


def _answer(stream: IO[bytes], most: int | None) -> Object | None:
    """What `git cat-file --batch` says of one object. Raises EOFError when it says no more."""
    head = stream.readline()
    if not head.endswith(b"\n"):
        raise EOFError
    parts = head.split()
    if len(parts) != 3 or not parts[2].isdigit():
        return None  # "<name> missing"
    own, kind, size = parts[0].decode(), parts[1].decode(), int(parts[2])
    if most is None or size <= most:
        data = stream.read(size + 1)
        if len(data) != size + 1:
            raise EOFError
        return Object(own, kind, data[:-1])
    left = size + 1
    while left > 0:
        passed = len(stream.read(min(left, _SLICE)))
        if not passed:
            raise EOFError
        left -= passed
    return Object(own, kind, None)
