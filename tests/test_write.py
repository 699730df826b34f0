"""Writing the rendered tree: what a user would lose to a kill, a full disk, a link, a second run, or a stale cache."""

import errno
import fcntl
import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conftest import mrc
from mrc import cache, write
from mrc.artifact import Artifact
from mrc.build import build
from mrc.load import load
from mrc.tree import SHARED, MemoryTree
from test_commands import edit, snapshot

POLICY = "policies/ranker/policy.yaml"
FOLDER = "rendered/production/ranker"

# Renders in a process that is killed at the n-th call that changes the tree.
KILLED = """
import os, signal, sys
from mrc import exchange, write
left = [int(sys.argv[1])]
def dying(function):
    def call(*arguments, **options):
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)
    return call
write.exchange = dying(write.exchange)
for name in ("rename", "write", "mkdir"):
    setattr(os, name, dying(getattr(os, name)))
from mrc.cli import run
sys.argv = ["mrc", "render"]
run()
"""


def killed_render(root: Path, at: int) -> bool:
    """Whether the render was killed before it was done."""
    done = subprocess.run([sys.executable, "-c", KILLED, str(at)], cwd=root, capture_output=True, check=False)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr.decode()
    return done.returncode != 0


def test_a_kill_at_any_moment_leaves_each_folder_old_or_new(
    fleet: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    mrc("render", cwd=fleet)
    old = snapshot(fleet / "rendered")
    edit(fleet, POLICY, "replicas: 8", "replicas: 9")
    edit(fleet, "policies/sentiment/policy.yaml", "replicas: 4", "replicas: 5")
    edit(fleet, "environments/staging.yaml", "scrape: 15s", "scrape: 20s")
    copy = tmp_path_factory.mktemp("new")
    subprocess.run(["cp", "-r", f"{fleet}/.", copy], check=True)
    mrc("render", cwd=copy)
    new = snapshot(copy / "rendered")
    assert old.keys() == new.keys()
    at = kills = 0
    while True:
        at += 1 if at < 2 else 21  # the calls repeat for each folder: staged, then swapped
        subprocess.run(["rm", "-rf", fleet / "rendered"], check=True)
        for path, data in old.items():
            (fleet / "rendered" / path).parent.mkdir(parents=True, exist_ok=True)
            (fleet / "rendered" / path).write_bytes(data)
        if not killed_render(fleet, at):
            break
        kills += 1
        now = {path: data for path, data in snapshot(fleet / "rendered").items() if not path.startswith(".mrc-")}
        assert now.keys() == old.keys()
        for folder in {str(Path(path).parent) for path in now}:
            files = [path for path in now if str(Path(path).parent) == folder]
            assert all(now[path] == old[path] for path in files) or all(now[path] == new[path] for path in files)
        assert mrc("render", cwd=fleet).returncode == 0, "the next run cleans up and completes"
        assert snapshot(fleet / "rendered") == new
    assert kills > 3


def test_what_a_killed_run_left_is_not_foreign_and_goes(fleet: Path) -> None:
    mrc("render", cwd=fleet)
    left = fleet / "rendered/.mrc-1/rendered/production/ranker"
    left.mkdir(parents=True)
    (left / "rollout.yaml").write_text("half")
    assert mrc("render", "--check", cwd=fleet).returncode == 0
    assert mrc("render", cwd=fleet).returncode == 0
    assert not (fleet / "rendered/.mrc-1").exists()


def test_a_second_render_waits_for_the_first(fleet: Path) -> None:
    mrc("render", cwd=fleet)
    edit(fleet, POLICY, "replicas: 8", "replicas: 9")
    holder = subprocess.Popen(
        [sys.executable, "-c", "import fcntl, os, sys, time; fd = os.open('rendered', os.O_RDONLY); "
         "fcntl.flock(fd, fcntl.LOCK_EX); print('held', flush=True); sys.stdin.read()"],
        cwd=fleet, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    waiting = subprocess.Popen(
        [sys.executable, "-c", "from mrc.cli import run; run()", "render"], cwd=fleet, stderr=subprocess.PIPE, text=True
    )
    assert waiting.stderr is not None
    assert "another mrc render writes this tree" in waiting.stderr.readline()
    assert waiting.poll() is None
    assert "replicas: 8" in (fleet / FOLDER / "rollout.yaml").read_text()
    holder.communicate()
    waiting.communicate()
    assert waiting.returncode == 0
    assert "replicas: 9" in (fleet / FOLDER / "rollout.yaml").read_text()


def test_a_full_disk_changes_nothing(fleet: Path) -> None:
    mrc("render", cwd=fleet)
    before = snapshot(fleet)
    edit(fleet, POLICY, "replicas: 8", "replicas: 9")
    done = subprocess.run(
        [sys.executable, "-c", "from mrc.cli import run; run()", "render"],
        cwd=fleet, capture_output=True, text=True, check=False,
        # No file may grow beyond 4 KiB: the kernel then says EFBIG, as a full disk says ENOSPC.
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
        env={**os.environ, "COVERAGE_PROCESS_CONFIG": "", "COVERAGE_PROCESS_START": ""},
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "cannot write" in done.stderr
    assert "Traceback" not in done.stderr
    assert {**snapshot(fleet), POLICY: b""} == {**before, POLICY: b""}


@pytest.mark.parametrize("place", ["rendered", "rendered/production", FOLDER, f"{FOLDER}/rollout.yaml"])
def test_a_link_in_the_rendered_tree_is_foreign(fleet: Path, place: str) -> None:
    mrc("render", cwd=fleet)
    elsewhere = fleet / "elsewhere"
    (fleet / place).rename(elsewhere)
    (fleet / place).symlink_to(elsewhere)
    before = snapshot(elsewhere) if elsewhere.is_dir() else elsewhere.read_bytes()
    edit(fleet, POLICY, "replicas: 8", "replicas: 9")
    done = mrc("render", cwd=fleet)
    assert done.returncode == 1, done.stderr
    assert f"{place}: error MRC401" in done.stderr
    assert (snapshot(elsewhere) if elsewhere.is_dir() else elsewhere.read_bytes()) == before
    assert (fleet / place).is_symlink()


@pytest.mark.parametrize("place", [FOLDER, f"{FOLDER}/rollout.yaml", "rendered/production/kustomization.yaml"])
def test_a_file_and_a_folder_in_each_other_s_place_are_said_or_replaced(fleet: Path, place: str) -> None:
    mrc("render", cwd=fleet)
    path = fleet / place
    subprocess.run(["rm", "-rf", path], check=True)
    if place == FOLDER:
        path.write_text("mine")
    else:
        path.mkdir()
        (path / "mine").write_text("mine")
    done = mrc("render", cwd=fleet)
    assert done.returncode == 1
    assert "error MRC401" in done.stderr
    assert (path if place == FOLDER else path / "mine").read_text() == "mine"


def test_what_no_model_has_any_more_goes(fleet: Path) -> None:
    mrc("render", cwd=fleet)
    subprocess.run(["rm", "-rf", fleet / "policies/ranker"], check=True)
    assert mrc("render", "--check", cwd=fleet).returncode == 1
    assert mrc("render", cwd=fleet).returncode == 0
    assert not (fleet / FOLDER).exists()
    assert "ranker" not in (fleet / "rendered/production/kustomization.yaml").read_text()
    assert mrc("render", "--check", cwd=fleet).returncode == 0


def test_an_environment_that_is_gone_takes_its_folder_along(fleet: Path) -> None:
    mrc("render", cwd=fleet)
    (fleet / "environments/staging.yaml").rename(fleet / "environments/stage.yaml")
    for path in [*fleet.glob("policies/*/*.yaml"), *fleet.glob("policies/*/verdicts/*"), *fleet.glob("environments/*")]:
        path.write_text(re.sub(r"(?<!support-)staging", "stage", path.read_text()))
    done = mrc("render", cwd=fleet)
    assert done.returncode == 0, done.stderr
    assert not (fleet / "rendered/staging").exists()
    assert (fleet / "rendered/stage/ranker/rollout.yaml").exists()


def test_a_file_changed_by_hand_is_seen_though_the_cache_knows_the_model(fleet: Path) -> None:
    mrc("render", cwd=fleet)
    time.sleep(0.3)  # beyond what the file system's clock cannot tell apart
    mrc("render", cwd=fleet)
    file = fleet / FOLDER / "rollout.yaml"
    text, times = file.read_text(), file.stat()
    file.write_text(text.replace("replicas: 8", "replicas: 7"))
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))  # as tar or rsync would leave it
    assert mrc("render", "--check", cwd=fleet).returncode == 1
    assert mrc("render", cwd=fleet).returncode == 0
    assert file.read_text() == text


@pytest.mark.parametrize(
    "file", [POLICY, "policies/ranker/versions/29.yaml", "environments/production.yaml", "mrc.yaml"]
)
def test_any_byte_of_the_input_counts_though_the_cache_knows_the_model(fleet: Path, file: str) -> None:
    """A comment changes no output; a broken file must be found at once."""
    mrc("render", cwd=fleet)
    with (fleet / file).open("a") as end:
        end.write("]\n")
    done = mrc("render", cwd=fleet)
    assert done.returncode == 1
    assert file in done.stderr


def test_warnings_are_told_again_when_nothing_has_changed(fleet: Path) -> None:
    edit(fleet, POLICY, ", fallback: 30", "")
    mrc("render", cwd=fleet)
    again = mrc("render", cwd=fleet)
    assert "0 folders changed, 1 warning" in again.stderr
    assert f"{POLICY}:" in again.stderr


def test_a_user_without_a_home_renders_all_the_same(fleet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs as a number: there is no cache then."""

    def nobody(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.delenv("HOME")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", nobody)
    cache.folder.cache_clear()
    try:
        assert cache.folder() is None
        assert build(fleet).diagnostics == []
        assert (fleet / FOLDER / "rollout.yaml").is_file()
    finally:
        cache.folder.cache_clear()


def test_the_key_of_an_outcome_covers_everything_that_is_read() -> None:
    """A folder that a new kind of document is read from must be part of the key, or the cache gives wrong answers."""
    asked: set[str] = set()

    class Recording(MemoryTree):
        def files(self, under: str = "") -> list[str]:
            asked.add(under)
            return super().files(under)

    load(Recording({"mrc.yaml": b"", "policies/a/policy.yaml": b""}))
    assert asked <= {*SHARED, "policies"}


def test_a_file_system_without_locks_is_written_without_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NFS locks no folders. Who else is at work there is unknown, so that nothing is cleaned up."""

    def refuse(handle: int, how: int) -> None:
        raise OSError(errno.EBADF, "Bad file descriptor")

    monkeypatch.setattr(fcntl, "flock", refuse)
    staging = tmp_path / "rendered/.mrc-1"
    staging.mkdir(parents=True)
    with write.locked(tmp_path, lambda: pytest.fail("nobody holds it")):
        assert staging.exists()


def test_what_a_killed_run_leaves_is_never_committed(tmp_path: Path) -> None:
    staging = write.Staging(tmp_path)
    staging.put("rendered/production/ranker", [Artifact("rendered/production/ranker/rollout.yaml", "half")])
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    command = ["git", "status", "--porcelain", "--untracked-files=all"]
    assert subprocess.run(command, cwd=tmp_path, check=True, capture_output=True).stdout == b""
