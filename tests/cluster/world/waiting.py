"""Waiting for what others do: a condition, a deadline, and what was last seen when it passes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


def wait(what: str, look: Callable[[], T], *, seconds: float, seen: Callable[[], Any] = lambda: None) -> T:
    """The first truthy answer of `look`, asked twice a second.

    `seen` tells what is there instead. Raises AssertionError after `seconds`.
    """
    end = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds:.0f} s: {what}; instead: {seen()}")
        time.sleep(0.4)
    return found
