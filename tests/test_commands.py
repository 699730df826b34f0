"""The commands as a team meets them, on copies of the example fleet."""

import io
import json
import subprocess
from pathlib import Path

import pytest

from conftest import mrc
from mrc.cli.common import Progress

POLICY = "policies/ranker/policy.yaml"


def snapshot(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def edit(root: Path, file: str, old: str, new: str) -> None:
    text = (root / file).read_text()
    assert old in text
    (root / file).write_text(text.replace(old, new, 1))


def test_two_renders_yield_the_same_bytes(fleet: Path) -> None:
    assert mrc("render", cwd=fleet).returncode == 0
    first = snapshot(fleet)
    assert mrc("render", cwd=fleet).returncode == 0
    assert snapshot(fleet) == first


def test_check_finds_a_stale_tree_and_writes_nothing(fleet: Path) -> None:
    mrc("render", cwd=fleet)
    edit(fleet, POLICY, "replicas: 8", "replicas: 9")
    before = snapshot(fleet)
    done = mrc("render", "--check", cwd=fleet)
    assert done.returncode == 1
    assert "rendered/production/ranker/rollout.yaml: error MRC402" in done.stderr
    assert snapshot(fleet) == before


def test_an_error_writes_nothing_and_shows_the_place(fleet: Path) -> None:
    mrc("render", cwd=fleet)
    edit(fleet, POLICY, "max: 80ms", "max: 80")
    before = snapshot(fleet)
    done = mrc("render", cwd=fleet)
    assert done.returncode == 1
    assert 'write "80ms" or "80s"' in done.stderr
    assert f"{POLICY}:29:41: error MRC205" in done.stderr
    assert snapshot(fleet) == before


def test_a_misspelt_key_is_named_with_what_was_meant(fleet: Path) -> None:
    edit(fleet, POLICY, "replicas: 8", "replica: 8")
    done = mrc("check", "--format", "json", cwd=fleet)
    assert done.returncode == 1
    messages = [item["message"] for item in json.loads(done.stdout)]
    assert "unknown key 'replica'; did you mean replicas?" in messages


def test_a_foreign_file_is_never_lost(fleet: Path) -> None:
    mrc("render", cwd=fleet)
    note = fleet / "rendered/production/ranker/note.txt"
    note.write_text("mine")
    done = mrc("render", cwd=fleet)
    assert done.returncode == 1
    assert "MRC401" in done.stderr
    assert note.read_text() == "mine"


def test_one_model_renders_without_reading_the_others(fleet: Path) -> None:
    mrc("render", cwd=fleet)
    (fleet / "policies/sentiment/policy.yaml").write_text("{")
    edit(fleet, POLICY, "replicas: 8", "replicas: 9")
    before = snapshot(fleet)
    assert mrc("render", "ranker", cwd=fleet).returncode == 0
    changed = {path for path, data in snapshot(fleet).items() if before.get(path) != data}
    assert changed == {"rendered/production/ranker/rollout.yaml"}


def test_a_promotion_changes_one_line(fleet: Path) -> None:
    before = (fleet / POLICY).read_text().split("\n")
    assert mrc("promote", "ranker", "30", "-e", "production", cwd=fleet).returncode == 0
    after = (fleet / POLICY).read_text().split("\n")
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert [new.strip() for _, new in changed] == [
        "serve: {version: 30, fallback: 31} # a promotion or a rollback is this line"
    ]
    assert mrc("render", cwd=fleet).returncode == 0


def test_a_promotion_never_falls_back_to_what_was_rejected(fleet: Path) -> None:
    rejected = "  rejected:\n    production: {by: ops@example.com, at: 2026-11-12T03:04:05Z, reason: it is slow}\n"
    for number in (29, 31):
        head = (fleet / "policies/ranker/verdicts/30.yaml").read_text().split("spec:")[0].replace("30", str(number))
        (fleet / f"policies/ranker/verdicts/{number}.yaml").write_text(f"{head}spec:\n{rejected}")
    done = mrc("promote", "ranker", "30", "-e", "production", cwd=fleet)
    assert "version 30 serves in production, and falls back to none: every other one was rejected there" in done.stdout
    assert "serve: {version: 30} # a promotion or a rollback is this line" in (fleet / POLICY).read_text()


def test_the_pod_of_a_version_does_not_depend_on_the_policy(fleet: Path) -> None:
    """A restored template must equal the old one, or going back starts new pods."""
    mrc("render", cwd=fleet)
    rollout = fleet / "rendered/production/ranker/rollout.yaml"
    before = rollout.read_text().split("  template:")[1]
    edit(fleet, POLICY, "replicas: 8", "replicas: 9")
    edit(fleet, POLICY, "bake: 2h", "bake: 3h")
    edit(fleet, POLICY, "max: 80ms", "max: 70ms")
    assert mrc("render", cwd=fleet).returncode == 0
    assert rollout.read_text().split("  template:")[1] == before


def git(root: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
    subprocess.run(["git", *identity, *arguments], cwd=root, check=True, capture_output=True)


def test_an_edited_or_dropped_version_is_an_error_against_the_base(fleet: Path) -> None:
    git(fleet, "init", "-b", "main")
    git(fleet, "add", ".")
    git(fleet, "commit", "-m", "Begin")
    assert mrc("check", "--base", "main", cwd=fleet).returncode == 0
    edit(fleet, "policies/ranker/versions/30.yaml", "cpu: 4", "cpu: 8")
    (fleet / "policies/ranker/versions/29.yaml").unlink()
    done = mrc("check", "--base", "main", cwd=fleet)
    assert done.returncode == 1
    assert "policies/ranker/versions/30.yaml: error MRC331" in done.stderr
    assert "policies/ranker/versions/29.yaml: error MRC332" in done.stderr


def test_an_unknown_base_is_said(fleet: Path) -> None:
    git(fleet, "init", "-b", "main")
    git(fleet, "add", ".")
    git(fleet, "commit", "-m", "Begin")
    done = mrc("check", "--base", "nowhere", cwd=fleet)
    assert done.returncode == 2
    assert "nowhere" in done.stderr


def test_every_code_is_explained(fleet: Path) -> None:
    from mrc.rulebook import RULES

    codes = [rule.code for rule in RULES]
    assert len(codes) == len(set(codes))
    done = mrc("explain", codes[-1], cwd=fleet)
    assert done.returncode == 0
    assert codes[-1] in done.stdout


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_progress_is_shown_on_a_terminal_once_a_second_has_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 0.5, 1.5, 1.55, 3.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    terminal = Terminal()
    progress = Progress("models", terminal)
    for done in range(1, 5):
        progress(done, 9)
    progress.end()
    assert terminal.getvalue() == "\r2 of 9 models \r4 of 9 models \r\x1b[K"


def test_no_progress_goes_into_a_log() -> None:
    log = io.StringIO()
    progress = Progress("models", log)
    progress(1, 9)
    progress.end()
    assert log.getvalue() == ""
