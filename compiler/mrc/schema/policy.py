"""`RolloutPolicy`: a team's intent for one model. How many, how fast, and what counts as worse."""

from typing import Literal

from mrc.schema.base import Envelope, HttpUrl, Metadata, Model, Name
from mrc.schema.core import PydanticCustomError
from mrc.schema.guardrail import Guardrail
from mrc.schema.lean import Field, model_validator
from mrc.schema.strategy import BlueGreen, Shadow, Step
from mrc.schema.units import Duration, Positive, Rate


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
    """Where a POST with the model, the environment, the version, its verdict and the time range as JSON goes. `http://`
    needs a host that the environment names in `reconcile.plainHosts`.

    Example: https://features.example.com/hooks/flush
    Rendered: the runbook
    """


class Hooks(Model):
    """What has to be told when a version was gone back from: what it left behind outlives it."""

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
    """The one line that a promotion or a rollback changes.

    Example: {version: 42, fallback: 41}
    """
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
