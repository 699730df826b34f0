"""A newcomer's first impression: the demo runs anywhere, and what it leaves behind is what it said."""

import os
import subprocess
import sys
from pathlib import Path

from conftest import mrc
from reconciling import git


def test_the_demo_goes_back_twice_holds_the_model_and_ends_well(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from mrc.cli import run; run()", "demo", "--keep"]
    # As from a hook of git, in a shell without a locale.
    own = {**os.environ, "TMPDIR": str(tmp_path), "GIT_DIR": "/nowhere", "LC_ALL": "C", "PYTHONUTF8": "0"}
    done = subprocess.run(command, env=own, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert "\x1b" not in done.stdout, "colour is for terminals"

    (folder,) = tmp_path.iterdir()
    team = folder / "team"
    assert str(team) in done.stdout
    assert git("log", "--format=%an: %s", "main", cwd=folder / "remote.git").splitlines() == [
        "Ana: End the hold on hello-model in production",
        "mrc: Close the incident of hello-model in production: recovered",
        "mrc: Roll hello-model back to 2 in production",
        "Ana: Promote hello-model 4 in production",
        "mrc: Close the incident of hello-model in production: recovered",
        "mrc: Roll hello-model back to 2 in production",
        "Ana: Promote hello-model 3 in production",
        "Ana: Serve hello-model 2",
    ]
    for commit in git("rev-list", "main", cwd=team).splitlines():
        git("checkout", "-q", commit, cwd=team)
        checked = mrc("render", "--check", cwd=team)
        assert checked.returncode == 0, checked.stderr
    git("checkout", "-q", "main", cwd=team)
    assert "serve: {version: 2, fallback: 1} # a" in (team / "policies/hello-model/policy.yaml").read_text()
    # What is refused is refused by the rules, not by the story.
    for said in ("MRC386", "MRC388", "is held in production since", "breaker: rollback 2 within 1d", "recovered"):
        assert said in done.stdout
    assert "mrc has a bug" not in done.stdout


def test_the_demo_leaves_nothing_behind(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    command = [sys.executable, "-c", "from mrc.cli import run; run()", "demo"]
    own = {**os.environ, "TMPDIR": str(scratch), "HOME": str(tmp_path / "home")}
    subprocess.run(command, env=own, stdout=subprocess.DEVNULL, timeout=120, check=True)
    assert list(scratch.iterdir()) == []
    assert not (tmp_path / "home").exists()
