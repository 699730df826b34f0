"""Receive an artifact and believe nothing: retried while that can help, counted and hashed as it arrives."""

import hashlib
import time
from dataclasses import dataclass
from typing import BinaryIO

from mrc.fetch.manifest import RemoteFile
from mrc.fetch.problem import Problem, human_size, redact
from mrc.fetch.sources import Opener, SourceError, Sources, TemporaryError

DELAYS = (0.5, 1.0, 2.0, 4.0, 8.0)  # seconds before each further try
ADVANCE = 64 << 20  # bytes; a try that came this much further than those before starts the count anew


@dataclass(frozen=True)
class Artifact:
    """Bytes that are promised: `size` in bytes, `sha256` in lower case hex, `origin` as it may be shown."""

    path: str
    origin: str
    size: int
    sha256: str
    opener: Opener


class _RefusedError(Exception):
    def __init__(self, expected: str, found: str) -> None:
        super().__init__(found)
        self.expected = expected
        self.found = found


def verify_artifact(file: RemoteFile, sources: Sources, delays: tuple[float, ...] = DELAYS) -> Problem | None:
    """Read the artifact at `file.uri` to its end, keep nothing, and return what is wrong with it, or None.

    Right is: it exists, has `file.size` bytes and the digest `file.sha256`. `Problem.temporary` tells "cannot
    be had at the moment" from "is not what was promised". `delays` are the waits in seconds between tries.
    Raises nothing.
    """
    return receive(remote_artifact(file, sources), None, delays)


def remote_artifact(file: RemoteFile, sources: Sources) -> Artifact:
    """Return what a manifest's entry promises."""
    return Artifact(file.path, redact(file.uri), file.size, file.sha256, sources.opener(file.uri))


def receive(artifact: Artifact, sink: BinaryIO | None, delays: tuple[float, ...]) -> Problem | None:
    """Write the artifact into the empty file `sink`, if given, and return what is wrong with it, or None.

    A temporary failure is retried, from where it broke off if the source can do that.
    Raises OSError when `sink` cannot be written.
    """
    intake = _Intake(artifact, sink)
    tries = furthest = 0
    while True:
        try:
            intake.take()
            intake.judge()
        except _RefusedError as error:
            return _refused(artifact, error)
        except TemporaryError as error:
            if intake.count >= furthest + ADVANCE:
                furthest, tries = intake.count, 0
            if tries == len(delays):
                return _missing(artifact, error, temporary=True)
            time.sleep(delays[tries])
            tries += 1
        except SourceError as error:
            return _missing(artifact, error, temporary=False)
        else:
            return None


class _Intake:
    """What has arrived of one artifact, over all tries."""

    def __init__(self, artifact: Artifact, sink: BinaryIO | None) -> None:
        self._artifact, self._sink = artifact, sink
        self._restart()

    def _restart(self) -> None:
        self.count = 0
        self._digest = hashlib.sha256()
        if self._sink:
            self._sink.seek(0)
            self._sink.truncate()

    def take(self) -> None:
        size = self._artifact.size
        if self.count == size > 0:
            return  # the last connection broke after the last byte
        with self._artifact.opener(self.count) as body:
            if body.length is not None and body.offset + body.length != size:
                raise _RefusedError(_bytes(size), _bytes(body.offset + body.length))
            if body.offset != self.count:
                self._restart()
            for chunk in body.chunks:
                self.count += len(chunk)
                if self.count > size:
                    raise _RefusedError(_bytes(size), f"more than {_bytes(size)}")
                self._digest.update(chunk)
                if self._sink:
                    self._sink.write(chunk)

    def judge(self) -> None:
        if self.count != self._artifact.size:
            raise _RefusedError(_bytes(self._artifact.size), _bytes(self.count))
        found = self._digest.hexdigest()
        if found != self._artifact.sha256:
            raise _RefusedError(f"sha256 {self._artifact.sha256}", f"sha256 {found}")


def _bytes(size: int) -> str:
    return f"{size} bytes"


def _refused(artifact: Artifact, error: _RefusedError) -> Problem:
    action = "find out who changed it; upload the promised bytes again, or serve another version"
    return Problem(artifact.path, error.expected, error.found, action, artifact.origin)


def _missing(artifact: Artifact, error: SourceError, *, temporary: bool) -> Problem:
    expected = f"{_bytes(artifact.size)} ({human_size(artifact.size)}), sha256 {artifact.sha256}"
    return Problem(artifact.path, expected, error.found, error.action, artifact.origin, temporary)
