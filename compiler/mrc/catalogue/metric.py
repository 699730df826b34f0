"""What a metric of the catalogue is made of."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import ClassVar, Literal

from mrc.promql import Match, Regex, block, number, selector, series
from mrc.records import dataclass, field
from mrc.schema.units import Duration


@dataclass(frozen=True)
class Scope:
    """What a query is about: one model in one namespace of one environment, over one window."""

    model: str
    namespace: str
    entrypoints: tuple[str, ...]
    window: Duration
    environment: str = ""


@dataclass(frozen=True)
class Source:
    """Who measures, and how its series name model and version.

    `select` are the labels that find a model's series, `version_label` the one that tells the version. `join` is a
    vector whose labels have the version by pod, for sources whose own series lack it; `joined` finds its test series.
    """

    name: str
    select: Callable[[Scope], Mapping[str, Match]]
    version_label: str
    join: Callable[[Scope], str] | None = None
    joined: Callable[[Scope, str], list[str]] = lambda scope, version: []

    def by_version(self, aggregate: str, inside: str, scope: Scope, *also: str) -> str:
        """`aggregate by (version, also)` over the model's series."""
        if self.join is not None:
            inside = f"{inside}\n* on (namespace, pod) group_left ({self.version_label}) {self.join(scope)}"
        if self.version_label != "version":
            moved = f'"version", "$1", "{self.version_label}", "(.+)"'
            inside = block("label_replace", f"{inside},\n{moved}")
        labels = ", ".join(("version", *also))
        return block(f"{aggregate} by ({labels}) ", inside)


@dataclass(frozen=True)
class TestSeries:
    """An input series of a promtool test: it starts at `level` and grows by `step` an interval.

    With `until_window` it falls to zero when the window begins that ends with the test; `jump` is what it rises to in
    the middle of that window.
    """

    series: str
    step: Decimal = Decimal(0)
    level: Decimal = Decimal(0)
    until_window: bool = False
    jump: Decimal | None = None


class Measure(ABC):
    """How a value and its samples come out of raw series.

    `counts` says what a sample is: only requests grow with the traffic.
    """

    counts: ClassVar[Literal["requests", "scrapes", "pods"]] = "requests"

    @abstractmethod
    def value(self, source: Source, scope: Scope) -> str:
        """PromQL for the value by version, in the metric's unit."""

    @abstractmethod
    def samples(self, source: Source, scope: Scope) -> str:
        """PromQL for the number of observations by version that the value rests on."""

    def comes(self, source: Source, scope: Scope) -> str:
        """PromQL for what must be above zero by version, or it has fallen silent."""
        return self.samples(source, scope)

    @abstractmethod
    def test(
        self, source: Source, scope: Scope, version: str, value: Decimal, step: Decimal, intervals: int
    ) -> list[TestSeries]:
        """Series of which the value is (nearly) `value`, with `step` observations each of `intervals` intervals."""


@dataclass(frozen=True)
class Metric:
    """One entry of the catalogue.

    `unit` is the unit of `value` in Prometheus; `worse` the direction that is worse, None when both can be;
    `min_samples` replaces the tier's default where observations are few by nature (pods, not requests).
    """

    name: str
    source: Source
    unit: Literal["ratio", "seconds", "bytes", "per second", "count", "number"]
    worse: Literal["higher", "lower"] | None
    title: str
    measure: Measure
    min_samples: int | None = None
    crash: bool = False


@dataclass(frozen=True)
class Series:
    """A raw metric and the label values that narrow it."""

    metric: str
    labels: Mapping[str, Match] = field(default_factory=dict)

    def select(self, source: Source, scope: Scope, window: Duration | None = None) -> str:
        """The selector for the scope's model."""
        return selector(self.metric, {**source.select(scope), **self.labels}, window or scope.window)

    def instant(self, source: Source, scope: Scope) -> str:
        """The selector without a window."""
        return selector(self.metric, {**source.select(scope), **self.labels})

    def example(self, source: Source, scope: Scope, version: str, **also: str) -> str:
        """A series that the selector finds, of that version."""
        return series(self.metric, {**source.select(scope), source.version_label: version, **self.labels, **also})


@dataclass(frozen=True)
class Ratio(Measure):
    """Bad events over all events. `good` is a series of the rest, for tests."""

    bad: Series
    total: Series
    good: Series

    def value(self, source: Source, scope: Scope) -> str:
        bad = source.by_version("sum", f"rate({self.bad.select(source, scope)})", scope)
        total = source.by_version("sum", f"rate({self.total.select(source, scope)})", scope)
        # No bad event yet means no series of bad events: `or 0 * total` makes that a zero.
        return f"({bad}\n or 0 * {total})\n/ ({total} > 0)"

    def samples(self, source: Source, scope: Scope) -> str:
        return source.by_version("sum", f"increase({self.total.select(source, scope)})", scope)

    def test(
        self, source: Source, scope: Scope, version: str, value: Decimal, step: Decimal, intervals: int
    ) -> list[TestSeries]:
        return [
            TestSeries(self.bad.example(source, scope, version), step * value),
            TestSeries(self.good.example(source, scope, version), step * (1 - value)),
        ]


