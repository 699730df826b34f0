"""What the samples of a phase can tell: the smallest effect that is found, and how often a healthy version is accused.

A guardrail is read as a share of bad requests held against a limit. An error ratio is one. So is a quantile: p99 is
above 250ms exactly when more than 1 % of the requests take longer, so that requests beyond the limit are counted, and
nothing need be known of the distribution: the binomial of exceedances, as in David and Nagaraja, Order Statistics
(3rd edition, 2003), section 7.1. Of means, rates and gauges nothing is said: their spread is not known.
"""

from decimal import Decimal
from functools import cached_property, lru_cache

from mrc.catalogue.metric import FailureRatio, Quantile, Ratio
from mrc.catalogue.own import Own
from mrc.chance import alarms, detectable, detectable_against, false_alarm, false_alarm_against, tolerated
from mrc.coverage import Cell, by_guardrail, cover
from mrc.guardrail import Bound, Guardrail, WorseThanStable
from mrc.link import Release
from mrc.records import dataclass
from mrc.schema.units import Duration

# A healthy version has a quarter of the bad requests that the limit allows. Nobody tells the compiler the true share;
# a version that is only just within the limit is accused often whatever the samples, one far below it never.
HEALTHY = Decimal("0.25")
_HALF = Decimal("0.5")
MONTH = Duration.parse("30d")


@dataclass(frozen=True)
class Decidability:
    """What one guardrail can tell in one phase. Shares are of the requests in a window.

    `limit` is the share of bad requests beyond which the version is worse. The others are computed when they are asked
    for, which costs; all but `smallest` are None for a lower bound below one half. For a comparison with stable, there
    is `false_alarm` where the limit is a share of requests, and not a quantile.
    """

    cell: Cell
    limit: Decimal

    @cached_property
    def smallest(self) -> float | None:
        """The smallest share that one window finds with a power of 80 %; None where no window can."""
        if self.cell.stable_samples is not None:
            return detectable_against(self._samples, int(self.cell.stable_samples), float(self.limit), *self._measured)
        return detectable(self._samples, self.limit)

    @cached_property
    def tolerated(self) -> float | None:
        """The largest share with which a version passes the whole phase in 95 of 100 rollouts."""
        return tolerated(self._samples, self.limit, self._windows) if self._errs else None

    @cached_property
    def false_alarm(self) -> float | None:
        """The chance that a healthy version is accused in this phase.

        After the promotion, and where a phase has no length, in one window.
        """
        if self.cell.stable_samples is None and not self._errs:
            return None
        return self.accused(self._samples, int(self.cell.stable_samples or 0), self._windows)

    def accused(self, n: int, stable: int, windows: float, absolute: Decimal | None = None) -> float | None:
        """How likely a healthy version is accused with so many requests in a window, and in one of stable.

        Healthy is, of a comparison, one that is as good as stable; `absolute` takes the place of its own tolerance.
        """
        comparison, metric = self.cell.guardrail.comparison, self.cell.guardrail.metric
        if not isinstance(comparison, WorseThanStable):
            return false_alarm(n, self.limit, self._healthy, windows)
        if metric is not None and isinstance(metric.measure, Quantile):
            return None  # how latencies are spread about the quantile is not known
        slope, share = self._measured
        tolerance = float(comparison.absolute if absolute is None else absolute)
        return false_alarm_against(n, stable, slope, tolerance, share, windows)

    @cached_property
    def a_month(self) -> float | None:
        """False alarms of a healthy version in 30 days at the traffic of this phase."""
        if not self._errs:
            return None
        return alarms(self._samples, self.limit, self._healthy) * (int(MONTH) / int(self.cell.guardrail.window))

    @property
    def _samples(self) -> int:
        return int(self.cell.samples or 0)

    @property
    def _measured(self) -> tuple[float, float]:
        """By how much the limit grows with the stable version's own share, and what that is."""
        guardrail = self.cell.guardrail
        comparison, measure = guardrail.comparison, guardrail.metric.measure if guardrail.metric is not None else None
        if isinstance(measure, Quantile) or not isinstance(comparison, WorseThanStable):
            return 1.0, float(self.limit)  # of a quantile the same share is beyond it on both sides
        slope = 1 + comparison.relative
        return float(slope), max(0.0, float((self.limit - comparison.absolute) / slope))

    @property
    def _errs(self) -> bool:
        """Whether it is known how often it errs."""
        return self.cell.stable_samples is None and self.limit <= _HALF

    @property
    def healthy(self) -> Decimal:
        """The share of bad requests of a version that is healthy: the stable one's, in a comparison."""
        return self.limit * HEALTHY if self.cell.stable_samples is None else Decimal(self._measured[1])

    @property
    def _healthy(self) -> float:
        return float(self.limit * HEALTHY)

    @property
    def _windows(self) -> float:
        """How many windows follow each other in the phase, at least one."""
        stage = self.cell.stage
        if stage.length is None or stage.promoted:
            return 1.0
        return max(1.0, int(stage.length) / int(self.cell.guardrail.window))


@lru_cache(maxsize=8)  # the rules and the runbook ask for the same release, one after the other
def decidability(release: Release) -> tuple[Decidability, ...]:
    """For every guardrail that can be read as a share of requests, in every phase in which it has samples."""
    found = []
    for cells in by_guardrail(cover(release)).values():
        limit = bad_share(release, cells[0].guardrail)
        if limit is not None:
            counted = (cell for cell in cells if int(cell.samples or 0) > 0 and cell.sees != "nothing")
            found += [Decidability(cell, limit) for cell in counted]
    return tuple(found)


def bad_share(release: Release, guardrail: Guardrail) -> Decimal | None:
    """The share of bad requests beyond which the version is worse; None where the guardrail is no such share."""
    measure = guardrail.metric.measure if guardrail.metric is not None else None
    comparison = guardrail.comparison
    if isinstance(measure, Quantile) and isinstance(comparison, Bound | WorseThanStable):
        return 1 - measure.quantile if comparison.worse == "higher" else measure.quantile
    proportion = isinstance(measure, Ratio | FailureRatio) or (
        (measure is None or isinstance(measure, Own)) and guardrail.unit == "ratio"
    )
    if not proportion:
        return None
    if isinstance(comparison, Bound):
        return comparison.limit if comparison.worse == "higher" else 1 - comparison.limit
    if isinstance(comparison, WorseThanStable) and comparison.worse == "higher":
        # How bad stable is, only a bound on the same metric hints at.
        bound = alone(release, guardrail)
        if bound is not None and isinstance(bound.comparison, Bound):
            found = bound.comparison.limit * HEALTHY * (1 + comparison.relative) + comparison.absolute
            return min(found, Decimal(1))
    return None


def alone(release: Release, guardrail: Guardrail) -> Guardrail | None:
    """Another guardrail on the same series with a limit that needs no other version."""
    return _bounds(release).get(_series(guardrail))


@lru_cache(maxsize=8)
def _bounds(release: Release) -> dict[tuple[str | None, str], Guardrail]:
    """The first guardrail with a bound on each series."""
    return {_series(each): each for each in reversed(release.guardrails) if isinstance(each.comparison, Bound)}


def _series(guardrail: Guardrail) -> tuple[str | None, str]:
    """The series that a guardrail is on: in a release, a metric is known by its name."""
    return guardrail.metric.name if guardrail.metric is not None else None, guardrail.promql
