"""Is a version still what was promised? Its files are read by the code of `mrc fetch`, for as long as there is time."""

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from mrc.fetch import Manifest, RemoteFile, Sources, parse_manifest, verify_artifact
from mrc.fetch.sources import Body, Opener, TemporaryError
from mrc.link import Fleet
from mrc.render.bundle import MANIFEST, data

TOGETHER = 16
"""How many files of one version are read at once: a bundle may have hundreds, and a pod has so many threads."""
_TIME_IS_UP = "the time to read it is up"


class _Limited(Sources):
    """Sources that stop reading at a moment of the monotonic clock: existence and size are seen before."""

    def __init__(self, until: float) -> None:
        super().__init__()
        self._until = until

    def opener(self, uri: str) -> Opener:
        unlimited = super().opener(uri)

        def limited(offset: int) -> AbstractContextManager[Body]:
            return self._cut(unlimited(offset))

        return limited

    @contextmanager
    def _cut(self, opened: AbstractContextManager[Body]) -> Iterator[Body]:
        with opened as body:
            yield Body(body.offset, body.length, self._chunks(body))

    def _chunks(self, body: Body) -> Iterator[bytes]:
        for chunk in body.chunks:
            yield chunk
            if time.monotonic() > self._until and body.length is not None:
                raise TemporaryError(_TIME_IS_UP, "")


def manifest(fleet: Fleet, model: str, environment: str, version: int) -> Manifest | None:
    """What the version promises there; None where it is not rendered."""
    linked = fleet.models.get(model)
    releases = [one for one in linked.releases if one.environment_name == environment] if linked is not None else []
    for release in releases:
        for retained in release.retained:
            if retained.number == version:
                return parse_manifest(data(release, retained)[MANIFEST].encode())
    return None


def problem(wanted: Manifest, seconds: float, *, patient: bool) -> str | None:
    """What is wrong with the files, or None. `patient`: a store that does not answer at the moment is nobody's fault.

    Of more than can be read together, all are seen to be there, with their sizes, before any is read to its end. One
    that was not looked at in time counts as not answering.
    """
    if seconds <= 0:
        return None
    until = time.monotonic() + seconds
    seen: dict[str, str | None] = {}
    for limit in ([0.0] if len(wanted.files) > TOGETHER else []) + [until]:
        seen |= _looked(wanted.files, limit, until, patient=patient)
        for file in wanted.files:
            fault = seen.get(file.path, None if patient else f"{file.path} could not be read within {seconds:g} s")
            if fault is not None:
                return fault
    return None


def _looked(files: Sequence[RemoteFile], limit: float, until: float, *, patient: bool) -> dict[str, str | None]:
    """What is wrong with each file that was looked at before `until`; none is read on after `limit`."""
    waiting, found = deque(files), dict[str, str | None]()

    def look() -> None:
        while waiting and time.monotonic() < until:
            try:
                file = waiting.popleft()
            except IndexError:
                return
            with _Limited(limit) as sources:
                fault = verify_artifact(file, sources, delays=())
            fine = fault is None or fault.found == _TIME_IS_UP or (patient and fault.temporary)
            found[file.path] = None if fine or fault is None else f"{file.path} is not what was promised: {fault.found}"

    threads = [threading.Thread(target=look, daemon=True) for _ in files[:TOGETHER]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until + 1 - time.monotonic()))
    return dict(found)
