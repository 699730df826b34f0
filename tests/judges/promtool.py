"""promtool: are these rules PromQL, without duplicates, and do their own tests hold?"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from judges import tools


def check_rules(paths: Iterable[Path], *, lint: bool = True) -> list[str]:
    """`promtool check rules` on rule files; what it only warns of (duplicate rules) is a problem too
    where `lint` says so."""
    # Without --lint-fatal a duplicate rule prints FAILED and exits 0.
    return _promtool("check", "rules", *(("--lint=all", "--lint-fatal") if lint else ("--lint=none",)), *paths)


def test_rules(paths: Iterable[Path]) -> list[str]:
    """`promtool test rules` on test files, which name their rule files relative to themselves."""
    return _promtool("test", "rules", *paths)


test_rules.__test__ = False  # type: ignore[attr-defined]  # a judge, which pytest must not collect


def _promtool(*arguments: str | Path) -> list[str]:
    paths = [part for part in arguments if isinstance(part, Path)]
    if not paths:
        return ["no file was given to promtool"]
    problems = [f"{path}: no such file" for path in paths if not path.is_file()]
    if problems:
        return problems
    done = tools.run([tools.promtool(), *arguments], seconds=120)
    if done.returncode == 0:
        return []
    return [f"{done.stdout}{done.stderr}".strip() or f"promtool ended with {done.returncode}"]
