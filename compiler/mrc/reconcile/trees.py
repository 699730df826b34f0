"""A commit's tree with some files changed: only the folders on the way to a change are read and written.

git's index would be read and written whole, which in a large repository takes longer than everything else.
The form of a tree: https://git-scm.com/book/en/v2/Git-Internals-Git-Objects
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mrc.reconcile.git import Git, GitError

if TYPE_CHECKING:
    from git import Repo

_FILE, _FOLDER = b"100644", b"40000"
_ID = 20  # bytes of a SHA-1

Entries = dict[bytes, tuple[bytes, bytes]]
"""Mode and object by name."""


def write(git: Git, commit: str, edits: Mapping[str, bytes | None], scratch: Path) -> tuple[str, str]:
    """The commit's own tree, and one with the files changed; None removes a file. Raises GitError."""
    wanted = {path: data for path, data in sorted(edits.items()) if data is not None}
    blobs = dict(zip(wanted, _objects(git, "blob", wanted.values(), scratch), strict=True))
    folders = {""} | {above for path in edits for above in _above(path)}
    before, trees = "", {}
    for folder in folders:
        found = _read(git.repo, f"{commit}:{folder}")
        if found is None and not folder:
            raise GitError(None, f"the tree of {commit} cannot be read")
        own, trees[folder] = found or ("", {})
        before = before if folder else own
    for path in edits:
        folder, _, name = path.rpartition("/")
        if path in blobs:
            trees[folder][name.encode()] = (_FILE, bytes.fromhex(blobs[path]))
        elif trees[folder].get(name.encode(), (_FOLDER, b""))[0] != _FOLDER:
            del trees[folder][name.encode()]
    written: list[bytes] = []
    after = ""
    for folder in sorted(folders, key=lambda each: each.count("/") if each else -1, reverse=True):
        data = _data(trees[folder])
        written.append(data)
        after = _id("tree", data)
        above, _, name = folder.rpartition("/")
        if folder and trees[folder]:
            trees[above][name.encode()] = (_FOLDER, bytes.fromhex(after))
        elif folder and trees[above].get(name.encode(), (_FILE, b""))[0] == _FOLDER:
            del trees[above][name.encode()]
    if after != before:
        made = _objects(git, "tree", written, scratch)
        if made[-1] != after:
            raise GitError(None, "git names objects otherwise than by SHA-1")
    return before, after


def _above(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[: depth + 1]) for depth in range(len(parts))]


def _read(repo: "Repo", name: str) -> tuple[str, Entries] | None:
    """The object's id and its entries; None where there is no folder of that name."""
    try:
        own, kind, _, stream = repo.git.stream_object_data(name)
    except ValueError:
        return None
    data: bytes = stream.read()
    if kind not in (b"tree", "tree"):
        return None
    found: Entries = {}
    at = 0
    while at < len(data):
        space, end = data.index(b" ", at), data.index(b"\0", at)
        found[data[space + 1 : end]] = (data[at:space], data[end + 1 : end + 1 + _ID])
        at = end + 1 + _ID
    return (own if isinstance(own, str) else own.decode()), found


def _data(entries: Entries) -> bytes:
    """As git sorts them: a folder as if its name ended in a slash."""
    ordered = sorted(entries.items(), key=lambda entry: entry[0] + (b"/" if entry[1][0] == _FOLDER else b""))
    return b"".join(mode + b" " + name + b"\0" + own for name, (mode, own) in ordered)


def _id(kind: str, data: bytes) -> str:
    return hashlib.sha1(f"{kind} {len(data)}\0".encode() + data, usedforsecurity=False).hexdigest()


def _objects(git: Git, kind: str, contents: Iterable[bytes], scratch: Path) -> list[str]:
    """Write objects, all by one process. Their ids."""
    paths = []
    for number, data in enumerate(contents):
        paths.append(scratch / f"{kind}-{number}")
        paths[-1].write_bytes(data)
    if not paths:
        return []
    listed = scratch / kind
    listed.write_text("".join(f"{path}\n" for path in paths))
    with listed.open("rb") as names:
        return git.run("hash-object", "-t", kind, "-w", "--no-filters", "--stdin-paths", stdin=names).split()
