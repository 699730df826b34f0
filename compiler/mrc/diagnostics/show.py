"""Diagnostics as text for people, as GitHub annotations, and as JSON."""

import json
from collections.abc import Callable, Iterable

from mrc.diagnostics import Diagnostic, Severity

Lines = Callable[[str], list[str]]
_COLOURS = {Severity.ERROR: "31;1", Severity.WARNING: "33;1"}


def text(found: Iterable[Diagnostic], lines: Lines, *, colour: bool) -> str:
    """Place, reason, the line with a caret, and the way out."""
    items = list(found)
    following: list[Diagnostic | None] = [*items[1:], None][: len(items)]
    # A way out that several findings in a row share is told once, after the last of them.
    hinted = [
        after is None or (item.code, item.hint) != (after.code, after.hint)
        for item, after in zip(items, following, strict=True)
    ]
    return "\n".join(_one(item, lines, colour, hinted=last) for item, last in zip(items, hinted, strict=True))


def _one(item: Diagnostic, lines: Lines, colour: bool, *, hinted: bool) -> str:
    place = ":".join(str(part) for part in (item.file, item.line, item.column) if part)
    word = f"\x1b[{_COLOURS[item.severity]}m{item.severity}\x1b[0m" if colour else str(item.severity)
    out = [f"{_safe(place)}: {word} {item.code}: {_safe(item.message)}"]
    source = lines(item.file)
    if 0 < item.line <= len(source):
        shown = source[item.line - 1]
        start = max(0, item.column - 60)
        number = str(item.line)
        out += [
            f"  {number} | {_safe(shown[start : start + 110])}",
            f"  {' ' * len(number)} | {' ' * (item.column - 1 - start)}^",
        ]
    if item.hint and hinted:
        out.append(f"  hint: {_safe(item.hint)}")
    return "\n".join(out) + "\n"


def _safe(value: str) -> str:
    """Text that cannot speak to the terminal or begin a line of its own."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in value)


def github(found: Iterable[Diagnostic]) -> str:
    """Workflow commands that GitHub shows beside the lines of a pull request."""
    return "\n".join(_annotation(item) for item in found)


def _annotation(item: Diagnostic) -> str:
    properties = {"file": item.file, "title": item.code}
    if item.line:
        properties |= {"line": str(item.line), "col": str(item.column)}
    shown = ",".join(f"{key}={_escaped(value, ':,')}" for key, value in properties.items())
    body = item.message + (f" ({item.hint})" if item.hint else "")
    return f"::{item.severity} {shown}::{_escaped(body)}"


def _escaped(value: str, also: str = "") -> str:
    for char in "%\r\n" + also:
        value = value.replace(char, f"%{ord(char):02X}")
    return _safe(value)


def as_json(found: Iterable[Diagnostic]) -> str:
    """A list of objects with the fields of `Diagnostic`."""
    fields = ("code", "severity", "message", "file", "line", "column", "hint")
    return json.dumps([{name: getattr(item, name) for name in fields} for item in found], indent=2)
