"""Metric x comparison to four recorded series: value, limit, samples and verdict.

The verdict is 1 where the version is worse, 0 where it is fine, and absent where that cannot be told. The Argo
analysis, the alerts and the generated tests all read this one series.
"""

from decimal import Decimal
from functools import lru_cache

from mrc import labels
from mrc.catalogue import Metric, Scope
from mrc.promql import block, indent, matchers, number, quote
from mrc.records import dataclass, replace
from mrc.schema.guardrail import Action, OnMissing, Tier
from mrc.schema.units import Duration, Share, plain

VALUE = "mrc:guardrail:value"
"""What was measured, in the metric's base unit (seconds, bytes, a share from 0 to 1)."""
LIMIT = "mrc:guardrail:limit"
"""What the value is compared with, in the same unit."""
SAMPLES = "mrc:guardrail:samples"
"""How many observations the value rests on."""
VERDICT = "mrc:guardrail:verdict"
"""1 where the version is worse, 0 where it is fine; absent where that cannot be told."""


@dataclass(frozen=True)
class TierDefaults:
    """What a guardrail of this tier has unless it says otherwise."""

    window: Duration
    min_samples: int
    action: Action
    purpose: str


TIERS: dict[Tier, TierDefaults] = {
    "immediate": TierDefaults(Duration.parse("2m"), 20, "rollback", "hard failures"),
    "short": TierDefaults(Duration.parse("5m"), 100, "rollback", "anomalies over minutes"),
    "trend": TierDefaults(Duration.parse("6h"), 1000, "page", "slow trends over hours to days"),
}


@dataclass(frozen=True)
class Bound:
    """Worse beyond a fixed limit, in the metric's unit."""

    limit: Decimal
    worse: str  # "higher" or "lower" than the limit


@dataclass(frozen=True)
class BurnRate(Bound):
    """A bound on a share of bad requests, in the guardrail's window and in a short one at once.

    Source: https://sre.google/workbook/alerting-on-slos/#6-multiwindow-multi-burn-rate-alerts
    """

    objective: Share
    factor: Decimal
    short: Duration


# factor -> long and short window
BURN_WINDOWS = {
    "14.4": (Duration.parse("1h"), Duration.parse("5m")),
    "6": (Duration.parse("6h"), Duration.parse("30m")),
    "3": (Duration.parse("1d"), Duration.parse("2h")),
    "1": (Duration.parse("3d"), Duration.parse("6h")),
}


def burn_rate(objective: Share, factor: str) -> BurnRate:
    """The bound that an objective and a factor make, exact."""
    limit = Decimal(factor) * (1 - Decimal(objective))
    return BurnRate(limit, "higher", objective, Decimal(factor), BURN_WINDOWS[factor][1])


@dataclass(frozen=True)
class WorseThanStable:
    """Worse than the fallback's own value of the same moment: stable + relative x stable + absolute."""

    relative: Decimal
    absolute: Decimal
    worse: str


@dataclass(frozen=True)
class Absence:
    """Worse when samples that came within the last day do not come any more."""


Comparison = Bound | WorseThanStable | Absence


@dataclass(frozen=True)
class Guardrail:
    """A guardrail with every default filled in. `metric` is None for raw PromQL."""

    name: str
    title: str
    unit: str
    tier: Tier
    window: Duration
    min_samples: int
    action: Action
    on_missing: OnMissing
    comparison: Comparison
    metric: Metric | None
    promql: str
    samples_promql: str
    everywhere: bool = True
    """Whether it watches in every environment of its policy."""

    @property
    def only_served(self) -> bool:
        """Whether only the served version has a verdict: the comparison says nothing of another one."""
        return not isinstance(self.comparison, Bound)

    @property
    def compares(self) -> bool:
        """Whether it needs a stable version that answers at the same time."""
        return isinstance(self.comparison, WorseThanStable)

    @property
    def of_pods(self) -> bool:
        """Whether the samples are pods, which are there without any request."""
        return self.metric is not None and self.metric.crash


@dataclass(frozen=True)
class Watched:
    """Where a guardrail is evaluated: which model, where, which version serves and which one is stable."""

    scope: Scope
    environment: str
    version: int
    fallback: int | None


@dataclass(frozen=True)
class Recorded:
    """The four expressions of a guardrail, in the order in which they are evaluated."""

    samples: str
    value: str
    limit: str
    verdict: str


def identity(watched: Watched, guardrail: Guardrail) -> dict[str, str]:
    """The labels of the recorded series, without the version."""
    return {
        labels.SERIES_ENVIRONMENT: watched.environment,
        labels.SERIES_GUARDRAIL: guardrail.name,
        labels.SERIES_MODEL: watched.scope.model,
    }


def series_of(name: str, watched: Watched, guardrail: Guardrail, version: int | str | None = None) -> str:
    """A recorded series of a guardrail, of every version unless one is given: as selector, and as a series by name."""
    return f"{name}{{{_matchers(watched.environment, guardrail.name, watched.scope.model, version)}}}"


@lru_cache(maxsize=256)  # a release writes each a dozen times
def _matchers(environment: str, guardrail: str, model: str, version: int | str | None) -> str:
    known = {labels.SERIES_ENVIRONMENT: environment, labels.SERIES_GUARDRAIL: guardrail, labels.SERIES_MODEL: model}
    return matchers(known if version is None else {**known, labels.SERIES_VERSION: str(version)})


