"""What mrc tells its users: a place, a reason and a way out."""

from collections.abc import Iterable
from enum import StrEnum

from mrc.records import dataclass


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class Rule:
    """One thing that mrc can find: `mrc explain CODE` prints it.

    `reason` says why it matters, `hint` the way out, `source` where the fact stands.
    """

    code: str
    title: str
    severity: Severity
    reason: str
    hint: str
    source: str = ""


@dataclass(frozen=True, order=True)
class Diagnostic:
    """One finding. `line` and `column` count from 1; 0 means the file as a whole."""

    file: str
    line: int
    column: int
    code: str
    message: str
    severity: Severity = Severity.ERROR
    hint: str = ""


def has_errors(found: Iterable[Diagnostic]) -> bool:
    """Whether anything found forbids writing."""
    return any(item.severity is Severity.ERROR for item in found)


def error(code: str, title: str, *, reason: str, hint: str, source: str = "") -> Rule:
    """A rule whose finding forbids rendering."""
    return Rule(code, title, Severity.ERROR, reason, hint, source)


def warning(code: str, title: str, *, reason: str, hint: str, source: str = "") -> Rule:
    """A rule whose finding is shown and does not stop anything."""
    return Rule(code, title, Severity.WARNING, reason, hint, source)


def at_file(rule: Rule, file: str, message: str, hint: str | None = None) -> Diagnostic:
    """A finding about a file as a whole."""
    return Diagnostic(file, 0, 0, rule.code, message, rule.severity, rule.hint if hint is None else hint)
