"""A release to who meets the new version when, and what going back takes then."""

from fractions import Fraction
from itertools import count

from mrc.link import Release
from mrc.plan.model import Back, Restore, StagePlan, WayBack
from mrc.plan.wayback import keeps_warm
from mrc.rollouts import Stage, stages


def timeline(release: Release, back: WayBack, restore: tuple[Restore, ...]) -> tuple[StagePlan, ...]:
    """The phases in their order. Requests are counted by expectedTraffic; copies and previews expose nobody.

    Where sessions are pinned, whoever has met the new version asks it again, and nobody knows how often a session asks:
    then the shares are the fewest requests that it answers, and all of them the most.
    """
    pinned = release.policy.sessions is not None
    rate = release.policy.expected_traffic.per_second
    found: list[StagePlan] = []
    starts = approvals = 0
    exposed: Fraction | None = Fraction(0)
    for stage in stages(release):
        seconds = stage.length.seconds if stage.length is not None else None
        per_second = Fraction(stage.share) * rate
        if stage.answers and exposed is not None:
            exposed = exposed + per_second * seconds if seconds is not None else None
        found.append(
            StagePlan(
                kind=stage.kind,
                percent=float(stage.share.percent),
                starts=starts,
                approvals=approvals,
                seconds=seconds,
                group=stage.group,
                per_second=float(per_second),
                exposed=None if exposed is None or stage.promoted else round(exposed),
                at_risk=_at_risk(stage, rate if pinned else per_second, restore),
                half_met=_half_met(stage) if pinned else None,
                back=_back(release, stage, back),
            )
        )
        starts += seconds or 0
        approvals += stage.kind == "approval"
    return tuple(found)


def _at_risk(stage: Stage, per_second: Fraction, restore: tuple[Restore, ...]) -> int | None:
    phases = ("warm", "cold") if stage.promoted else ("bake",) if stage.kind == "bake" else ("rollout",)
    found = next((each.seconds for each in restore if each.phase in phases), None)
    return round(per_second * found) if found is not None and stage.answers else None


def _half_met(stage: Stage) -> int | None:
    """The smallest number of requests of which one meets the new version with a chance of one half or more."""
    if not stage.answers or stage.promoted:
        return None
    missed = 1 - Fraction(stage.share)
    return next(number for number in count(1) if 2 * missed**number <= 1)


def _back(release: Release, stage: Stage, back: WayBack) -> Back | None:
    if back.version is None:
        return None
    if stage.promoted:
        return "commit" if back.restorable else "pods"
    return "traffic" if keeps_warm(release) else "pods"
