"""The user's cache folder: what can be made anew at any time, kept outside of every repository."""

import contextlib
import hashlib
import os
import stat
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

_DAY = 86400  # seconds
_KEPT_SECONDS = 30 * _DAY
_KEPT_VERSIONS = 20
_KEPT_FILES = 200  # of one version: a file for each tree, and templates where they cannot be kept beside their text


# Folders of mrc that no compiled byte depends on; the contracts in pyproject.toml hold that the compiler imports none.
_NOTHING_OF_IT = frozenset(("__pycache__", "cli", "demo", "fetch", "reconcile"))


@cache
def fingerprint() -> str:
    """What the output depends on besides the input: mrc's own files, Python, and the packages beside it."""
    digest = hashlib.sha256(f"{sys.version}\0".encode())
    package = Path(__file__).parent
    templates = package.parents[1] / "templates"  # inside the wheel they are part of the package
    for folder in (str(package), str(templates)):
        for path in sorted(_files(folder)):
            digest.update(f"{path.removeprefix(folder)}\0".encode() + _contents(path))
    for entry in sys.path:
        with contextlib.suppress(OSError), os.scandir(entry) as entries:
            names = [each.name for each in entries if each.name.endswith((".dist-info", ".egg-info"))]
            digest.update("\0".join(sorted(names)).encode())
    return digest.hexdigest()[:20]


def _contents(path: str) -> bytes:
    handle = os.open(path, os.O_RDONLY)  # hundreds of times at every start, and `open` takes twice as long
    try:
        return os.read(handle, os.fstat(handle).st_size)
    finally:
        os.close(handle)


def _files(folder: str) -> Iterator[str]:
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name in _NOTHING_OF_IT:
                continue
            if entry.is_dir():
                yield from _files(entry.path)
            else:
                yield entry.path


@cache
def folder() -> Path | None:
    """A folder of this user's alone, for this very mrc; None where there can be none."""
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
        if not base.is_absolute():
            return None
        path = base / "mrc" / fingerprint()
        if not path.is_dir():
            base.mkdir(parents=True, exist_ok=True)
            path.parent.mkdir(mode=0o700, exist_ok=True)
            path.mkdir(mode=0o700, exist_ok=True)
            _forget(path.parent, _KEPT_VERSIONS)
        # What lies here is trusted: nobody else may have put it there, nor put another folder in its place.
        trusted = _of_user(path) and _of_user(path.parent)
    except (OSError, RuntimeError):  # RuntimeError: a user without a home, as in a container
        return None
    return path if trusted and os.access(path, os.W_OK) else None


def _of_user(path: Path) -> bool:
    status = path.lstat()
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o022


def load(file: Path) -> bytes | None:
    """What was saved there, whole; None where there is nothing, or it is damaged."""
    try:
        data = file.read_bytes()
    except OSError:
        return None
    return data[32:] if hashlib.sha256(data[32:]).digest() == data[:32] else None


def save(file: Path, data: bytes) -> None:
    """Keep it, at once or not at all: a cache that cannot be written is none."""
    beside = file.with_name(f"{file.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        if not file.exists():
            _forget(file.parent, _KEPT_FILES)
        try:
            beside.write_bytes(hashlib.sha256(data).digest() + data)
            beside.replace(file)
        except OSError:
            beside.unlink(missing_ok=True)


def _forget(folder: Path, most: int) -> None:
    """Remove what was not touched for a month; of more than `most` entries, what was not touched for a day."""
    import shutil

    found = sorted(((entry.stat().st_mtime, entry) for entry in os.scandir(folder)), key=lambda pair: -pair[0])
    for place, (touched, entry) in enumerate(found):
        if time.time() - touched > (_KEPT_SECONDS if place < most else _DAY):
            with contextlib.suppress(OSError):
                shutil.rmtree(entry.path) if entry.is_dir(follow_symlinks=False) else Path(entry.path).unlink()
