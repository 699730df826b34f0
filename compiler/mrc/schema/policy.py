"""`RolloutPolicy`: a team's intent for one model. How many, how fast, and what counts as worse."""

from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from mrc.schema.base import Envelope, Group, Metadata, Model, Name, _text, exactly_one
from mrc.schema.units import Duration, Positive, Rate, Share, Threshold

MetricName = Annotated[str, *_text(r"[a-z][a-z0-9_]*", "a metric's name of lower-case letters, digits and _", 80)]
PromQL = Annotated[str, *_text(r"[^\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]+", "a PromQL expression", 4096)]

Tier = Literal["immediate", "short", "trend"]
Action = Literal["rollback", "page", "ticket"]
OnMissing = Literal["pause", "rollback", "ignore"]
Unit = Literal["ratio", "seconds", "bytes", "per second", "count", "number"]


class Serve(Model):
    """The one line that a promotion or a rollback changes."""

    version: Positive
    fallback: Positive | None = None

    @model_validator(mode="after")
    def _differ(self) -> "Serve":
        if self.version == self.fallback:
            raise PydanticCustomError(
                "same_fallback", "version {n} cannot fall back to itself", {"n": str(int(self.version))}
            )
        return self


class Step(Model):
    """A share of the traffic for a time, or the wait for a group's approval."""

    traffic: Share | None = None
    for_: Duration | None = Field(default=None, alias="for")
    approval: Group | None = None

    @model_validator(mode="after")
    def _one(self) -> "Step":
        exactly_one(self, "traffic", "approval")
        if self.traffic is not None:
            if self.for_ is None:
                raise PydanticCustomError("step_for", "a share of traffic needs a time: write for: 30m beside it", {})
            if self.traffic.percent != int(self.traffic.percent) or not 1 <= self.traffic.percent < 100:
                raise PydanticCustomError(
                    "step_share",
                    "{share} cannot be a stage: write a whole percentage from 1% to 99% (all traffic is `bake`)",
                    {"share": str(self.traffic)},
                )
        elif self.for_ is not None:
            raise PydanticCustomError("step_for", "an approval waits for a person: leave out `for`", {})
        return self


class PolicyEnvironment(Model):
    """Everything that varies by environment; nothing is merged or inherited."""

    serve: Serve
    replicas: Positive
    expected_traffic: Rate
    canary: list[Step] = Field(min_length=1, max_length=50)
    bake: Duration
    warm: Duration | None = None


class WorseThanStable(Model):
    """How much worse than the fallback's own value is tolerated: stable + relative x stable + absolute."""

    relative: Share | None = None
    absolute: Threshold | None = None

    @model_validator(mode="after")
    def _some(self) -> "WorseThanStable":
        if self.relative is None and self.absolute is None:
            raise PydanticCustomError("tolerance", "give relative, absolute or both", {})
        return self


class Guardrail(Model):
    """A metric, a comparison, a tier and an action.

    `window`, `minSamples` and `action` follow the tier unless given: see the reference of guardrails.
    """

    metric: MetricName | None = None
    promql: PromQL | None = None
    samples: PromQL | None = None
    unit: Unit | None = None
    worse: Literal["higher", "lower"] | None = None
    max: Threshold | None = None
    min: Threshold | None = None
    worse_than_stable: WorseThanStable | None = None
    absent: Literal[True] | None = None
    tier: Tier = "short"
    window: Duration | None = None
    min_samples: Positive | None = None
    action: Action | None = None
    on_missing: OnMissing = "pause"

    @model_validator(mode="after")
    def _consistent(self) -> "Guardrail":
        exactly_one(self, "metric", "promql")
        exactly_one(self, "max", "min", "worse_than_stable", "absent")
        if self.promql is not None and self.samples is None:
            raise PydanticCustomError(
                "samples", "promql needs samples: an expression that counts what was observed, by version", {}
            )
        if self.metric is not None:
            extra = [name for name in ("samples", "unit", "worse") if getattr(self, name) is not None]
            if extra:
                raise PydanticCustomError(
                    "catalogue_field", "{names} goes with promql; the catalogue knows it for a metric",
                    {"names": " and ".join(extra)},
                )  # fmt: skip
        elif self.worse_than_stable is not None and self.worse is None:
            raise PydanticCustomError("worse", "worseThanStable on promql needs worse: higher or worse: lower", {})
        return self


class PolicyMetadata(Metadata):
    team: Name


class PolicySpec(Model):
    environments: dict[Name, PolicyEnvironment] = Field(min_length=1)
    guardrails: dict[Name, Guardrail] = Field(min_length=1)


class RolloutPolicy(Envelope):
    """Which version of a model serves where, how it is rolled out, and what counts as worse."""

    kind: Literal["RolloutPolicy"]
    metadata: PolicyMetadata
    spec: PolicySpec
