"""Whole-tree cases: a command, an input tree, the exact text and the exact rendered tree.

`tests/cases/<name>/cmd` is the command; `in/` lies over `tests/cases/common/`; `stdout` is everything printed and the
exit code; `out/`, where there is one, is the whole of `rendered/`. `make cases` writes them anew: read the diff.
"""

import os
import shlex
import shutil
from pathlib import Path

import pytest

from conftest import mrc

CASES = Path(__file__).parent / "cases"
NAMES = sorted(path.parent.name for path in CASES.glob("*/cmd"))


def files(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("name", NAMES)
def test_case(name: str, tmp_path: Path) -> None:
    case = CASES / name
    shutil.copytree(CASES / "common", tmp_path, dirs_exist_ok=True)
    if (case / "in").exists():
        shutil.copytree(case / "in", tmp_path, dirs_exist_ok=True)
    before = files(tmp_path)
    done = mrc(*shlex.split((case / "cmd").read_text())[1:], cwd=tmp_path)
    printed = f"{done.stdout}{done.stderr}exit {done.returncode}\n"
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
