"""Killed at any call to the world and started again: at most one revert, and an incident that ends."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from judges.endpoint import serve
from reconciling import ENVIRONMENT, MODEL, Team, team

TESTS = Path(__file__).parent


@pytest.mark.parametrize("how", ["before", "after"])
def test_who_is_killed_at_any_call_rolls_back_once_and_ends_its_incident(tmp_path: Path, how: str) -> None:
    with serve() as endpoint:
        at = f"http://127.0.0.1:{endpoint.port}"
        hooks = f'hooks: {{flushCache: {{url: "{at}/flush"}}, reprocess: {{url: "{at}/replay"}}}}'
        made = team(tmp_path / "team", reconcile="mode: commit, plainHosts: [127.0.0.1]", policy=hooks)
        lives = tmp_path / "lives"
        lives.mkdir()
        shutil.copytree(made.remote, lives / "pristine.git")
        path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
        done = subprocess.run(
            [sys.executable, "-m", "reconciling.killed", how, lives],
            env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=1200, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        found = [json.loads(line) for line in done.stdout.splitlines()]

        # It died at every call until there was none left; and each time the next process came to the end.
        assert [life["first"] for life in found] == [-9] * (len(found) - 1) + [0], done.stderr
        assert {life["second"] for life in found[:-1]} == {0}, done.stderr
        assert len(found) > 20
        for life in found:
            told(lives / str(life["at"]) / "remote.git")
            # A call that is made again says the same with the same key: who takes the key seriously acts once.
            calls = (lives / str(life["at"]) / "calls").read_text().splitlines()
            assert len(set(calls)) == 2, calls
        for hook in ("/flush", "/replay"):
            assert sum(request.path == hook for request in endpoint.requests) >= len(found), "each incident was told"


def told(remote: Path) -> None:
    """What people find on main."""
    found = Team(remote, remote)
    assert found.log() == [
        f"Close the incident of {MODEL} in {ENVIRONMENT}: recovered",
        f"Record that {MODEL} is back in {ENVIRONMENT}, before its hooks are called",
        f"Roll {MODEL} back to 12 in {ENVIRONMENT}",
        "Promote sentiment 13",
    ], remote
    (path,) = found.files("incidents")
    spec = yaml.safe_load(found.show(path))["spec"]
    assert [each["accepted"] for each in spec["told"]] == [True, True]
