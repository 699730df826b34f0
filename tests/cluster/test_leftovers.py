"""What the tests start ends with them, also when they are interrupted or killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from world.leftovers import marked
from world.waiting import wait

MARK = "MRC_INTERRUPTED"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda number: number.name)
def test_an_interrupted_run_leaves_no_process_behind(tmp_path: Path, number: signal.Signals) -> None:
    story = Path(__file__).with_name("test_reconcile.py")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "1", "-k", "in_its_first_stage"]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    variables |= {MARK: str(tmp_path), "TMPDIR": str(tmp_path)}
    with (tmp_path / "log").open("wb") as log:
        run = subprocess.Popen(
            [*command, f"--basetemp={tmp_path / 'run'}", story], env=variables,
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip

    def running() -> str:
        return "\n".join(marked(MARK, str(tmp_path)).values())

    try:
        wait(
            "a story is told",
            lambda: "kube-apiserver" in running() and "prometheus" in running(),
            seconds=300,
            seen=running,
        )
        if number == signal.SIGINT:
            os.killpg(run.pid, number)  # as a terminal does
        else:
            run.send_signal(number)
        wait("nothing is left", lambda: run.poll() is not None and not running(), seconds=120, seen=running)
    finally:
        for left in marked(MARK, str(tmp_path)):
            os.kill(left, signal.SIGKILL)
        run.wait(timeout=10)
