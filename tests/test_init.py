"""A newcomer's first minute: init, render, check."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from conftest import TOP, mrc


def test_a_fresh_repository_renders_at_once(tmp_path: Path) -> None:
    root = tmp_path / "rollouts"
    assert mrc("init", str(root), cwd=tmp_path).returncode == 0
    done = mrc("render", cwd=root)
    assert (done.returncode, "error" in done.stderr, "warning" in done.stderr) == (0, False, False)
    assert mrc("render", "--check", cwd=root).returncode == 0
    assert mrc("check", cwd=root).returncode == 0
    assert sorted(path.name for path in (root / "rendered").iterdir()) == ["production", "staging"]


def test_the_steps_that_the_tutorial_names_are_those_that_argo_shows(tmp_path: Path) -> None:
    """Whoever waits for a stage in a cluster for the first time looks for this number."""
    root = tmp_path / "rollouts"
    assert mrc("init", str(root), cwd=tmp_path).returncode == 0
    assert mrc("render", cwd=root).returncode == 0
    rollout = yaml.safe_load((root / "rendered/staging/hello-model/rollout.yaml").read_text())
    steps = rollout["spec"]["strategy"]["canary"]["steps"]
    named = re.findall(r"`Step: (\d+)/(\d+)`", (TOP / "docs/tutorial/cluster.md").read_text())
    assert named == [(str(index), str(len(steps))) for index, step in enumerate(steps) if "pause" in step]


@pytest.mark.parametrize("used", [False, True])
def test_init_fills_the_folder_that_one_stands_in(tmp_path: Path, used: bool) -> None:
    """A folder made for it, or the clone of a repository that a forge has just made."""
    root = tmp_path / "my rollouts"
    root.mkdir()
    if used:
        subprocess.run(["git", "init", "-q", str(root)], check=True)
    done = mrc("init", ".", cwd=root)
    assert (done.returncode, done.stderr) == (0, "")
    steps = f"{'' if used else 'git init && '}mrc render && git add ."
    assert done.stdout.startswith(f"The repository is ready. Next:\n\n  {steps}\n\n")
    assert mrc("render", cwd=root).returncode == 0
    assert not [path.name for path in root.iterdir() if path.name.startswith(".mrc-init")]
    other = mrc("init", "another one", cwd=root)
    assert "  cd 'another one'\n" in other.stdout


def test_init_in_a_folder_of_a_repository_makes_no_second_one(tmp_path: Path) -> None:
    """A repository in a repository would be a submodule that is none; and no forge reads .github of a folder."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    said = mrc("init", "ml models", cwd=tmp_path).stdout
    assert "git init" not in said
    assert "move .github, CODEOWNERS and .pre-commit-config.yaml to its root" in said
    assert said.endswith("-C 'ml models'.\n")
    hook = yaml.safe_load((tmp_path / "ml models/.pre-commit-config.yaml").read_text())["repos"][0]["hooks"][0]
    assert re.search(hook["files"], "ml models/policies/hello-model/policy.yaml")


def test_init_writes_over_nothing(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    done = mrc("init", str(tmp_path), cwd=tmp_path)
    assert done.returncode == 2
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_the_schemas_in_the_tree_are_those_of_the_code() -> None:
    from mrc.schema.jsonschema import json_schema

    for file in (TOP / ".schemas").iterdir():
        assert file.read_text() == json_schema(file.stem)
