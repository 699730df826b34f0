"""Which guardrail can act in which phase, and how: Prometheus' arithmetic of windows, and Argo's of intervals.

A window fills with the version's own requests. What happens at a pod is scraped, then evaluated, then read by Argo;
each of the three may have just been missed, so that `lag` is their sum.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from functools import cache, lru_cache, partial
from typing import Literal

from mrc.catalogue.metric import PerSecond
from mrc.guardrail import Absence, Guardrail
from mrc.link import Release
from mrc.records import dataclass
from mrc.rollouts import EVERYTHING, Stage, active, stages
from mrc.schema.units import Duration, Share

How = Literal["abort", "revert", "page", "ticket", "nothing"]
Sees = Literal["whole", "part", "nothing"]


@dataclass(frozen=True)
class Cell:
    """One guardrail in one phase.

    `sees` is `whole` where what begins with the phase fills a window before the phase ends, `part` where it fills less
    of it or is mixed with the phase before, `nothing` where no verdict is possible; `why` says why not. `samples` are
    the requests in the window when the phase ends, None where requests are not what is counted.
    """

    guardrail: Guardrail
    stage: Stage
    how: How
    sees: Sees
    samples: Fraction | None
    stable_samples: Fraction | None
    why: str = ""

    @property
    def automatic(self) -> bool:
        """Whether the version goes back without a person."""
        return self.how in ("abort", "revert")


def phases(release: Release) -> list[Stage]:
    """The stages, and always a last one that is promoted: where nothing is kept warm, it has no length."""
    found = stages(release)
    if not found or not found[-1].promoted:
        found.append(Stage("warm", EVERYTHING, None, (*release.path, "warm")))
    return found


@lru_cache(maxsize=8)  # several rules and the runbook ask for the same release, one after the other
def cover(release: Release) -> tuple[Cell, ...]:
    """Each active guardrail in each phase, by guardrail, then in the order of the phases."""
    found = phases(release)
    requests = cache(partial(_requests, release, found))  # many guardrails have the same window
    return tuple(cell for guardrail in active(release) for cell in _cells(release, guardrail, found, requests))


def by_guardrail(cells: Iterable[Cell]) -> dict[str, list[Cell]]:
    """The cells of each guardrail, by its name."""
    found: dict[str, list[Cell]] = {}
    for cell in cells:
        found.setdefault(cell.guardrail.name, []).append(cell)
    return found


def lag(release: Release, *, promoted: bool = False) -> Duration:
    """From the last request that decides to the moment when Argo, or the alert, knows: scrape, evaluate, ask.

    The alert stands in the same group as what it reads, so that it is evaluated at once.
    """
    prometheus = release.environment.spec.prometheus
    return Duration(prometheus.scrape + (1 if promoted else 2) * prometheus.evaluate)


def sustained(guardrail: Guardrail) -> Duration:
    """How long a verdict must last before its alert fires."""
    return guardrail.window if isinstance(guardrail.comparison, Absence) else Duration(0)


def filling(release: Release, guardrail: Guardrail) -> Duration:
    """How long there may be no verdict at the start, through nobody's fault: a window fills, and may be late again."""
    prometheus = release.environment.spec.prometheus
    return Duration(2 * guardrail.window + prometheus.scrape + prometheus.evaluate)


def first_asked(release: Release, guardrail: Guardrail) -> Duration:
    """How long after its start Argo's analysis first asks: at once, but where missing data counts as worse."""
    return filling(release, guardrail) if guardrail.on_missing == "rollback" else Duration(0)


def counts_requests(guardrail: Guardrail) -> bool:
    """Whether its samples grow with the traffic; a team's own are taken for requests."""
    if guardrail.metric is None:
        return True
    measure = guardrail.metric.measure
    silence = isinstance(guardrail.comparison, Absence) and isinstance(measure, PerSecond)
    return silence or measure.counts == "requests"


def shown(stage: Stage) -> str:
    """A phase in a reader's words."""
    match stage.kind:
        case "traffic":
            return f"{stage.share} of the traffic"
        case "shadow":
            return f"shadow of {stage.share}"
        case "approval":
            return f"approval by {stage.group}"
        case "warm":
            return "after the promotion"
        case _:
            return stage.kind


def _cells(
    release: Release,
    guardrail: Guardrail,
    found: Sequence[Stage],
    requests: Callable[[Duration, bool], Sequence[Fraction]],
) -> Iterator[Cell]:
    counts = counts_requests(guardrail)
    new = requests(guardrail.window, True) if counts else None
    stable = requests(guardrail.window, False) if counts and guardrail.compares else None
    for index, stage in enumerate(found):
        yield _cell(release, guardrail, stage, new[index] if new else None, stable[index] if stable else None)


def _cell(
    release: Release, guardrail: Guardrail, stage: Stage, samples: Fraction | None, stable: Fraction | None
) -> Cell:
    why = _obstacle(release, guardrail, stage, samples, stable)
    how: How = "nothing"
    if not why:
        how = guardrail.action if guardrail.action != "rollback" else "revert" if stage.promoted else "abort"
    sees: Sees = "nothing" if why else _sees(release, guardrail, stage)
    return Cell(guardrail, stage, how, sees, samples, stable, why)


def _obstacle(
    release: Release, guardrail: Guardrail, stage: Stage, samples: Fraction | None, stable: Fraction | None
) -> str:
    """Why there can be no verdict in this phase; nothing where there can be one."""
    if not guardrail.of_pods:
        if stage.share == 0:
            return "nobody sends requests to the new version"
        if guardrail.compares and stage.kind in ("bake", "warm"):
            return "the stable version answers nothing to compare with"
    if stage.kind == "approval" and release.policy.blue_green is not None and guardrail.action == "rollback":
        return "no analysis runs while a person decides"
    for number in (samples, stable):
        if number is not None and int(number) < guardrail.min_samples:
            return f"{round(number)} samples in the window, and {guardrail.min_samples} are needed"
    return ""


def _sees(release: Release, guardrail: Guardrail, stage: Stage) -> Sees:
    if stage.length is None:
        return "whole"
    needed = guardrail.window + lag(release, promoted=stage.promoted) + sustained(guardrail)
    return "whole" if needed <= stage.length else "part"


def _requests(release: Release, found: Sequence[Stage], window: Duration, new: bool) -> list[Fraction]:
    """Requests of the new or of the stable version within a window at the end of each phase."""
    rate, parts = release.policy.expected_traffic.per_second, [_parts(stage, new=new) for stage in found]
    counted = []
    for index, last in enumerate(found):
        left, shares = int(window), 0  # shares: parts of the traffic, times milliseconds
        for before in range(index, -1, -1):
            # An approval, or the time after the promotion, may last for ever: then the window lies in it whole.
            inside = left if last.length is None and before == index else min(left, int(found[before].length or 0))
            shares += parts[before] * inside
            left -= inside
        if not new:
            shares += Share.WHOLE * left
        counted.append(Fraction(rate.numerator * shares, rate.denominator * 1000 * Share.WHOLE))
    return counted


def _parts(stage: Stage, *, new: bool) -> int:
    if new:
        return stage.share.parts
    return Share.WHOLE if stage.kind in ("shadow", "preview") else Share.WHOLE - stage.share.parts
