"""A commit's tree is what git itself would write: judged by its index, on any edits."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import example, given, settings
from hypothesis import strategies as st

from examples import examples
from mrc.reconcile.git import Git
from mrc.reconcile.gittree import GitTree
from mrc.reconcile.objects import Objects
from mrc.reconcile.trees import write
from reconciling import git

NAMES = ["a", "a-b", "a.b", "b"]
paths = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map("/".join)
BEGUN = {"a/b": b"1", "a-b": b"2", "a.b/a": b"3", "b/a/b": b"4", "run": b"5"}


@given(st.dictionaries(paths, st.sampled_from([b"1", b"2", None]), min_size=1, max_size=4))
@example({"a/b": None})
@example({"b/a/b": None, "b/b": b"1"})
@example({"a": None})
@settings(max_examples=examples(25))
def test_the_tree_is_what_git_would_write(edits: dict[str, bytes | None]) -> None:
    if any(one != other and f"{other}/".startswith(f"{one}/") for one in edits for other in edits):
        return  # a file and a folder of one name
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        tree, bare = folder / "tree", folder / "bare.git"
        for path, data in BEGUN.items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_bytes(data)
        (tree / "run").chmod(0o755)
        git("init", "-q", "-b", "main", cwd=tree)
        git("add", ".", cwd=tree)
        git("commit", "-q", "-m", "Begin", cwd=tree)
        git("clone", "-q", "--bare", tree, bare, cwd=folder)
        objects = Objects(Git(bare))
        before = GitTree(objects, "main")
        after = write(objects, before, edits)
        assert before.root == git("rev-parse", "main^{tree}", cwd=tree)
        assert before.files() == git("ls-files", cwd=tree).splitlines()
        for path, data in edits.items():
            target = tree / path
            for above in reversed(target.relative_to(tree).parents):
                if (tree / above).is_file() and data is not None:
                    (tree / above).unlink()
            if data is None:
                if target.is_file():
                    target.unlink()
                continue
            if target.is_dir():
                shutil.rmtree(target)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
            target.chmod(0o644)
        git("add", "-A", ".", cwd=tree)
        assert after == git("write-tree", cwd=tree)
        git("fsck", "--strict", "--no-dangling", cwd=bare)
