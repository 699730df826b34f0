"""`RolloutPolicy`: a team's intent for one model. How many, how fast, and what counts as worse."""

from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from mrc.schema.base import Envelope, Group, HttpUrl, Metadata, MetricName, Model, Name, _text, exactly_one
from mrc.schema.units import Duration, Positive, Rate, Share, Threshold

PromQL = Annotated[str, *_text(r"[^\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]+", "a PromQL expression", 4096)]

Tier = Literal["immediate", "short", "trend"]
Action = Literal["rollback", "page", "ticket"]
OnMissing = Literal["pause", "rollback", "ignore"]
Unit = Literal["ratio", "seconds", "bytes", "per second", "count", "number"]


class Serve(Model):
    """The one line that a promotion or a rollback changes."""

    version: Positive
    """The version that serves.

    Example: 42
    Rendered: the pod template of the Rollout
    """
    fallback: Positive | None = None
    """The version that a rollback brings back. Only the first version of a model has none.

    Example: 41
    Rendered: the comparison with stable; the runbook; the advice of alerts
    """

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
    """The share of the traffic that the new version gets: a whole percentage from 1% to 99%.

    Example: 5%
    Rendered: `setWeight` of a step of the Rollout
    """
    for_: Duration | None = Field(default=None, alias="for")
    """How long the share stays before the next stage.

    Example: 30m
    Rendered: `pause.duration` of a step of the Rollout
    """
    approval: Group | None = None
    """The Kubernetes group that may end this stage. The share of the stage before it stays.

    Example: fraud-leads
    Rendered: a pause without end in the Rollout; the Role and RoleBinding in approval.yaml
    """

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


class Shadow(Model):
    """Copies of a share of the requests go to the new version before anybody gets its answers.

    A router mirrors one protocol at a time: over HTTP unless `protocol` says gRPC.
    """

    traffic: Share
    """How many of the requests are copied, as a whole percentage.

    Example: 100%
    Rendered: `setMirrorRoute.percentage` and `setCanaryScale.weight` of the Rollout
    """
    for_: Duration = Field(alias="for")
    """How long, before the first stage of the canary.

    Example: 30m
    Rendered: a `pause` of the Rollout
    """
    protocol: Literal["http", "grpc"] = "http"
    """Which requests are copied: Argo mirrors to one port.

    Example: grpc
    Rendered: `setMirrorRoute.match` of the Rollout
    """

    @model_validator(mode="after")
    def _whole(self) -> "Shadow":
        if self.traffic.percent != int(self.traffic.percent) or self.traffic.percent < 1:
            raise PydanticCustomError(
                "shadow_share",
                "{share} cannot be mirrored: write a whole percentage from 1% to 100%",
                {"share": str(self.traffic)},
            )
        return self


class Preview(Model):
    """The new version beside the active one, for a time and with as many pods; all of them unless given."""

    for_: Duration = Field(alias="for")
    """How long the new version is watched beside the active one before anybody meets it.

    Example: 30m
    Rendered: `count` of the metrics in `<model>-preview`, the AnalysisTemplate before the promotion
    """
    replicas: Positive | None = None
    """How many pods the preview has; as many as the model has, unless given.

    Example: 2
    Rendered: `previewReplicaCount` of the Rollout
    """


class BlueGreen(Model):
    """All traffic at once, after a preview without users and, where it is asked for, a group's approval."""

    preview: Preview
    """The new version beside the active one, reached by the Service `<model>-preview` alone.

    Example: {for: 30m, replicas: 2}
    Rendered: `previewService` and `prePromotionAnalysis` of the Rollout
    """
    approval: Group | None = None
    """The Kubernetes group whose members may let the switch happen; without it, it happens after the preview.

    Example: fraud-leads
    Rendered: `autoPromotionEnabled: false`, and the Role by which the group may promote
    """


class Sessions(Model):
    """Whoever meets the new version in a rollout stays with it: a cookie names the version, and a route reads it."""

    lifetime: Duration
    """How long at most. The pods of a version that is left must run on for as long.

    Example: 10m
    Rendered: `Max-Age` of the cookie; `abortScaleDownDelaySeconds` of the Rollout
    """

    @model_validator(mode="after")
    def _some_time(self) -> "Sessions":
        if self.lifetime < 1000:
            raise PydanticCustomError("no_lifetime", "a session that lasts no second is none: leave sessions out", {})
        return self


class Hook(Model):
    """An address that is called after a rollback."""

    url: HttpUrl
    """Where a POST with the model, the environment, the version and the time range as JSON goes. `http://` needs a host
    that the environment names in `reconcile.plainHosts`.

    Example: https://features.example.com/hooks/flush
    Rendered: the runbook
    """