def recorded(guardrail: Guardrail, watched: Watched) -> Recorded:
    """The recorded expressions of one guardrail.

    Comparisons with NaN are false in PromQL, so `>= -Inf` keeps every number and drops NaN: an undefined value must
    be undecided, never fine.
    """

    def of(name: str, version: int | None = None) -> str:
        return series_of(name, watched, guardrail, version)

    comparison = guardrail.comparison
    only = watched.version if guardrail.only_served else None
    value = of(VALUE, only)
    enough = f"{of(SAMPLES, only)} >= {guardrail.min_samples}"
    match comparison:
        case Bound():
            limit = f"group by (environment, guardrail, model, version) ({value}) * {number(comparison.limit)}"
            verdict = f"({value} {_beyond(comparison.worse)} {of(LIMIT)})\nand on (version) ({enough})"
        case WorseThanStable():
            assert watched.fallback is not None
            stable = of(VALUE, watched.fallback)
            limit = _tolerated(stable, comparison, watched.version)
            verdict = (
                f"({value} {_beyond(comparison.worse)} {of(LIMIT)})\nand on (version) ({enough})\n"
                f"and on () ({of(SAMPLES, watched.fallback)} >= {guardrail.min_samples})"
            )
        case Absence():
            limit = f"0 * {value}"
            verdict = f"{value} > bool {of(LIMIT)}"
    return Recorded(_samples(guardrail, watched), _value(guardrail, watched), limit, verdict)


def _beyond(worse: str) -> str:
    return "> bool" if worse == "higher" else "< bool"


def _tolerated(stable: str, comparison: WorseThanStable, version: int) -> str:
    """The stable version's value with the tolerance, relabelled as the served version's limit."""
    sign = 1 if comparison.worse == "higher" else -1
    limit = f"{stable} * {number(1 + sign * comparison.relative)}" if comparison.relative else stable
    if comparison.absolute:
        limit += f" {'+' if sign > 0 else '-'} {number(comparison.absolute)}"
    return block("label_replace", f'{limit},\n"version", {quote(str(version))}, "", ""')


def _value(guardrail: Guardrail, watched: Watched) -> str:
    if isinstance(guardrail.comparison, Absence):
        came = series_of(SAMPLES, watched, guardrail, watched.version)
        return f"0 * ({came} > 0)\nor 1 + 0 * (max_over_time({came}[1d]) > 0)"
    if guardrail.metric is not None:
        measured = _measured(guardrail.metric, guardrail.window, watched)
        if isinstance(guardrail.comparison, BurnRate):
            # The smaller of the two shares is beyond the limit when both are.
            short = _measured(guardrail.metric, guardrail.comparison.short, watched)
            measured = f"(\n{indent(measured)}\n) <= (\n{indent(short)}\n)\nor (\n{indent(short)}\n)"
        return f"(\n{indent(measured)}\n) >= -Inf"
    # Of several series of a version the worst one counts.
    worst = "min" if guardrail.comparison.worse == "lower" else "max"
    return f"{_of_model(worst, guardrail.promql, watched)} >= -Inf"


def _measured(metric: Metric, window: Duration, watched: Watched) -> str:
    return metric.measure.value(metric.source, replace(watched.scope, window=window))


def _samples(guardrail: Guardrail, watched: Watched) -> str:
    if guardrail.metric is not None:
        measure = guardrail.metric.measure
        count = measure.comes if isinstance(guardrail.comparison, Absence) else measure.samples
        return count(guardrail.metric.source, _scope(guardrail, watched))
    return _of_model("sum", guardrail.samples_promql, watched)


def _of_model(aggregate: str, expression: str, watched: Watched) -> str:
    """A team's own expression, by version, without the series of other models."""
    model = f'label_replace(vector(1), "model", {quote(watched.scope.model)}, "", "")'
    # The line end closes a comment in which the expression may end.
    return block(f"{aggregate} by (version) ", f"(\n{indent(expression.strip())}\n)\nand on (model) {model}")


def _scope(guardrail: Guardrail, watched: Watched) -> Scope:
    return replace(watched.scope, window=guardrail.window)


def limit_in_words(guardrail: Guardrail) -> str:
    """The comparison in a reader's words: `above 250ms`, `above stable + 10% + 5ms`, `gone for 10m`."""
    comparison = guardrail.comparison
    match comparison:
        case BurnRate():
            limit, factor = shown(comparison.limit, guardrail.unit), plain(comparison.factor)
            return f"above {limit} ({factor} times the error budget of {comparison.objective})"
        case Bound():
            side = "above" if comparison.worse == "higher" else "below"
            return f"{side} {shown(comparison.limit, guardrail.unit)}"
        case WorseThanStable():
            side, sign = ("above", "+") if comparison.worse == "higher" else ("below", "-")
            parts = [str(Share(comparison.relative))] if comparison.relative else []
            parts += [shown(comparison.absolute, guardrail.unit)] if comparison.absolute else []
            return f"{side} stable {sign} " + f" {sign} ".join(parts)
        case Absence():
            return f"gone for {guardrail.window}"


def windows_in_words(guardrail: Guardrail) -> str:
    """Over how long it looks: `5m`, or `5m and 1h` where it must be worse over both."""
    comparison = guardrail.comparison
    return f"{comparison.short} and {guardrail.window}" if isinstance(comparison, BurnRate) else str(guardrail.window)


def shown(value: Decimal, unit: str) -> str:
    """A value with its unit, as a policy would write it."""
    match unit:
        case "ratio":
            return f"{plain(value.scaleb(2))}%"
        case "seconds" if value < 1:
            return f"{plain(value.scaleb(3))}ms"
        case "seconds":
            return f"{plain(value)}s"
        case "per second":
            return f"{plain(value)}/s"
        case "bytes":
            return f"{plain(value)} bytes"
        case _:
            return plain(value)
