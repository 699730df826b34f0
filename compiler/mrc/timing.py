"""How long a failure lasts at worst, from its onset until the fallback serves again: detection and execution apart.

Every part is a worst case, and the parts add up: the scrape, the evaluation and the question were each just missed,
the failure is so small that it needs the whole window, the syncer has just looked.
"""

from collections.abc import Sequence
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Literal

from mrc import routers
from mrc.coverage import Cell, cover, first_asked, sustained
from mrc.guardrail import Guardrail
from mrc.link import Release, Version
from mrc.records import dataclass
from mrc.rollouts import stages
from mrc.schema.guardrail import Tier
from mrc.schema.units import Duration

Phase = Literal["rollout", "bake", "warm", "cold"]
PHASES: tuple[Phase, ...] = ("rollout", "bake", "warm", "cold")

# Argo: a failed measurement to an aborted Rollout, or a changed Rollout to a changed weight.
ARGO = Duration.parse("10s")
# The reconciler: how long after an alert it asks Alertmanager, and how long its commit takes to be pushed.
POLL = Duration.parse("15s")
COMMIT = Duration.parse("10s")
# A pod that is ready counts only after the Rollout's minReadySeconds.
MIN_READY = Duration.parse("10s")
SURGE = Fraction(1, 4)  # the canary's maxSurge, which bounds the pods that start at once without a router

Part = tuple[str, Duration]


@dataclass(frozen=True)
class Way:
    """One guardrail in one phase: how long until it is seen, and until the fallback serves; parts in their order.

    `approvals` are the groups that must approve on the way back; how long they take is in no part.
    """

    phase: Phase
    guardrail: Guardrail
    detection: tuple[Part, ...]
    execution: tuple[Part, ...]
    approvals: tuple[str, ...] = ()

    @cached_property
    def seen(self) -> Duration:
        """Onset to decision."""
        return total(self.detection)

    @cached_property
    def back(self) -> Duration:
        """Decision to all requests on the fallback."""
        return total(self.execution)

    @cached_property
    def restored(self) -> Duration:
        """Onset to all requests on the fallback."""
        return Duration(self.seen + self.back)


def total(parts: tuple[Part, ...]) -> Duration:
    """The parts added up."""
    return Duration(sum(part for _, part in parts))


@lru_cache(maxsize=8)
def restore(release: Release, *, anew: bool = False) -> tuple[Way, ...]:
    """Every guardrail that rolls back, in every phase in which it can, by phase; nothing without a fallback.

    `anew` says that Argo would not know the fallback's pods again: where they are cold, they come back in a rollout of
    their own.
    """
    if release.fallback is None:
        return ()
    found: dict[tuple[Phase, str], Way] = {}
    for cell in cover(release):
        if not cell.automatic or not (cell.stage.answers or cell.guardrail.of_pods) or cell.stage.kind == "preview":
            continue
        for phase in _phases(release, cell):
            if (phase, cell.guardrail.name) in found:
                continue
            seen = detection(release, cell.guardrail, phase)
            back = _back(release, cell, phase, anew=anew)
            back += _pinned(release, cell.guardrail, phase, Duration(total(seen) + total(back)))
            approvals = _approvals(release, anew=anew) if phase == "cold" else ()
            found[phase, cell.guardrail.name] = Way(phase, cell.guardrail, seen, back, approvals)
    return tuple(sorted(found.values(), key=lambda way: (PHASES.index(way.phase), way.guardrail.name)))


def slowest(ways: Sequence[Way], phase: Phase, *tiers: Tier) -> Way | None:
    """The worst of a phase, among the guardrails of some tiers."""
    among = [way for way in ways if way.phase == phase and way.guardrail.tier in tiers]
    return max(among, key=lambda way: way.restored, default=None)


def _phases(release: Release, cell: Cell) -> list[Phase]:
    match cell.stage.kind:
        case "bake":
            return ["bake"]
        case "warm":
            return ["warm", "cold"] if release.policy.warm is not None else ["cold"]
        case "shadow":
            return []
        case _:
            return ["rollout"]


