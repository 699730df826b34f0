"""`Verdict`: what people or the reconciler found of a version."""

from typing import Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from mrc.schema.base import Envelope, Line, Model, Name
from mrc.schema.units import Timestamp
from mrc.schema.version import VersionMetadata


class Validated(Model):
    """A person vouches for the version."""

    by: Line
    at: Timestamp


class Rejected(Model):
    """The version was found unfit; the environment is the key above."""

    by: Line
    at: Timestamp
    reason: Line


class VerdictSpec(Model):
    validated: Validated | None = None
    rejected: dict[Name, Rejected] = Field(default_factory=dict)

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
