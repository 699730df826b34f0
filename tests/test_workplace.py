"""Where a reconciler works: its own as long as it lives, and nobody's after that, however it ended."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from mrc.reconcile import workplace
from mrc.reconcile.git import Git
from mrc.reconcile.ledger import Identity, Ledger
from mrc.reconcile.workplace import TakenError, Workplace, kept, temporary
from reconciling import BEGIN, git
from reconciling.remotes import keygen
from test_hostile import calm, forked
from test_transport import bare


@pytest.fixture(autouse=True)
def top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go."""
    found = tmp_path / "tmp"
    found.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(found))
    monkeypatch.setattr(workplace, "WAIT_SECONDS", 0.2)
    return found


def alive(place: AbstractContextManager[Workplace], does: Callable[[Workplace], object] = lambda place: None) -> int:
    """A process that works there, and does nothing more."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            with place as made:
                does(made)
                os.write(writing, b".")
                signal.pause()
        finally:
            os._exit(1)
    os.close(writing)
    assert os.read(reading, 1) == b"."
    os.close(reading)
    return process


def killed(process: int) -> None:
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)


def test_the_next_one_removes_what_a_killed_one_left_and_no_other(top: Path) -> None:
    dead, other = alive(temporary()), alive(temporary())
    try:
        killed(dead)
        # What only looks like it: somebody's link to somewhere else, and a file.
        precious = top / "precious"
        precious.mkdir()
        (top / "mrc-reconcile-link").symlink_to(precious)
        (top / "mrc-reconcile-file").write_text("mine")
        assert len([path for path in top.glob("mrc-reconcile-*") if (path / "lock").exists()]) == 2
        with temporary() as place:
            there = {path for path in top.glob("mrc-reconcile-*") if (path / "lock").exists()}
            assert len(there) == 2, "the one that lives, and the new one"
            assert place.folder in there
        assert not place.folder.exists()
        assert precious.exists()
        assert {path.name for path in top.iterdir()} >= {"precious", "mrc-reconcile-link", "mrc-reconcile-file"}
    finally:
        killed(other)


def test_a_folder_that_stays_is_one_process_s(tmp_path: Path) -> None:
    """Two in one folder would take each other's locks off."""
    process = alive(kept(tmp_path / "state"))
    try:
        with pytest.raises(TakenError, match="another process works in"), kept(tmp_path / "state"):
            pass
    finally:
        killed(process)
    with kept(tmp_path / "state"):
        pass


def test_a_git_that_outlives_its_process_still_has_the_folder(tmp_path: Path) -> None:
    """It would go on writing where the next one removes what it takes for left behind."""

    running = []

    def begun(place: Workplace) -> None:
        state = Git(place.folder / "repository.git", inherited=[place.lock])
        running.append(state.started("cat-file", "--batch", stdin=reading))

    reading, writing = os.pipe()
    process = alive(kept(tmp_path / "state"), begun)
    os.close(reading)
    killed(process)
    with pytest.raises(TakenError), kept(tmp_path / "state"):
        pass
    os.close(writing)  # now it ends, too


def test_commits_and_signatures_leave_no_files(tmp_path: Path, top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = keygen(tmp_path / "key")
    state = Git(tmp_path / "state")
    ledger = Ledger(state, str(bare(tmp_path)), "main", Identity(signing_key=key))
    tip = ledger.fetch()
    before = {path.name for path in state.folder.iterdir()}
    commit = ledger.commit(tip, {"README.md": b"hello\n"}, "Say hello", BEGIN)
    assert commit is not None
    assert ledger.signed(commit)
    assert git("log", "-1", "--format=%s", commit, cwd=state.folder) == "Say hello"
    assert {path.name for path in state.folder.iterdir()} == {*before, "allowed_signers"}
    assert not list(top.iterdir())
    # A git that is killed while it signs leaves what it signed.
    for name in (".git_signing_buffer_tmpX1", "shallow.lock", "objects/pack/tmp_pack_X1"):
        (state.folder / name).write_bytes(b"")
    state.sweep()
    assert {path.name for path in state.folder.iterdir()} == {*before, "allowed_signers"}
    assert not list(state.folder.glob("objects/pack/tmp*"))


WRONG = {
    ("--kubeconfig", ""): "--kubeconfig FILE says how the cluster is reached",
    ("--kubeconfig", "no-kubeconfig"): "no-kubeconfig is no kubeconfig that can be used",
    ("--listen", "everywhere"): "'everywhere' is not a host and a port",
    ("--state", "no-kubeconfig/state"): "Not a directory",
}


@pytest.mark.parametrize("options", WRONG)
def test_who_starts_it_where_it_cannot_work_is_told_what_is_missing(options: tuple[str, str], tmp_path: Path) -> None:
    """A first try on somebody's own machine is no bug of mrc."""
    (tmp_path / "no-kubeconfig").write_text("a: [\n")
    given = options if options[1] else ()
    done = forked("reconcile", str(tmp_path / "models.git"), "-e", "production", *given, cwd=tmp_path)
    assert WRONG[options] in calm(done, 2).replace(str(tmp_path) + "/", "")
