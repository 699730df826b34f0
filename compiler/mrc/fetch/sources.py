"""Where artifacts come from. A source gives bytes from an offset on; it neither retries nor verifies."""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from mrc.fetch.https import HttpsSource
    from mrc.fetch.s3 import S3Source

CHUNK = 1 << 20  # bytes


class SourceError(Exception):
    """An artifact could not be had: `found` says what came instead, `action` what to do about it."""

    def __init__(self, found: str, action: str) -> None:
        super().__init__(found)
        self.found = found
        self.action = action


class TemporaryError(SourceError):
    """The same request may succeed in a moment."""


class PermanentError(SourceError):
    """The same request will fail again until somebody changes something."""


@dataclass(frozen=True)
class Body:
    """Bytes of an artifact from `offset` on; `length` of them, or None when the source does not say.

    `offset` is what was asked for, or 0 when the source cannot start in the middle.
    Reading `chunks` raises TemporaryError or PermanentError.
    """

    offset: int
    length: int | None
    chunks: Iterator[bytes]


Opener = Callable[[int], AbstractContextManager[Body]]


def temporary_status(status: int) -> bool:
    """Tell whether an HTTP status speaks of the moment (408, 429, 5xx) and not of the artifact."""
    return status in (408, 429) or status >= 500


class Sources:
    """Opens addresses, with one client a scheme made when it is first needed. Safe to share between threads.

    A context manager: leaving it closes the connections.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._open = ExitStack()
        self._https: HttpsSource | None = None
        self._s3: S3Source | None = None

    def __enter__(self) -> "Sources":
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def opener(self, uri: str) -> Opener:
        """Return the function that opens `uri` (as a manifest allows it) at an offset in bytes."""
        return partial(self._opened, uri)

    def _opened(self, uri: str, offset: int) -> AbstractContextManager[Body]:
        parts = urlsplit(uri)
        if parts.scheme == "https":
            return self._https_source().open(uri, offset)
        if parts.scheme == "s3":
            return self._s3_source().open(parts.netloc, parts.path.removeprefix("/"), offset)
        return open_file(Path(unquote(parts.path)), offset)

    def _https_source(self) -> "HttpsSource":
        with self._lock:
            if self._https is None:
                from mrc.fetch.https import HttpsSource

                self._https = self._open.enter_context(HttpsSource())
            return self._https

    def _s3_source(self) -> "S3Source":
        with self._lock:
            if self._s3 is None:
                from mrc.fetch.s3 import S3Source

                self._s3 = S3Source()
                self._open.callback(self._s3.close)
            return self._s3


@contextmanager
def open_file(path: Path, offset: int, *, follow: bool = False) -> Iterator[Body]:
    """Open the regular file at `path`; one that is a symbolic link only if `follow`.

    Raises PermanentError.
    """
    # Without O_NONBLOCK, opening a named pipe would wait for a writer for ever.
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        link = not follow and path.is_symlink()
        raise PermanentError(
            "a symbolic link" if link else (error.strerror or "an unreadable file"),
            "name the file itself" if link else "check the path, the volume's mount and its permissions",
        ) from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise PermanentError("something that is not a regular file", "name a regular file")
        os.lseek(descriptor, offset, os.SEEK_SET)
        yield Body(offset, max(0, status.st_size - offset), _file_chunks(descriptor))
    finally:
        os.close(descriptor)


def _file_chunks(descriptor: int) -> Iterator[bytes]:
    try:
        while chunk := os.read(descriptor, CHUNK):
            yield chunk
    except OSError as error:
        raise PermanentError(error.strerror or "an unreadable file", "check the volume") from None