def detection(release: Release, guardrail: Guardrail, phase: Phase) -> tuple[Part, ...]:
    """From the onset until Argo aborts, or until the reconciler or a person knows."""
    prometheus, alerts = release.environment.spec.prometheus, release.environment.spec.alerts
    promoted = phase in ("warm", "cold")
    parts: list[Part] = [
        ("scrape", prometheus.scrape),
        ("window", guardrail.window),
        ("evaluate", prometheus.evaluate),
    ]
    if not promoted:
        # A canary's analysis begins with the first stage, that after a switch with the bake.
        begins = phase == ("rollout" if release.policy.blue_green is None else "bake")
        waits = first_asked(release, guardrail) - total(tuple(parts)) if begins else 0
        return (*parts, ("analysis", Duration(max(prometheus.evaluate, waits))))
    if lasting := sustained(guardrail):
        parts.append(("sustained", lasting))
    # The reconciler asks Alertmanager, which does not wait for it; people are told after the wait. The slower counts.
    return (*parts, ("notice", max(alerts.group_wait, POLL)))


def _back(release: Release, cell: Cell, phase: Phase, *, anew: bool) -> tuple[Part, ...]:
    revert = _revert(release)
    route: Part = ("route", release.environment.spec.delays.route)
    blue_green = release.policy.blue_green is not None
    moves = blue_green or routers.can(release.environment.spec.router.kind, "weights")
    match phase:
        case "cold":
            return (*revert, *cold_start(release), *_again(release, anew=anew), route)
        case "warm":
            return (*revert, route)
        case "bake" if blue_green and cell.guardrail.of_pods:
            # Argo does not switch back from a side whose pods are not all there (argo-rollouts#2824): git must.
            return (*revert, route)
        case _ if moves:
            return (("argo", ARGO), route)
        case _:
            return (("argo", ARGO), *cold_start(release), route)


def _revert(release: Release) -> tuple[Part, ...]:
    """From the decision until Argo has seen what git says."""
    return ("commit", COMMIT), ("sync", release.environment.spec.delays.sync), ("argo", ARGO)


def _again(release: Release, *, anew: bool) -> tuple[Part, ...]:
    """What a way back to pods that are cold goes through, before all requests are on them."""
    blue_green = release.policy.blue_green
    if blue_green is not None:
        # Only a return to pods that are warm skips the preview.
        asked = (first_asked(release, guardrail) for guardrail in release.guardrails if guardrail.of_pods)
        return (("preview", max([blue_green.preview.for_, *asked])),)
    if not anew:
        return ()  # Argo knows the ReplicaSet, and skips the steps
    before = (stage for stage in stages(release) if stage.kind not in ("bake", "warm"))
    return (("stages", Duration(sum(stage.length or 0 for stage in before))),)


def _approvals(release: Release, *, anew: bool) -> tuple[str, ...]:
    if release.policy.blue_green is None and not anew:
        return ()
    return tuple(stage.group for stage in stages(release) if stage.group is not None)


def _pinned(release: Release, guardrail: Guardrail, phase: Phase, restored: Duration) -> tuple[Part, ...]:
    """How much longer sessions stay with the version, when all other requests are `restored`.

    An abort leaves them where they are. Hard failures drop them with the commit that follows; otherwise they drain.
    After the promotion nobody is pinned any more: the last cookie is as old as that.
    """
    sessions = release.policy.sessions
    if sessions is None:
        return ()
    if phase in ("warm", "cold"):
        left = 0 if guardrail.tier == "immediate" else max(0, sessions.lifetime - restored)
        return (("sessions", Duration(left)),) if left else ()
    if guardrail.tier == "immediate":
        return (*_revert(release)[:2], ("route", release.environment.spec.delays.route))
    return (("sessions", sessions.lifetime),)


def cold_start(release: Release, version: Version | None = None) -> tuple[Part, ...]:
    """Fetching the bundle and starting the server, of the fallback unless another version is given.

    With a router all pods start at once; without one, a canary starts them in turns of a quarter.
    """
    version = version or release.fallback
    assert version is not None
    turns, startup = _turns(release), version.object.spec.startup
    return ("fetch", Duration(turns * fetching(release, version))), ("startup", Duration(turns * (startup + MIN_READY)))


def fetching(release: Release, version: Version) -> Duration:
    """How long a pod of a version may fetch its bundle, in whole seconds."""
    bundle = version.object.spec.bundle
    size = sum(int(artifact.size) for files in bundle.values() for artifact in files.values())
    return Duration(1000 * -(-size // release.environment.spec.delays.fetch.value))


def _turns(release: Release) -> int:
    if release.policy.blue_green is not None or routers.can(release.environment.spec.router.kind, "weights"):
        return 1
    replicas = int(release.policy.replicas)
    at_once = -(-replicas * SURGE.numerator // SURGE.denominator)
    return -(-replicas // at_once)
