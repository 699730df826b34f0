"""The remote in memory answers as git does: what `test_world.py` finds would be found with the real one."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from examples import examples
from mrc.reconcile.git import Git
from mrc.reconcile.ledger import Identity, Ledger
from reconciling import BEGIN, git
from reconciling.memory import MemoryLedger, Remote

edits = st.dictionaries(
    st.sampled_from(["a.yaml", "b/c.yaml"]), st.sampled_from([b"1\n", b"2\n", None]), min_size=1, max_size=2
)
begun = {"a.yaml": b"1\n", "b/c.yaml": b"1\n"}
actions = st.tuples(st.sampled_from(["commit", "push", "fetch"]), st.integers(0, 1), edits)


class Both:
    """Two reconcilers of one branch, on real git and in memory."""

    def __init__(self, folder: Path) -> None:
        tree, bare = folder / "tree", folder / "remote.git"
        (tree / "b").mkdir(parents=True)
        for path, data in begun.items():
            (tree / path).write_bytes(data)
        git("init", "-q", "--bare", "-b", "main", bare, cwd=folder)
        git("init", "-q", "-b", "main", cwd=tree)
        git("add", ".", cwd=tree)
        git("commit", "-q", "-m", "Begin", cwd=tree)
        git("push", "-q", bare, "main", cwd=tree)
        remote = Remote(begun, BEGIN)
        self.real: list[Any] = [Ledger(Git(folder / str(number)), str(bare), "main", Identity()) for number in (0, 1)]
        self.played: list[Any] = [MemoryLedger(remote, "mrc", lambda point: None) for _ in (0, 1)]


@given(st.lists(actions, max_size=8))
@example(
    [
        ("commit", 0, {"a.yaml": b"2\n"}),
        ("push", 0, {}),
        ("push", 0, {}),
        ("commit", 1, {"a.yaml": b"2\n"}),
        ("push", 1, {}),
    ]
)
@example(
    [
        ("commit", 0, {"a.yaml": b"2\n"}),
        ("commit", 1, {"a.yaml": None}),
        ("push", 0, {}),
        ("push", 1, {}),
        ("fetch", 1, {}),
    ]
)
@settings(max_examples=examples(15))
def test_the_remote_in_memory_answers_as_git_does(steps: list[tuple[str, int, dict[str, bytes | None]]]) -> None:
    with TemporaryDirectory() as folder:
        both = Both(Path(folder))
        seen: list[list[str]] = []
        for side in (both.real, both.played):
            tips, made, told = [each.fetch() for each in side], [None, None], []
            for what, who, changed in steps:
                if what == "fetch":
                    tips[who] = side[who].fetch()
                elif what == "commit":
                    made[who] = side[who].commit(tips[who], changed, "Change\n", BEGIN)
                    told.append(f"changed: {made[who] is not None}")
                elif made[who] is not None:
                    told.append(side[who].push(made[who]).state)
            tree = side[0].tree(side[0].fetch())
            told += [f"{path}: {tree.read(path)!r}" for path in tree.files()]
            seen.append(told)
        assert seen[0] == seen[1]
