"""What goes on beside a test: a task that is repeated in a thread, a server that comes and goes."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any


@contextlib.contextmanager
def repeated(task: Callable[[], None], *, seconds: float, forgiven: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Call `task` every so many seconds for the length of the `with`.

    What is forgiven is tried again; any other exception ends the task, and is raised at the end.
    """
    stop = threading.Event()
    failed: list[Exception] = []

    def loop() -> None:
        while not stop.wait(seconds):
            try:
                task()
            except forgiven:
                continue
            except Exception as error:
                failed.append(error)
                return

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=60)
    if failed:
        raise failed[0]


class Restartable:
    """A server that is started and stopped as often as a test likes, at the same address."""

    def __init__(self, serve: Callable[[], AbstractContextManager[Any]]) -> None:
        self._serve = serve
        self._running = contextlib.ExitStack()

    def start(self) -> None:
        """Return when it is ready."""
        self._running.enter_context(self._serve())

    def stop(self) -> None:
        """Return when it is gone."""
        self._running.close()

    def __enter__(self) -> Restartable:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
