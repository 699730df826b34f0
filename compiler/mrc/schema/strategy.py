"""How a new version gets its traffic: a shadow, the stages of a canary, or blue-green."""

from typing import Literal

from mrc.schema.base import Group, Model, exactly_one
from mrc.schema.core import PydanticCustomError
from mrc.schema.lean import Field, model_validator
from mrc.schema.units import Duration, Positive, Share


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
