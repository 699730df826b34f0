"""Whole-tree cases: a command, an input tree, the exact text and the exact rendered tree.

`tests/cases/<name>/cmd` is the command; `in/` lies over `tests/cases/common/`; `stdout` is everything printed and the
exit code; `out/`, where there is one, is the whole of `rendered/`. Where there is a `base/`, it lies over `common/` and
is committed as `main` before `in/` is laid over it and what `gone` lists is removed; `BASE` stands for its commit.
`make cases` writes the results anew: read the diff.
"""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import mrc

CASES = Path(__file__).parent / "cases"
NAMES = sorted(path.parent.name for path in CASES.glob("*/cmd"))


def files(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): path.read_text()
        for path in sorted(root.rglob("*"))
        if path.is_file() and ".git" not in path.relative_to(root).parts
    }


def commit(root: Path) -> str:
    """Everything below `root` as the one commit of a fresh repository, on main."""
    quiet = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}

    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
        command = ["git", *identity, *arguments]
        return subprocess.run(command, cwd=root, env=quiet, check=True, capture_output=True, text=True).stdout

    git("init", "-q", "-b", "main")
    git("add", ".")
    git("commit", "-q", "-m", "Begin")
    return git("rev-parse", "HEAD").strip()


def lay(folder: Path, over: Path) -> None:
    """Copy with the times of now: git takes a file of the same size and time for unchanged, as after a fresh clone."""
    for path in folder.rglob("*"):
        if path.is_symlink():  # or a folder where a file should be: it takes the place of what is there
            (over / path.relative_to(folder)).unlink(missing_ok=True)
        elif path.is_dir() and (there := over / path.relative_to(folder)).is_file():
            there.unlink()
    shutil.copytree(folder, over, symlinks=True, dirs_exist_ok=True, copy_function=shutil.copyfile)


@pytest.mark.parametrize("name", NAMES)
def test_case(name: str, tmp_path: Path) -> None:
    case = CASES / name
    lay(CASES / "common", tmp_path)
    base = None
    if (case / "base").exists():
        lay(case / "base", tmp_path)
        base = commit(tmp_path)
    if (case / "in").exists():
        lay(case / "in", tmp_path)
    for path in (case / "gone").read_text().split() if (case / "gone").exists() else []:
        (tmp_path / path).unlink()
    before = files(tmp_path)
    done = mrc(*shlex.split((case / "cmd").read_text())[1:], cwd=tmp_path)
    printed = f"{done.stdout}{done.stderr}exit {done.returncode}\n"
    if base is not None:
        printed = printed.replace(base, "BASE").replace(base[:12], "BASE")
    if os.environ.get("MRC_REWRITE_CASES"):
        (case / "stdout").write_text(printed)
        if (case / "out").exists():
            shutil.rmtree(case / "out")
            shutil.copytree(tmp_path / "rendered", case / "out")
    assert printed == (case / "stdout").read_text()
    if (case / "out").exists():
        assert files(tmp_path / "rendered") == files(case / "out")
    else:
        assert files(tmp_path) == before, "a case without out/ changes nothing"
