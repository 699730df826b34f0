"""How long a failure lasts at worst, from its onset until the fallback serves again: detection and execution apart.

Every part is a worst case, and the parts add up: the scrape, the evaluation and the question were each just missed,
the failure is so small that it needs the whole window, the syncer has just looked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Literal

from mrc import routers
from mrc.coverage import Cell, cover, lag, sustained
from mrc.guardrail import Guardrail
from mrc.link import Release, Version
from mrc.schema.policy import Tier
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
    """One guardrail in one phase: how long until it is seen, and until the fallback serves; parts in their order."""

    phase: Phase
    guardrail: Guardrail
    detection: tuple[Part, ...]
    execution: tuple[Part, ...]

    @property
    def seen(self) -> Duration:
        """Onset to decision."""
        return total(self.detection)

    @property
    def back(self) -> Duration:
        """Decision to all requests on the fallback."""
        return total(self.execution)

    @property
    def restored(self) -> Duration:
        """Onset to all requests on the fallback."""
        return Duration(self.seen + self.back)


def total(parts: tuple[Part, ...]) -> Duration:
    """The parts added up."""
    return Duration(sum(part for _, part in parts))


@lru_cache(maxsize=8)
def restore(release: Release) -> tuple[Way, ...]:
    """Every guardrail that rolls back, in every phase in which it can, by phase; nothing without a fallback."""
    if release.fallback is None:
        return ()
    found: dict[tuple[Phase, str], Way] = {}
    for cell in cover(release):
        if not cell.automatic or not (cell.stage.answers or cell.guardrail.of_pods) or cell.stage.kind == "preview":
            continue
        for phase in _phases(release, cell):
            seen, back = detection(release, cell.guardrail, phase), _back(release, cell, phase)
            found[phase, cell.guardrail.name] = Way(phase, cell.guardrail, seen, back)
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
        return (*parts, ("analysis", prometheus.evaluate))
    if lasting := sustained(guardrail):
        parts.append(("sustained", lasting))
    # The reconciler asks Alertmanager, which does not wait for it; people are told after the wait. The slower counts.
    return (*parts, ("notice", max(alerts.group_wait, POLL)))


def _back(release: Release, cell: Cell, phase: Phase) -> tuple[Part, ...]:
    delays = release.environment.spec.delays
    revert: tuple[Part, ...] = (("commit", COMMIT), ("sync", delays.sync))
    route: Part = ("route", delays.route)
    blue_green = release.policy.blue_green is not None
    moves = blue_green or routers.can(release.environment.spec.router.kind, "weights")
    match phase:
        case "cold" if release.policy.blue_green is not None:
            # Only a return to pods that are warm skips the preview.
            preview: Part = ("preview", release.policy.blue_green.preview.for_)
            return (*revert, ("argo", ARGO), *cold_start(release), preview, route)
        case "cold":
            return (*revert, ("argo", ARGO), *cold_start(release), route)
        case "warm":
            return (*revert, ("argo", ARGO), route)
        case "bake" if blue_green and cell.guardrail.of_pods:
            # Argo does not switch back from a side whose pods are not all there (argo-rollouts#2824): git must.
            return (*revert, ("argo", ARGO), route)
        case _ if moves:
            return (("argo", ARGO), route)
        case _:
            return (("argo", ARGO), *cold_start(release), route)


def cold_start(release: Release, version: Version | None = None) -> tuple[Part, ...]:
    """Fetching the bundle and starting the server, of the fallback unless another version is given.

    With a router all pods start at once; without one, a canary starts them in turns of a quarter.
    """
    version = version or release.fallback
    assert version is not None
    spec = version.object.spec
    size = sum(int(artifact.size) for files in spec.bundle.values() for artifact in files.values())
    fetch = 1000 * -(-size // release.environment.spec.delays.fetch.value)
    turns = _turns(release)
    return ("fetch", Duration(turns * fetch)), ("startup", Duration(turns * (spec.startup + MIN_READY)))


def _turns(release: Release) -> int:
    if release.policy.blue_green is not None or routers.can(release.environment.spec.router.kind, "weights"):
        return 1
    replicas = int(release.policy.replicas)
    at_once = -(-replicas * SURGE.numerator // SURGE.denominator)
    return -(-replicas // at_once)


def within_lag(release: Release, guardrail: Guardrail) -> Duration:
    """The shortest stage in which what begins with it fills the window and is acted on before it ends."""
    return Duration(guardrail.window + lag(release) + sustained(guardrail))