@dataclass(frozen=True)
class FailureRatio(Measure):
    """Failures over failures and successes, counted apart."""

    failure: Series
    success: Series

    def _sum(self, function: str, one: Series, source: Source, scope: Scope) -> str:
        return source.by_version("sum", f"{function}({one.select(source, scope)})", scope)

    def _total(self, function: str, source: Source, scope: Scope) -> str:
        success = self._sum(function, self.success, source, scope)
        failure = self._sum(function, self.failure, source, scope)
        # A server that never failed has no series of failures, and one that only fails none of successes.
        return f"(({success}\n or 0 * {failure})\n + ({failure}\n or 0 * {success}))"

    def value(self, source: Source, scope: Scope) -> str:
        failure = self._sum("rate", self.failure, source, scope)
        success = self._sum("rate", self.success, source, scope)
        return f"({failure}\n or 0 * {success})\n/ ({self._total('rate', source, scope)} > 0)"

    def samples(self, source: Source, scope: Scope) -> str:
        return self._total("increase", source, scope)

    def test(
        self, source: Source, scope: Scope, version: str, value: Decimal, step: Decimal, intervals: int
    ) -> list[TestSeries]:
        return [
            TestSeries(self.failure.example(source, scope, version), step * value),
            TestSeries(self.success.example(source, scope, version), step * (1 - value)),
        ]


@dataclass(frozen=True)
class Quantile(Measure):
    """A quantile of a classic histogram, times `factor` to reach the metric's unit."""

    quantile: Decimal
    histogram: str
    factor: Decimal

    def value(self, source: Source, scope: Scope) -> str:
        buckets = Series(f"{self.histogram}_bucket").select(source, scope)
        by_bucket = source.by_version("sum", f"rate({buckets})", scope, "le")
        scaled = "" if self.factor == 1 else f" * {number(self.factor)}"
        return block("histogram_quantile", f"{number(self.quantile)},\n{by_bucket}") + scaled

    def samples(self, source: Source, scope: Scope) -> str:
        count = Series(f"{self.histogram}_count").select(source, scope)
        return source.by_version("sum", f"increase({count})", scope)

    def test(
        self, source: Source, scope: Scope, version: str, value: Decimal, step: Decimal, intervals: int
    ) -> list[TestSeries]:
        # Everything falls into one narrow bucket around the value.
        raw = value / self.factor
        bucket = Series(f"{self.histogram}_bucket")
        edges = {number(raw * Decimal("0.99")): Decimal(0), number(raw * Decimal("1.01")): step, "+Inf": step}
        return [
            *(TestSeries(bucket.example(source, scope, version, le=le), up) for le, up in edges.items()),
            TestSeries(Series(f"{self.histogram}_count").example(source, scope, version), step),
        ]


@dataclass(frozen=True)
class Mean(Measure):
    """A sum over a count, times `factor` to reach the metric's unit."""

    total: Series
    count: Series
    factor: Decimal

    def value(self, source: Source, scope: Scope) -> str:
        total = source.by_version("sum", f"rate({self.total.select(source, scope)})", scope)
        count = source.by_version("sum", f"rate({self.count.select(source, scope)})", scope)
        return f"{total} * {number(self.factor)}\n/ ({count} > 0)"

    def samples(self, source: Source, scope: Scope) -> str:
        return source.by_version("sum", f"increase({self.count.select(source, scope)})", scope)

    def test(
        self, source: Source, scope: Scope, version: str, value: Decimal, step: Decimal, intervals: int
    ) -> list[TestSeries]:
        return [
            TestSeries(self.total.example(source, scope, version), step * value / self.factor),
            TestSeries(self.count.example(source, scope, version), step),
        ]


@dataclass(frozen=True)
class PerSecond(Measure):
    """How often something happens."""

    counts = "scrapes"
    events: Series

    def value(self, source: Source, scope: Scope) -> str:
        return source.by_version("sum", f"rate({self.events.select(source, scope)})", scope)

    def samples(self, source: Source, scope: Scope) -> str:
        # Scrapes, not events: that little happens must be a value, not a lack of samples.
        return source.by_version("sum", f"count_over_time({self.events.select(source, scope)})", scope)

    def comes(self, source: Source, scope: Scope) -> str:
        # Events: a counter is scraped for as long as its pods are there, whether anything comes or not.
        return source.by_version("sum", f"increase({self.events.select(source, scope)})", scope)

    def test(
        self, source: Source, scope: Scope, version: str, value: Decimal, step: Decimal, intervals: int
    ) -> list[TestSeries]:
        return [TestSeries(self.events.example(source, scope, version), value * TEST_INTERVAL_SECONDS)]


@dataclass(frozen=True)
class Level(Measure):
    """A gauge, averaged over the window; over the pods it is added up, or the highest counts."""

    counts = "scrapes"
    gauge: Series
    over_pods: Literal["sum", "max"] = "sum"

    def value(self, source: Source, scope: Scope) -> str:
        return source.by_version(self.over_pods, f"avg_over_time({self.gauge.select(source, scope)})", scope)

    def samples(self, source: Source, scope: Scope) -> str:
        return source.by_version("sum", f"count_over_time({self.gauge.select(source, scope)})", scope)

    def test(
        self, source: Source, scope: Scope, version: str, value: Decimal, step: Decimal, intervals: int
    ) -> list[TestSeries]:
        return [TestSeries(self.gauge.example(source, scope, version), level=value)]


# The interval of the input series of every generated test.
TEST_INTERVAL_SECONDS = 30

__all__ = [
    "TEST_INTERVAL_SECONDS",
    "FailureRatio",
    "Level",
    "Mean",
    "Measure",
    "Metric",
    "PerSecond",
    "Quantile",
    "Ratio",
    "Regex",
    "Scope",
    "Series",
    "Source",
    "TestSeries",
]
