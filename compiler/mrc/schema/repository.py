"""`Repository`: marks the root of a tree, pins mrc, names the base branch."""

from typing import Annotated, Literal

from mrc.schema.base import Envelope, Model, _text

VersionPin = Annotated[
    str, *_text(r"(?:0|[1-9]\d*)(?:\.(?:\d+|\*)){1,2}", "a version of mrc such as 0.1.* or 0.1.2", 40)
]
Revision = Annotated[str, *_text(r"[A-Za-z0-9][A-Za-z0-9._/-]*", "a git branch such as origin/main", 250)]


class RepositorySpec(Model):
    """Which mrc, and compared with what."""

    mrc: VersionPin
    """The version of mrc that renders this tree; `*` stands for any number. Another version refuses to work:
    it might render other bytes, and a fallback that is rendered otherwise is not restorable.

    Example: 0.1.*
    """
    base: Revision = "origin/main"
    """The branch that `mrc check` compares with unless `--base` names another revision.

    Example: origin/main
    """


class Repository(Envelope):
    """The root of a repository of policies."""

    kind: Literal["Repository"]
    spec: RepositorySpec


def allows(pin: str, version: str) -> bool:
    """Whether `version` (major.minor.patch) is one that the pin names; `*` stands for any part."""
    wanted, found = pin.split("."), version.split(".")
    return all(want in ("*", have) for want, have in zip(wanted, found, strict=False))
