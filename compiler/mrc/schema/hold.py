"""`Hold`: the circuit breaker, open. It pins what serves until a person clears it."""

from typing import Literal

from mrc.schema.base import Envelope, Model, Name, Words
from mrc.schema.core import PydanticCustomError
from mrc.schema.lean import Field, model_validator
from mrc.schema.policy import Serve
from mrc.schema.units import Timestamp


class HoldMetadata(Model):
    """What is held: one model in one environment, or the whole environment."""

    environment: Name
    """The environment, as the folder is called.

    Example: production
    """
    model: Name | None = None
    """The model, as the file is called; without it, the hold is on the whole environment, in `_all.yaml`.

    Example: fraud-detector
    """


class Cleared(Model):
    """The end of a hold: a person takes it off."""

    by: Words
    """Who cleared it.

    Example: ana@example.com
    """
    at: Timestamp
    """When, in UTC. Rollbacks before it do not count for the next hold.

    Example: 2026-10-05T10:00:00Z
    """
    reason: Words
    """Why it is safe again.

    Example: 43 fixes the tokenizer
    """


class HoldSpec(Model):
    """What serves in place of what the policy says, and why."""

    serve: Serve | None = None
    """What serves, whatever the policy's line says.

    Example: {version: 41, fallback: 40}
    Rendered: the pod template of the Rollout
    """
    models: dict[Name, Serve] = Field(default_factory=dict)
    """The same for every model of the environment, in `_all.yaml`. A model's own hold goes before it.

    Example: {fraud-detector: {version: 41, fallback: 40}}
    """
    by: Words
    """Who holds it: a person's address, or mrc.

    Example: mrc
    """
    at: Timestamp
    """Since when, in UTC.

    Example: 2026-10-04T09:12:00Z
    """
    reason: Words
    """Why.

    Example: two rollbacks within a day
    """
    cleared: Cleared | None = None
    """Who took it off. The file stays, so that what was before does not count again.

    Example: {by: ana@example.com, at: 2026-10-05T10:00:00Z, reason: 43 fixes the tokenizer}
    """


class Hold(Envelope):
    """The circuit breaker: pins a model, or a whole environment, until a person clears it."""

    kind: Literal["Hold"]
    metadata: HoldMetadata
    spec: HoldSpec

    @model_validator(mode="after")
    def _pins(self) -> "Hold":
        if (self.metadata.model is None) == (self.spec.serve is not None):
            raise PydanticCustomError(
                "hold_what", "the hold of a model says serve, that of an environment says models", {}
            )
        return self

    def serves(self, model: str) -> Serve | None:
        """What this hold lets serve of a model; None when it is cleared or does not name it."""
        if self.spec.cleared is not None:
            return None
        return self.spec.serve if self.metadata.model == model else self.spec.models.get(model)
