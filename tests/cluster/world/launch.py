"""`mrc`, with settings that a test needs, and with a moment at which it kills itself.

Run as a script: `launch.py {"settings": {"module:NAME": value}, "dies": "a moment"} ARGUMENTS...`.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any


def die() -> None:
    """As `kill -9` does it: no clean-up, no last word."""
    os.kill(os.getpid(), signal.SIGKILL)


def before(module: str, name: str) -> None:
    """Die instead of calling `name`."""
    owner, _, last = name.rpartition(".")
    setattr(_owner(module, owner), last, lambda *_, **__: die())


def after(module: str, name: str) -> None:
    """Die when `name` has returned, unless it only tried (`dry`)."""
    path, _, last = name.rpartition(".")
    owner = _owner(module, path)
    whole: Callable[..., Any] = getattr(owner, last)

    def call(*arguments: Any, **more: Any) -> Any:
        found = whole(*arguments, **more)
        if not more.get("dry"):
            die()
        return found

    setattr(owner, last, call)


def _owner(module: str, path: str) -> Any:
    found = importlib.import_module(module)
    return getattr(found, path) if path else found


def pushing() -> None:
    """Die together with git, which has begun to push."""
    whole = subprocess.Popen.__init__

    def start(self: Any, command: Any, *arguments: Any, **more: Any) -> None:
        whole(self, command, *arguments, **more)
        if "push" in command and not {"--dry-run", "--atomic"} & set(command):  # those prove its rights, at the start
            os.killpg(self.pid, signal.SIGKILL)
            die()

    subprocess.Popen.__init__ = start  # type: ignore[method-assign,assignment]


MOMENTS: dict[str, Callable[[], None]] = {
    "before it decides": lambda: before("mrc.reconcile.reconciler", "decide"),
    "while it verifies the target": lambda: before("mrc.reconcile.evidence", "problem"),
    "before the commit": lambda: before("mrc.reconcile.ledger", "Ledger.commit"),
    "after the commit": lambda: after("mrc.reconcile.ledger", "Ledger.commit"),
    "while git pushes": pushing,
    "after the push": lambda: after("mrc.reconcile.ledger", "Ledger.push"),
    "when it takes the incident up": lambda: before("mrc.reconcile.following", "progress"),
}


def main() -> None:
    wanted = json.loads(sys.argv.pop(1))
    for name, value in wanted.get("settings", {}).items():
        module, _, last = name.partition(":")
        setattr(importlib.import_module(module), last, value)
    if "dies" in wanted:
        MOMENTS[wanted["dies"]]()
    from mrc.cli import run

    run()


if __name__ == "__main__":
    main()
