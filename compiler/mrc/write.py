"""Artifacts to `rendered/`: each model's folder is swapped whole, and only when nothing is wrong with any.

The work is staged in `rendered/.mrc-<process>`; until the last check has passed, nothing of the tree has moved.
"""

import contextlib
import errno
import fcntl
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from mrc.artifact import Artifact, is_rendered
from mrc.diagnostics import Diagnostic, at_file, error
from mrc.exchange import exchange
from mrc.records import dataclass
from mrc.standins import StandIn, standing_in
from mrc.tree import Tree, UnreadableError

with standing_in(*map(StandIn, ("bz2", "lzma", "zlib"))):
    import shutil  # which asks only whether they are there

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

STAGING = ".mrc-"
# What a file system says that has no locks for folders, such as NFS: then nobody waits, and nothing is cleaned up.
_NO_LOCKS = frozenset((errno.EBADF, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP))


@dataclass(frozen=True)
class Difference:
    """How a rendered folder differs from what it should be: paths, and findings that forbid a swap."""

    stale: tuple[str, ...] = ()
    foreign: tuple[Diagnostic, ...] = ()


def compare(tree: Tree, folder: str, artifacts: Iterable[Artifact]) -> Difference:
    """The folder on disk against what it should hold; no artifacts means that it should go."""
    wanted = {artifact.path: artifact.text.encode() for artifact in artifacts}
    there = tree.files(folder)
    extra = [path for path in there if path not in wanted]
    foreign = [
        at_file(FOREIGN, path, "mrc did not write this")
        for path in extra
        if path.count("/") != folder.count("/") + 1 or not of_mrc(tree, path)
    ]
    foreign += [
        at_file(FOREIGN, path, f"it is {what}, and mrc writes regular files")
        for path, what in sorted(tree.refused.items())
        if path == folder or path.startswith(f"{folder}/") or folder.startswith(f"{path}/")
    ]
    changed = [path for path, data in wanted.items() if path not in there or _read(tree, path) != data]
    return Difference(tuple(sorted(extra + changed)), tuple(foreign))


def stale(folder: str, difference: Difference) -> Diagnostic:
    """One finding for a folder, at the first of its files."""
    first, *others = difference.stale
    more = f", and so {'is 1 more file' if len(others) == 1 else f'are {len(others)} more files'} of {folder}"
    return at_file(STALE, first, "it is not what mrc renders now" + (more if others else ""))


def of_mrc(tree: Tree, path: str) -> bool:
    """Whether mrc wrote the file."""
    return is_rendered(_read(tree, path))


def _read(tree: Tree, path: str) -> bytes:
    try:
        return tree.read(path)
    except UnreadableError:
        return b""


@contextlib.contextmanager
def locked(root: Path, wait: Callable[[], None]) -> Iterator[None]:
    """Hold `rendered/` alone; `wait` is called when another render holds it, and then this one waits."""
    rendered = root / "rendered"
    if not os.path.lexists(rendered):
        rendered.mkdir()
    if rendered.is_symlink() or not rendered.is_dir():
        yield  # it is foreign, and nothing will be written
        return
    handle = os.open(rendered, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            wait()
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError as problem:
            if problem.errno not in _NO_LOCKS:
                raise
            yield
            return
        # The lock is ours: whatever was staged here belongs to a run that was killed.
        for left in rendered.glob(f"{STAGING}*"):
            shutil.rmtree(left, ignore_errors=True)
        yield
    finally:
        os.close(handle)


class Staging:
    """A folder beside the tree that takes what is to be moved into place."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / "rendered" / f"{STAGING}{os.getpid()}"

    def put(self, folder: str, artifacts: Iterable[Artifact]) -> None:
        """Write the files of one folder. Raises OSError."""
        (self.path / folder).mkdir(parents=True, exist_ok=True)
        if not (ignored := self.path / ".gitignore").exists():
            ignored.write_bytes(b"*\n")  # what a killed run leaves is never committed
        for artifact in artifacts:
            # A tenth of all time goes into these calls, and twice as much into the comfort of `open`.
            handle = os.open(f"{self.path}/{artifact.path}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
            try:
                rest = artifact.text.encode()
                while rest:
                    rest = rest[os.write(handle, rest) :]
            finally:
                os.close(handle)

    def commit(self, changed: Iterable[str], removed: Iterable[str]) -> None:
        """Move everything that was put into place, then remove folders; all of it, or nothing when one fails.

        `changed` are folders and files in the order in which they become visible. Raises OSError.
        """
        done: list[tuple[Path, Path]] = []
        try:
            for path in changed:
                done.append(self._place(self.path / path, self.root / path))
            for path in removed:
                aside = self.path / "removed" / path
                aside.parent.mkdir(parents=True, exist_ok=True)
                (self.root / path).rename(aside)
                done.append((aside, self.root / path))
        except OSError:
            for now, before in reversed(done):
                self._undo(now, before)
            raise

    def _place(self, new: Path, target: Path) -> tuple[Path, Path]:
        if target.exists():
            exchange(new, target)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            new.rename(target)
        return new, target

    def _undo(self, now: Path, before: Path) -> None:
        with contextlib.suppress(OSError):
            if now.exists() and before.exists():
                exchange(now, before)
            elif now.exists():
                now.rename(before)
            else:
                before.rename(now)

    def drop(self) -> None:
        """Remove what is left of the staging."""
        shutil.rmtree(self.path, ignore_errors=True)
