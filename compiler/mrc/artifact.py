"""A rendered file, and the line by which mrc knows its own."""

from mrc.records import dataclass

MARK = "Rendered by mrc"


@dataclass(frozen=True)
class Artifact:
    """One file of the rendered tree: a relative path and its whole text."""

    path: str
    text: str


def is_rendered(data: bytes) -> bool:
    """Whether mrc wrote these bytes: each of its files says so in its first line."""
    return MARK.encode() in data.split(b"\n", 1)[0]
