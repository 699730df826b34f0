"""What a release means in the phases of its rollout."""

from typing import Literal

from mrc.guardrail import Guardrail, WorseThanStable
from mrc.link import Release, Version
from mrc.read import Path
from mrc.records import dataclass
from mrc.schema.units import Duration, Share

Kind = Literal["shadow", "preview", "traffic", "approval", "bake", "warm"]
NOTHING, EVERYTHING = Share("0"), Share("1")


@dataclass(frozen=True)
class Stage:
    """One phase of a rollout, in the order in which they come.

    `share` is what the new version gets of the model's traffic: copies of it while it shadows, nothing while it is
    previewed. `length` is None where a person ends the stage. `path` is where the policy says it.
    """

    kind: Kind
    share: Share
    length: Duration | None
    path: Path
    group: str | None = None

    @property
    def answers(self) -> bool:
        """Whether users meet the new version in this stage."""
        return self.kind in ("traffic", "approval", "bake", "warm") and self.share > 0

    @property
    def promoted(self) -> bool:
        """Whether Argo's analysis is over: an alert and a revert bring the fallback back."""
        return self.kind == "warm"


def stages(release: Release) -> list[Stage]:
    """The phases of a rollout of this release.

    An approval holds the share of the stage before it; the mirror of a shadow stays on through those that follow it.
    """
    policy, path = release.policy, release.path
    found: list[Stage] = []
    share = NOTHING
    if policy.shadow is not None:
        found.append(Stage("shadow", policy.shadow.traffic, policy.shadow.for_, (*path, "shadow")))
    for index, step in enumerate(policy.canary):
        place = (*path, "canary", index)
        if step.traffic is not None:
            share = step.traffic
            found.append(Stage("traffic", share, step.for_, place))
        else:
            found.append(Stage("approval", share, None, place, step.approval))
    if policy.blue_green is not None:
        found.append(Stage("preview", NOTHING, policy.blue_green.preview.for_, (*path, "blueGreen", "preview")))
        if policy.blue_green.approval is not None:
            place = (*path, "blueGreen", "approval")
            found.append(Stage("approval", NOTHING, None, place, policy.blue_green.approval))
    if policy.bake:
        found.append(Stage("bake", EVERYTHING, policy.bake, (*path, "bake")))
    if policy.warm is not None:
        found.append(Stage("warm", EVERYTHING, policy.warm, (*path, "warm")))
    return found


def pinned(release: Release) -> list[Version]:
    """The versions to which a session may be pinned, by number: those of the rollout, and what drains.

    A version that was rejected here leaves with the change that says so, unless its verdict lets its sessions drain.
    """
    if release.policy.sessions is None:
        return []
    rollout = {release.version.number, *([release.fallback.number] if release.fallback is not None else [])}
    found = []
    for version in release.retained:
        verdict = release.verdicts.get(version.number)
        rejected = verdict.spec.rejected.get(release.environment_name) if verdict is not None else None
        if (rejected is None and version.number in rollout) or (rejected is not None and rejected.sessions == "drain"):
            found.append(version)
    return found


def active(release: Release) -> list[Guardrail]:
    """The guardrails that can say something: a comparison with stable needs a fallback to compare with."""
    return [
        guardrail
        for guardrail in release.guardrails
        if release.fallback is not None or not isinstance(guardrail.comparison, WorseThanStable)
    ]


def aborting(release: Release) -> list[Guardrail]:
    """The guardrails on which Argo aborts during the rollout."""
    return [guardrail for guardrail in active(release) if guardrail.action == "rollback"]
