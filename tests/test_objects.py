"""Reading and writing git's objects: what a reconciler decides on is what git has, whatever becomes of the reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mrc.reconcile.git import Git
from mrc.reconcile.gittree import GitTree
from mrc.reconcile.ledger import Identity, Ledger
from mrc.reconcile.objects import Objects
from mrc.tree import LARGEST, UnreadableError
from reconciling import BEGIN, git


def remote(folder: Path, files: dict[str, bytes]) -> Path:
    """A bare repository with one commit on main."""
    tree, bare = folder / "tree", folder / "remote.git"
    for path, data in files.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_bytes(data)
    git("init", "-q", "-b", "main", cwd=tree)
    git("add", ".", cwd=tree)
    git("commit", "-q", "-m", "Begin", cwd=tree)
    git("clone", "-q", "--bare", tree, bare, cwd=folder)
    return bare


class Watched(Git):
    """Says which process it started last."""

    def started(self, *arguments: str, **more: Any) -> Any:
        self.last = super().started(*arguments, **more)
        return self.last


def test_a_reader_that_was_killed_is_started_again(tmp_path: Path) -> None:
    runner = Watched(remote(tmp_path, {"a": b"1"}))
    objects = Objects(runner)
    tree = GitTree(objects, "main")
    assert tree.read("a") == b"1"
    runner.last.kill()
    runner.last.proc.wait()
    assert tree.read("a") == b"1"
    assert objects.read("0" * 40) is None


def test_many_files_are_read_in_order(tmp_path: Path) -> None:
    files = {f"folder/{number // 2}/{number}": b"%d" % number for number in range(300)}
    tree = GitTree(Objects(Git(remote(tmp_path, files))), "main")
    assert tree.files("folder") == sorted(files)
    assert {path: tree.read(path) for path in tree.files()} == files
    assert tree.files("folder/7/14") == ["folder/7/14"]
    assert tree.files("nowhere") == tree.files("folder/7/14/deeper") == []


def test_a_file_that_is_too_large_is_passed_over_and_the_next_one_is_read(tmp_path: Path) -> None:
    tree = GitTree(Objects(Git(remote(tmp_path, {"large": b"x" * (LARGEST + 1), "small": b"1"}))), "main")
    with pytest.raises(UnreadableError, match="more than 4 MiB"):
        tree.read("large")
    assert tree.read("small") == b"1"


def test_what_was_pushed_is_known_here_and_is_whole(tmp_path: Path) -> None:
    """Else git would walk the whole tree at the next fetch, and what reads first would find no object."""
    bare = remote(tmp_path, {"a/b": b"1", "c": b"2"})
    ledger = Ledger(Git(tmp_path / "state"), str(bare), "main", Identity())
    commit = ledger.commit(ledger.fetch(), {"a/b": b"3", "d/e": b"4", "c": None}, "Change\n", BEGIN)
    assert commit is not None
    assert ledger.push(commit).state == "done"
    assert git("rev-parse", "refs/remotes/origin/main", cwd=tmp_path / "state") == commit
    git("fsck", "--strict", "--connectivity-only", "main", cwd=bare)
    git("fsck", "--strict", cwd=tmp_path / "state")
    assert git("ls-tree", "-r", "--name-only", "main", cwd=bare).splitlines() == ["a/b", "d/e"]


def test_one_file_of_many_folders_is_read_and_a_folder_is_named_by_what_is_in_it(tmp_path: Path) -> None:
    files = {f"rendered/{number}/rollout.yaml": b"%d" % number for number in range(600)}
    del files["rendered/7/rollout.yaml"]
    files |= {"rendered/7/other.yaml": b"7", "copy/9/rollout.yaml": b"9"}
    bare = remote(tmp_path, files)
    tree = GitTree(Objects(Git(bare)), "main")
    folders = tree.folders("rendered")
    assert folders.keys() == {str(number) for number in range(600)}
    found = dict(zip(folders, tree.across(list(folders.values()), "rollout.yaml"), strict=True))
    assert found == {name: None if name == "7" else name.encode() for name in folders}
    assert tree.id("copy/9") == folders["9"] == git("rev-parse", "main:copy/9", cwd=bare)
    assert tree.id("rendered/9/nothing") is None
