"""Is a version still what was promised? Its files are read by the code of `mrc fetch`, for as long as there is time."""

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from mrc.fetch import Manifest, Sources, parse_manifest, verify_artifact
from mrc.fetch.sources import Body, Opener, TemporaryError
from mrc.link import Fleet
from mrc.render.bundle import MANIFEST, data

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

    Every file is read at once, in a thread of its own; one that is not done in time counts as not answering.
    """
    if seconds <= 0:
        return None
    until = time.monotonic() + seconds
    found: dict[str, str | None] = {}

    def look(path: str) -> None:
        file = next(each for each in wanted.files if each.path == path)
        with _Limited(until) as sources:
            fault = verify_artifact(file, sources, delays=())
        if fault is None or fault.found == _TIME_IS_UP or (patient and fault.temporary):
            found[path] = None
        else:
            found[path] = f"{path} is not what was promised: {fault.found}"

    threads = [threading.Thread(target=look, args=(file.path,), daemon=True) for file in wanted.files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.1, until + 1 - time.monotonic()))
    for file in wanted.files:
        fault = found.get(file.path, None if patient else f"{file.path} could not be read within {seconds:g} s")
        if fault is not None:
            return fault
    return None
