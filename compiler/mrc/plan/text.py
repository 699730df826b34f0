"""Two sets of rendered files to the differences of their text."""

from collections.abc import Iterable, Mapping
from difflib import unified_diff

from mrc.plan.model import Counts, FileChange, Sign

CONTEXT = 3  # lines around a change
# What is applied comes before its copies for other readers: the rule file and its test, and the runbook.
_LAST = ("prometheusrule.yaml", "rules.yaml", "rules.test.yaml", "RUNBOOK.md")


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[FileChange, ...]:
    """The files that are added, changed or removed; those that say the most first."""
    return tuple(
        _difference(path, before.get(path), after.get(path))
        for path in sorted(before.keys() | after.keys(), key=_order)
        if before.get(path) != after.get(path)
    )


def _order(path: str) -> tuple[int, str]:
    name = path.rpartition("/")[2]
    return (_LAST.index(name) + 1 if name in _LAST else -(name == "rollout.yaml"), path)


def _difference(path: str, before: str | None, after: str | None) -> FileChange:
    lines = unified_diff(_lines(before), _lines(after), n=CONTEXT, lineterm="")
    diff = tuple(line for index, line in enumerate(lines) if index > 1)
    sign: Sign = "+" if before is None else "-" if after is None else "~"
    added = sum(line.startswith("+") for line in diff)
    removed = sum(line.startswith("-") for line in diff)
    return FileChange(sign, printable(path), added, removed, diff)


def printable(text: str) -> str:
    """The text of a name without what is not UTF-8, moves a cursor or turns text round."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def _lines(text: str | None) -> list[str]:
    return (text or "").removesuffix("\n").split("\n") if text else []


def counts(signs: Iterable[Sign]) -> Counts:
    """How many of each."""
    found = list(signs)
    return Counts(found.count("+"), found.count("~"), found.count("-"))