class Hooks(Model):
    """What has to be told when a version was rejected: what it left behind outlives it."""

    flush_cache: Hook | None = None
    """Drops what the version has put into caches. Its keys begin with `<model>-v<version>`.

    Example: {url: https://features.example.com/hooks/flush}
    Rendered: the runbook
    """
    reprocess: Hook | None = None
    """Takes the requests of the time range again, with the version that serves now.

    Example: {url: https://queue.example.com/hooks/replay}
    Rendered: the runbook
    """


class PolicyEnvironment(Model):
    """Everything that varies by environment; nothing is merged or inherited."""

    serve: Serve
    promotes_from: Name | None = None
    """The environment of this policy in which a version must have served before it serves here.

    Example: staging
    Rendered: nothing: it is checked
    """
    replicas: Positive
    """How many pods serve the model.

    Example: 8
    Rendered: `replicas` of the Rollout
    """
    expected_traffic: Rate
    """How many requests the model gets in all: what stages, samples and detection are judged with.

    Example: 200/s
    Rendered: the runbook
    """
    shadow: Shadow | None = None
    """Copies of requests before the canary. The router must be able to mirror, and the policy say `sideEffects: none`.

    Example: {traffic: 100%, for: 30m}
    Rendered: `setMirrorRoute` and `setCanaryScale` steps of the Rollout
    """
    canary: list[Step] = Field(default_factory=list, max_length=50)
    """The stages of a rollout, in their order: shares of the traffic that grow, and approvals.

    Example: [{traffic: 5%, for: 30m}, {approval: fraud-leads}, {traffic: 50%, for: 30m}]
    Rendered: `strategy.canary.steps` of the Rollout
    """
    blue_green: BlueGreen | None = None
    """A preview and one switch, in place of the canary's stages.

    Example: {preview: {for: 30m}, approval: fraud-leads}
    Rendered: `strategy.blueGreen` of the Rollout
    """
    sessions: Sessions | None = None
    """Keeps a session on the version that it met. The router must be able to.

    Example: {lifetime: 10m}
    Rendered: a Service for each version that sessions may be pinned to, and a route to it by cookie
    """
    hooks: Hooks = Field(default_factory=Hooks)
    """Addresses to call after a rollback: caches to flush, and requests to take again.

    Example: {flushCache: {url: https://features.example.com/hooks/flush}}
    Rendered: the runbook
    """
    bake: Duration
    """How long the new version has all of the traffic before it is promoted. Until then Argo still aborts at once.
    `0s` leaves the bake out.

    Example: 2h
    Rendered: the last steps of a canary: weight 100, and a pause between gates; `postPromotionAnalysis` of blue-green
    """
    warm: Duration | None = None
    """How long the fallback keeps running after the promotion, so that going back only moves traffic. Without it, the
    fallback starts cold.

    Example: 24h
    Rendered: `scaleDownDelaySeconds` of the Rollout
    """
    time_to_restore: Duration | None = None
    """The longest time that may pass, at worst, from the onset of a failure until the fallback serves again: during the
    rollout, in the bake, and while the fallback is warm. It may not be longer than the environment's.

    Example: 10m
    Rendered: the runbook
    """

    @model_validator(mode="after")
    def _one_strategy(self) -> "PolicyEnvironment":
        if bool(self.canary) == (self.blue_green is not None):
            found = "both" if self.canary else "none"
            raise PydanticCustomError(
                "one_strategy", "give stages in canary, or blueGreen: exactly one, not {found}", {"found": found}
            )
        if self.shadow is not None and self.blue_green is not None:
            raise PydanticCustomError(
                "shadow_needs_canary", "blueGreen mirrors nothing: shadow goes before a canary", {}
            )
        return self


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
    window: Duration | None = None
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


class PolicyMetadata(Metadata):
    """Which model, and whose it is."""

    team: Name
    """The team that owns the model and its policy.

    Example: risk
    Rendered: the label `mrc.dev/team`; the label `team` of the alerts
    """


class PolicySpec(Model):
    """Where the model serves, and what counts as worse."""

    environments: dict[Name, PolicyEnvironment] = Field(min_length=1)
    """The environments in which the model serves, by name. Each says everything for itself.

    Rendered: `rendered/<environment>/<model>/`
    """
    side_effects: Literal["none"] | None = None
    """Says that answering a request twice does no harm. A shadow needs it.

    Example: none
    Rendered: nothing: it is checked
    """
    guardrails: dict[Name, Guardrail] = Field(min_length=1)
    """What counts as worse, by name; in every environment, unless a guardrail says where.

    Example: {errors: {metric: error_ratio, max: 1%, tier: immediate}}
    Rendered: rules.yaml, analysis.yaml and rules.test.yaml
    """


class RolloutPolicy(Envelope):
    """Which version of a model serves where, how it is rolled out, and what counts as worse."""

    kind: Literal["RolloutPolicy"]
    metadata: PolicyMetadata
    spec: PolicySpec
