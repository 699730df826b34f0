"""A reconciler that kills itself at one of its calls to the world, and then the next one, which has to end the story.

Run as a script: `killed.py HOW FOLDER` reads nothing but what is there, and prints a JSON line for each call at which
it died. HOW is `before`, when the call has not begun, or `after`: git is on its way, or the request was answered.
Importing is what takes long, so each life is a fork of this process.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from mrc.reconcile.git import Git, GitError
from mrc.reconcile.hooks import Call, Caller
from mrc.reconcile.ledger import Identity, Ledger
from mrc.reconcile.reconciler import Reconciler, Seen
from mrc.reconcile.telemetry import Telemetry
from reconciling import BEGIN, ENVIRONMENT, MODEL, Monitored, git, rollout, run, seen

LIVES = 400
LONGEST = 120.0
"""Seconds of one life, on however busy a machine."""
READERS = {"ls-tree", "cat-file"}


class Fault(threading.local):
    """Kills this process at the n-th call to the world, never at 0. What the test itself asks does not count."""

    calls = 0  # of all threads
    asking = False

    def __init__(self, at: int) -> None:
        self.at = at

    def call(self) -> None:
        """One more call."""
        if not self.asking:
            Fault.calls += 1
            if Fault.calls == self.at:
                os.kill(os.getpid(), signal.SIGKILL)


def breaks(fault: Fault, how: str) -> None:
    """Count every call that leaves the process: git's processes, the hooks' requests, what monitoring is asked."""

    def wrap(owner: Any, name: str) -> None:
        whole: Callable[..., Any] = getattr(owner, name)

        def counted(*arguments: Any, **more: Any) -> Any:
            # git's readers change nothing, and say nothing that another call would not stand next to.
            counts = not (owner is subprocess.Popen and READERS.intersection(arguments[1]))
            if how == "before" and counts:
                fault.call()
            found = whole(*arguments, **more)
            if how == "after" and counts:
                fault.call()
            return found

        setattr(owner, name, counted)

    wrap(subprocess.Popen, "__init__")  # git runs already, and goes on without us
    wrap(httpx.HTTPTransport, "handle_request")  # the request was taken, and nobody wrote it down
    for name in ("problems", "worse", "verdicts", "page"):
        wrap(Monitored, name)


def world(remote: Path) -> Seen:
    """The cluster follows git at once: what was aborted is back as soon as main says so."""
    if "serve: {version: 12" in git("show", f"main:policies/{MODEL}/policy.yaml", cwd=remote):
        return seen([rollout(version=12, phase="stable")])
    return seen([rollout()], [run()])


class Noted(Caller):
    """Notes what it is about to say."""

    notes: Path

    def _post(self, call: Call) -> tuple[int | None, str]:
        with self.notes.open("a") as notes:
            notes.write(json.dumps([call.url, call.incident, call.body.decode()]) + "\n")
        return super()._post(call)


def live(folder: Path, since: float, fault: Fault) -> None:
    """One life, until the incident has ended."""
    remote = folder / "remote.git"
    ledger = Ledger(Git(folder / "state"), str(remote), "main", Identity(email="mrc@example.com"))

    def clock() -> Any:
        return BEGIN + timedelta(seconds=time.time() - since)

    with (folder / "log").open("a") as log:
        hooks = Noted(clock, ["127.0.0.1"], pause=0.05)
        hooks.notes = folder / "calls"
        reconciler = Reconciler(ledger, ENVIRONMENT, Monitored(), Telemetry(log), clock, hook=hooks)
        end, begun = time.monotonic() + LONGEST, False
        while time.monotonic() < end:
            fault.asking = True
            found, ended = world(remote), "Close the incident" in git("log", "-1", "--format=%s", "main", cwd=remote)
            fault.asking = False
            if ended:
                return
            try:
                if not begun:
                    reconciler.start()
                begun = True
                reconciler.step(found)
            except GitError as problem:
                # git of the life before may still be at work here, and has the lock; whoever started us tries again.
                log.write(f"{problem}\n")
            time.sleep(0.02)
    raise AssertionError("the incident did not end")


def forked(how: str, folder: Path, since: float, at: int) -> int:
    """How a life ended: a signal is negative."""
    child = os.fork()
    if child == 0:
        try:
            fault = Fault(at)
            breaks(fault, how)
            live(folder, since, fault)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main() -> None:
    how, top = sys.argv[1], Path(sys.argv[2])
    for at in range(1, LIVES):
        folder = top / str(at)
        shutil.copytree(top / "pristine.git", folder / "remote.git")
        since = time.time()
        first = forked(how, folder, since, at)
        second = forked(how, folder, since, 0) if first == -signal.SIGKILL else None
        print(json.dumps({"at": at, "first": first, "second": second}), flush=True)
        if first != -signal.SIGKILL:
            return


if __name__ == "__main__":
    main()
