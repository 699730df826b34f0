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

_KEPT_SECONDS = 30 * 86400


@cache
def fingerprint() -> str:
    """What the output depends on besides the input: mrc's own files, Python, and the packages beside it."""
    digest = hashlib.sha256(f"{sys.version}\0".encode())
    package = Path(__file__).parent
    templates = package.parents[1] / "templates"  # inside the wheel they are part of the package
    for folder in (str(package), str(templates)):
        for path in sorted(_files(folder)):
            digest.update(f"{path.removeprefix(folder)}\0".encode() + Path(path).read_bytes())
    for entry in map(Path, sys.path):
        if entry.name == "site-packages" and entry.is_dir():
            digest.update("\0".join(sorted(each.name for each in entry.glob("*.dist-info"))).encode())
    return digest.hexdigest()[:20]


def _files(folder: str) -> Iterator[str]:
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _files(entry.path)
            elif not entry.name.endswith(".pyc"):
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
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            _forget(path.parent)
        status = path.lstat()
    except (OSError, RuntimeError):  # RuntimeError: a user without a home, as in a container
        return None
    # What lies here is trusted: nobody else may have put it there.
    private = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o022
    return path if private and os.access(path, os.W_OK) else None


def _forget(base: Path) -> None:
    """Remove what another mrc has kept and not touched for a month."""
    import shutil

    for other in base.iterdir():
        with contextlib.suppress(OSError):
            if time.time() - other.lstat().st_mtime > _KEPT_SECONDS:
                shutil.rmtree(other)
