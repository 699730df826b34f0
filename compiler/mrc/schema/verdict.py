"""`Verdict`: what people or the reconciler found of a version."""

from typing import Literal

from mrc.schema.base import Envelope, Model, Name, Words
from mrc.schema.core import PydanticCustomError
from mrc.schema.lean import Field, model_validator
from mrc.schema.units import Timestamp
from mrc.schema.version import VersionMetadata


class Validated(Model):
    """A person vouches for the version."""

    by: Words
    """Who says so: a person's address, or mrc.

    Example: fraud-review@example.com
    """
    at: Timestamp
    """When, in UTC.

    Example: 2026-10-04T09:12:00Z
    """
    environments: list[Name] = Field(default_factory=list)
    """Where it was seen to serve well. It counts for `promotesFrom` after these have moved on.

    Example: [staging]
    """


class Rejected(Model):
    """The version was found unfit; the environment is the key above."""

    by: Words
    """Who says so: a person's address, or mrc.

    Example: fraud-review@example.com
    """
    at: Timestamp
    """When, in UTC.

    Example: 2026-10-04T09:12:00Z
    """
    reason: Words
    """What was seen, in a line.

    Example: twice the errors of 41 at night
    """
    sessions: Literal["drop", "drain"] = "drop"
    """What becomes of the sessions that are pinned to it: they leave at once, or end with their lifetime. Only what
    does no harm for that long may drain.

    Example: drain
    Rendered: the pin routes
    """


class VerdictSpec(Model):
    """What was found."""

    validated: Validated | None = None
    """Who vouches for the version, and since when. Environments may demand it.

    Example: {by: fraud-review@example.com, at: 2026-10-04T09:12:00Z}
    Rendered: the runbook
    """
    rejected: dict[Name, Rejected] = Field(default_factory=dict)
    """Environments in which the version was found unfit. It cannot serve there, and cannot be fallen back to there.

    Example: {production: {by: ana@example.com, at: 2026-10-05T08:00:00Z, reason: twice the errors at night}}
    Rendered: the runbook
    """

    @model_validator(mode="after")
    def _says_something(self) -> "VerdictSpec":
        if self.validated is None and not self.rejected:
            raise PydanticCustomError("empty_verdict", "say validated, rejected, or both", {})
        return self


class Verdict(Envelope):
    """Validated by whom and when, or rejected and where; a file of its own, so that versions stay untouched."""

    kind: Literal["Verdict"]
    metadata: VersionMetadata
    spec: VerdictSpec
