"""What went wrong, in the words of whoever has to put it right."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

SHOWN = 50  # a hostile manifest must not fill the log


@dataclass(frozen=True)
class Problem:
    """One file that is not as it should be.

    `temporary` is true when the same call may succeed later (the network, a busy server), false when the
    answer will stay the same until somebody changes something (a wrong digest, a missing artifact).
    """

    file: str
    expected: str
    found: str
    action: str
    source: str = ""  # the redacted address that it comes from, if any
    temporary: bool = False

    def __str__(self) -> str:
        return (
            f"error: {self.file}\n"
            + (f"  source:   {self.source}\n" if self.source else "")
            + f"  expected: {self.expected}\n"
            + f"  found:    {self.found}\n"
            + f"  to do:    {self.action}"
        )


class FetchError(Exception):
    """The repository could not be laid down; `problems` holds all of the reasons."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(f"{len(problems)} problem(s)")
        self.problems = tuple(problems)

    def __str__(self) -> str:
        lines = [str(problem) for problem in self.problems[:SHOWN]]
        if len(self.problems) > SHOWN:
            lines.append(f"... and {len(self.problems) - SHOWN} more")
        return "\n".join(lines)


class InvalidUseError(FetchError):
    """The manifest is unreadable or invalid, or the destination cannot be one."""


def redact(uri: str) -> str:
    """Return `uri` without what may be a credential: user info, query and fragment."""
    try:
        parts = urlsplit(uri)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "(an address that cannot be read)"
    shown = f"{parts.scheme}://{host}{parts.path}" + ("?..." if parts.query else "")
    return printable(shown)


def printable(text: str, limit: int = 300) -> str:
    """Return `text` in ASCII without control characters, at most `limit` characters of it."""
    escaped = text.encode("unicode_escape", "backslashreplace").decode("ascii")
    return escaped if len(escaped) <= limit else escaped[:limit] + "..."


def human_size(size: int) -> str:
    """Return `size`, a number of bytes, as people read it: 512 B, 46.0 MiB."""
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{size} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"
