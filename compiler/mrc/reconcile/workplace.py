"""The folder that a process works in: locked as long as it or a git of its lives, and rid of what a killed one left.

The kernel drops a lock with the last process that has it, however that ends; so no age is guessed.
"""

import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

WAIT_SECONDS = 20.0
"""How long a git that a killed process has left is waited for."""
_PREFIX = "mrc-reconcile-"
_LOCK = "lock"


class TakenError(Exception):
    """Another process works in the folder."""


@dataclass(frozen=True)
class Workplace:
    """A folder, and the descriptor of its lock, which children inherit."""

    folder: Path
    lock: int


@contextmanager
def kept(folder: Path) -> Iterator[Workplace]:
    """A folder that stays. Raises TakenError when another process works in it, OSError."""
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    lock = _opened(folder)
    try:
        end = time.monotonic() + WAIT_SECONDS
        while not _locked(lock):
            if time.monotonic() > end:
                raise TakenError(f"another process works in {folder}: give each one its own")
            time.sleep(0.1)
        yield Workplace(folder, lock)
    finally:
        os.close(lock)


@contextmanager
def temporary() -> Iterator[Workplace]:
    """A new folder, removed at the end; those of processes that were killed are removed first. Raises OSError."""
    top = Path(tempfile.gettempdir())
    for path in top.glob(f"{_PREFIX}*"):
        _remove_abandoned(path)
    folder, lock = _new(top)
    try:
        yield Workplace(folder, lock)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _new(top: Path) -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=top))
        try:
            lock = _opened(folder)
        except FileNotFoundError:
            continue  # another process came in between, and took it for abandoned
        if _locked(lock) and (folder / _LOCK).exists():
            return folder, lock
        os.close(lock)


def _remove_abandoned(path: Path) -> None:
    """A folder that nobody has locked. Somebody else's, or what only looks like one, stays."""
    try:
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            return
        lock = _opened(path)
    except OSError:
        return  # somebody else removes it
    try:
        if _locked(lock):
            shutil.rmtree(path, ignore_errors=True)  # follows no symbolic link
    finally:
        os.close(lock)


def _opened(folder: Path) -> int:
    return os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
