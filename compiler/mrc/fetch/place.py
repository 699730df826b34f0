"""Where a repository lands: a lock, a staging directory beside it, and renames that happen last."""

import fcntl
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mrc.fetch.layout import Layout, Tree
from mrc.fetch.problem import FetchError, InvalidUseError, Problem, human_size, printable

FILE_MODE = 0o644
DIRECTORY_MODE = 0o755


def destination(to: Path) -> Path:
    """Return `to` as an absolute path whose parent exists on the same file system.

    Raises InvalidUseError.
    """
    absolute = to.absolute()
    if absolute.name in ("", ".."):
        raise _misused(to, "a directory with a name of its own", str(to), "name the repository's directory")
    try:
        root = absolute.parent.resolve(strict=True) / absolute.name
        parent = root.parent.stat()
        status = root.lstat() if os.path.lexists(root) else parent
    except (OSError, RuntimeError) as error:  # RuntimeError: symbolic links that lead in a circle
        found = getattr(error, "strerror", None) or "an unreadable parent"
        raise _misused(to, "a directory inside an existing one", found, "mount the volume first") from None
    if not stat.S_ISDIR(status.st_mode):
        found = "a symbolic link" if stat.S_ISLNK(status.st_mode) else "a file"
        raise _misused(to, "a directory, or nothing yet", found, "name another path")
    if status.st_dev != parent.st_dev:
        # What is staged beside it could not be renamed into it, and lost+found would be a model.
        action = "mount the volume one level higher"
        raise _misused(to, "a directory below a volume's root", "a volume's root", action)
    return root


@contextmanager
def staging(root: Path) -> Iterator[Path]:
    """Lock `root`, and give an empty directory beside it that is removed at the end.

    Both are named after `root` with a dot before; what a killed run left there is removed first.
    Raises FetchError when another run holds the lock, OSError.
    """
    partial = root.with_name(f".{root.name}.partial")
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    lock = os.open(root.with_name(f".{root.name}.lock"), flags, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the kernel drops it with the process
        except BlockingIOError:
            raise FetchError([_busy(root)]) from None
        if os.path.lexists(partial):
            shutil.rmtree(partial)
        partial.mkdir(0o700)
        try:
            yield partial
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    finally:
        os.close(lock)


def obstacles(root: Path, layout: Layout) -> list[Problem]:
    """Return what stands in `root` where a rename would have to go."""
    problems = []
    for path in layout.models:
        if os.path.lexists(root / path) and not _is_directory(root / path):
            problems.append(_obstacle(root / path, "a directory, or nothing yet", "something else"))
    for path in layout.loose:
        if _is_directory(root / path):
            problems.append(_obstacle(root / path, "a file, or nothing yet", "a directory"))
    return problems


def holds_exactly(root: Path, path: str, tree: Tree) -> bool:
    """Tell whether the directory `path` has the entries of `tree` and no others; contents are not read."""
    if not _is_directory(root / path):
        return False
    files, directories, pending = set(), {path}, [path]
    while pending:
        above = pending.pop()
        for entry in os.scandir(root / above):
            name = f"{above}/{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                directories.add(name)
                pending.append(name)
            elif entry.is_file(follow_symlinks=False):
                files.add(name)
            else:
                return False
    return files == tree.files and directories == tree.directories


def lacking_space(parent: Path, needed: int) -> Problem | None:
    """Return a problem when the file system of `parent` has less than `needed` bytes free."""
    status = os.statvfs(parent)
    free = status.f_bavail * status.f_frsize
    if needed <= free:
        return None
    return Problem(
        str(parent),
        f"{needed} bytes free ({human_size(needed)}) for the files that are not there yet",
        f"{free} bytes ({human_size(free)})",
        "give the volume more space, or empty it",
    )


def linked(there: Path, staged: Path) -> bool:
    """Give the file `there` the second name `staged`, which costs no space; False where that cannot be."""
    try:
        os.link(there, staged, follow_symlinks=False)
    except OSError:
        return False
    return True


def make_directory(path: Path) -> None:
    """Make `path` with mode 0755, and its parents as far as they are missing."""
    if not path.is_dir():
        make_directory(path.parent)
        path.mkdir(exist_ok=True)  # another thread may have been first
        path.chmod(DIRECTORY_MODE)  # whatever the umask is


def place(staged: Path, root: Path, trees: Iterable[str], loose: Iterable[str]) -> None:
    """Rename what is complete under `staged` into `root`: the trees, then the loose files in their order.

    Raises OSError; a tree that could not be replaced is still the old one.
    """
    trees, loose = list(trees), list(loose)
    if not root.is_dir():
        make_directory(root)
        _sync(root.parent)
    models = {root / path.split("/")[0] for path in (*trees, *loose)}
    for model in models:
        make_directory(model)
    for path in trees:
        for directory, _, _ in os.walk(staged / path):
            _sync(Path(directory))
        _replace_tree(staged / path, root / path, staged / ".replaced")  # no model has this name
    # Versions are on disk before a configuration names them.
    for changed in (*models, root):
        _sync(changed)
    for path in loose:
        (staged / path).replace(root / path)
    for model in models:
        _sync(model)


def _replace_tree(new: Path, target: Path, aside: Path) -> None:
    # rename(2) does not replace a directory that has entries: the old one goes aside first.
    old = aside / f"{target.parent.name}.{target.name}"
    moved = os.path.lexists(target)
    if moved:
        aside.mkdir(exist_ok=True)
        target.rename(old)
    try:
        new.rename(target)
    except OSError:
        if moved:
            old.rename(target)
        raise


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_directory(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _misused(to: Path, expected: str, found: str, action: str) -> InvalidUseError:
    return InvalidUseError([Problem(printable(str(to)), expected, found, action)])


def _obstacle(path: Path, expected: str, found: str) -> Problem:
    return Problem(str(path), expected, found, "remove it, or name an empty directory")


def _busy(root: Path) -> Problem:
    return Problem(str(root), "one run at a time", "another mrc fetch at work there", "wait for its end")
