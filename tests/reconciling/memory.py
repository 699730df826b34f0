"""A remote in memory: what the ledger asks of git, with the same answers. `test_memory.py` holds it to the real one."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from mrc.reconcile.ledger import Pushed
from mrc.tree import MemoryTree


@dataclass(frozen=True)
class Commit:
    """A commit, named by what it is: the same arguments give the same one."""

    parent: str | None
    files: Mapping[str, bytes]
    message: str
    when: datetime
    by: str

    @functools.cached_property
    def id(self) -> str:
        """Its name."""
        digest = hashlib.sha1(repr((self.parent, self.message, self.when, self.by)).encode())
        for path, data in sorted(self.files.items()):
            digest.update(path.encode() + b"\0" + hashlib.sha1(data).digest())
        return digest.hexdigest()


class Remote:
    """One branch, moved by compare-and-swap."""

    def __init__(self, files: Mapping[str, bytes], when: datetime) -> None:
        self.commits: dict[str, Commit] = {}
        self._trees: dict[str, CommitTree] = {}
        self.tip = self.add(Commit(None, dict(files), "Begin", when, "person"))
        self.tips = [self.tip]
        """Where the branch was, the oldest first."""

    def add(self, commit: Commit) -> str:
        """Keep an object; the branch stays where it is."""
        self.commits[commit.id] = commit
        return commit.id

    def push(self, commit: str) -> Pushed:
        """Move the branch, if it is an ancestor."""
        if commit == self.tip:
            return Pushed("done", "[up to date]")
        above: str | None = commit
        while above is not None and above != self.tip:
            above = self.commits[above].parent
        if above is None:
            return Pushed("raced", "[rejected] (fetch first)")
        self.tip = commit
        self.tips.append(commit)
        return Pushed("done")

    def tree(self, commit: str) -> CommitTree:
        """The files of a commit: always the same tree, which knows what it was asked before."""
        if commit not in self._trees:
            self._trees[commit] = CommitTree(commit, self.commits[commit].files)
        return self._trees[commit]

    @property
    def head(self) -> Commit:
        """What the branch says."""
        return self.commits[self.tip]


class CommitTree(MemoryTree):
    """The files of a commit."""

    def __init__(self, id_: str, files: Mapping[str, bytes]) -> None:
        super().__init__(files)
        self.commit = id_
        self._ids: dict[str, str | None] = {}

    def id(self, path: str) -> str | None:
        if path not in self._ids:
            found = [(name, hashlib.sha1(self.read(name)).digest()) for name in self.files(path)]
            self._ids[path] = hashlib.sha1(repr(found).encode()).hexdigest() if found else None
        return self._ids[path]

    def folders(self, under: str) -> dict[str, str]:
        names = {
            path.removeprefix(f"{under}/").split("/")[0]
            for path in self.files(under)
            if path.removeprefix(f"{under}/").count("/")
        }
        return {name: self.id(f"{under}/{name}") or "" for name in sorted(names)}

    def across(self, folders: list[str], file: str) -> Iterator[bytes | None]:
        places = [place for place in self.folders("rendered") if self.files(f"rendered/{place}")]
        known = {own: f"rendered/{place}/{name}" for place in places
                 for name, own in self.folders(f"rendered/{place}").items()}  # fmt: skip
        return (self.read(f"{known[own]}/{file}") for own in folders)


class MemoryLedger:
    """The ledger of one reconciler. `at` is told of each call, and may raise or answer in its place."""

    def __init__(self, remote: Remote, by: str, at: Callable[[str], Pushed | None]) -> None:
        self.remote, self.by, self.at = remote, by, at
        self._made: dict[str, Commit] = {}

    def fetch(self, beside: str = "") -> str:
        self.at("fetch")
        return self.remote.tip

    def tidy(self) -> None:
        """Nothing gathers."""

    def tree(self, commit: str) -> CommitTree:
        return self.remote.tree(commit)

    def commit(self, parent: str, edits: Mapping[str, bytes | None], message: str, when: datetime) -> str | None:
        self.at("commit")
        files = {
            path: data for path, data in {**self.remote.commits[parent].files, **edits}.items() if data is not None
        }
        if files == self.remote.commits[parent].files:
            return None
        made = Commit(parent, files, message, when.replace(microsecond=0), self.by)
        self._made[made.id] = made
        return made.id

    def push(self, commit: str) -> Pushed:
        answer = self.at("push")
        if answer is not None:
            return answer
        self.remote.add(self._made[commit])
        done = self.remote.push(commit)
        return self.at("pushed") or done
