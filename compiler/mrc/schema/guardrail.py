"""A guardrail as a policy writes it: a metric, a comparison, a tier and an action."""

from typing import Annotated, Literal

from mrc.schema.base import MetricName, Model, Name, _text, exactly_one
from mrc.schema.core import PydanticCustomError
from mrc.schema.lean import Field, model_validator
from mrc.schema.units import Positive, Share, Span, Threshold

PromQL = Annotated[str, *_text(r"[^\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]+", "a PromQL expression", 4096, any_ascii=True)]

Tier = Literal["immediate", "short", "trend"]
Action = Literal["rollback", "page", "ticket"]
OnMissing = Literal["pause", "rollback", "ignore"]
Unit = Literal["ratio", "seconds", "bytes", "per second", "count", "number"]


class WorseThanStable(Model):
    """How much worse than the fallback's own value is tolerated: stable + relative x stable + absolute."""

    relative: Share | None = None
    """A tolerance as a share of the stable version's value.

    Example: 10%
    Rendered: `mrc:guardrail:limit`
    """
    absolute: Threshold | None = None
    """A tolerance in the metric's unit, added to the stable version's value.

    Example: 5ms
    Rendered: `mrc:guardrail:limit`
    """

    @model_validator(mode="after")
    def _some(self) -> "WorseThanStable":
        if self.relative is None and self.absolute is None:
            raise PydanticCustomError("tolerance", "give relative, absolute or both", {})
        return self


class BurnRate(Model):
    """How fast the error budget of an objective may be spent, over a long window and a short one at once.

    The long window keeps a short burst from alarming, the short one ends the alarm soon after the burst.
    """

    objective: Share
    """The share of good requests that is promised; what is left is the error budget.

    Example: 99.9%
    Rendered: `mrc:guardrail:limit`
    """
    factor: Literal["14.4", "6", "3", "1"] = "14.4"
    """How many times faster than the budget allows, and with it the windows: 14.4 over 1h and 5m, 6 over 6h and 30m, 3
    over 1d and 2h, 1 over 3d and 6h.

    Example: 6
    Rendered: `mrc:guardrail:limit`, and the ranges of the queries in rules.yaml
    """

    @model_validator(mode="after")
    def _budget(self) -> "BurnRate":
        if not 0 < self.objective < 1:
            raise PydanticCustomError(
                "objective", "{share} leaves no error budget to burn: write a share such as 99.9%",
                {"share": str(self.objective)},
            )  # fmt: skip
        return self


class Guardrail(Model):
    """A metric, a comparison, a tier and an action.

    `window`, `minSamples` and `action` follow the tier unless given.
    """

    metric: MetricName | None = None
    """A metric of the catalogue that the router, the runtime or kube-state-metrics measures.

    Example: latency_p99
    Rendered: `mrc:guardrail:value`
    """
    promql: PromQL | None = None
    """The team's own expression, in place of a metric. It yields a value by `model` and `version`.

    Example: sum by (model, version) (rate(fraud_refused_total[5m]))
    Rendered: `mrc:guardrail:value`
    """
    samples: PromQL | None = None
    """How many observations the expression rests on, by `model` and `version`. Goes with `promql`.

    Example: sum by (model, version) (increase(fraud_scored_total[5m]))
    Rendered: `mrc:guardrail:samples`
    """
    unit: Unit | None = None
    """The unit of the expression, in which limits are read; `number` without it. Goes with `promql`.

    Example: ratio
    """
    worse: Literal["higher", "lower"] | None = None
    """Which direction is worse. Goes with `promql` and `worseThanStable`.

    Example: higher
    """
    max: Threshold | None = None
    """The version is worse above this.

    Example: 250ms
    Rendered: `mrc:guardrail:limit`
    """
    min: Threshold | None = None
    """The version is worse below this.

    Example: 99%
    Rendered: `mrc:guardrail:limit`
    """
    worse_than_stable: WorseThanStable | None = None
    """The version is worse when it is worse than the fallback's own value of the same moment by more than this. It says
    nothing after the promotion, when nothing else is left to compare with.

    Example: {relative: 10%, absolute: 5ms}
    Rendered: `mrc:guardrail:limit`
    """
    burn_rate: BurnRate | None = None
    """The version is worse when it spends the error budget of an objective too fast. For shares of bad requests.

    Example: {objective: 99.9%, factor: 14.4}
    Rendered: `mrc:guardrail:value` and `mrc:guardrail:limit`
    """
    absent: Literal[True] | None = None
    """The version is worse when samples that came within the last day do not come any more.

    Example: true
    Rendered: `mrc:guardrail:value`, which is 1 when they are gone
    """
    tier: Tier = "short"
    """How fast it must be seen: `immediate` for hard failures, `short` for anomalies over minutes, `trend` for hours to
    days. The tier gives window, samples and action, unless they are written.

    Example: immediate
    Rendered: the label `tier` of the alerts
    """
    window: Span | None = None
    """Over how long the value is taken. Without it: 2m for `immediate`, 5m for `short`, 6h for `trend`.

    Example: 10m
    Rendered: the ranges of the queries in rules.yaml
    """
    min_samples: Positive | None = None
    """How many observations a verdict needs; below, there is none. Without it: 20 for `immediate`, 100 for `short`,
    1000 for `trend`, or what the catalogue says of the metric.

    Example: 500
    Rendered: the verdict in rules.yaml
    """
    action: Action | None = None
    """What follows when the version is worse: `rollback`, `page` or `ticket`. Without it: `rollback`, and `page` for
    `trend`.

    Example: page
    Rendered: the AnalysisTemplate, for `rollback`; the label `mrc_action` of the alerts
    """
    on_missing: OnMissing = "pause"
    """What follows when there is no verdict. `pause` pauses the rollout, and pages after it; `rollback` takes it for
    worse; `ignore` goes on.

    Example: pause
    Rendered: the conditions of the AnalysisTemplate; the alert ModelTelemetryMissing
    """

    environments: list[Name] | None = Field(default=None, min_length=1)
    """Where it watches, if not in every environment of the policy: for what is measured under other names elsewhere. A
    metric of the catalogue is found by its name in whatever router or runtime measures it, and needs none of this.

    Example: [production]
    Rendered: the environments whose rules and analyses have the guardrail
    """

    @model_validator(mode="after")
    def _consistent(self) -> "Guardrail":
        exactly_one(self, "metric", "promql")
        exactly_one(self, "max", "min", "worse_than_stable", "burn_rate", "absent")
        if self.burn_rate is not None and (self.metric is None or self.window is not None):
            raise PydanticCustomError(
                "burn_rate", "burnRate goes with a metric, and without window: the factor says over how long", {}
            )
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
