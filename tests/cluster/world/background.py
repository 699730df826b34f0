"""What goes on beside a test: a task that is repeated in a thread, whose fault is the test's."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator


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
