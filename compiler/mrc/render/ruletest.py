"""The promtool test beside the rules: each guardrail fires on a bad series, is silent on a good one, undecided on none.

A catalogue metric is fed by the raw series of its source; a team's own PromQL, and a metric of the repository's own,
by the recorded value and samples.
"""

from decimal import Decimal
from typing import Any

from mrc import labels
from mrc.artifact import Artifact
from mrc.catalogue import rollouts
from mrc.catalogue.metric import TEST_INTERVAL_SECONDS, TestSeries
from mrc.catalogue.own import Own
from mrc.guardrail import SAMPLES, VALUE, VERDICT, Absence, Bound, Guardrail, WorseThanStable, series_of
from mrc.link import Release
from mrc.promql import number, selector
from mrc.records import dataclass, replace
from mrc.render.engine import fill
from mrc.render.rules import STILL_ABORTED, TELEMETRY_MISSING, WORSE, aborted_wait, telemetry_wait
from mrc.rollouts import active
from mrc.schema.units import Duration

_PER_MINUTE = 60 // TEST_INTERVAL_SECONDS
_WARM_UP_MINUTES = 10
# promtool evaluates every rule of the file once a minute: an alert that waits for a day would take it half a minute.
_PATIENCE_MINUTES = 30


@dataclass(frozen=True)
class _Run:
    """One test: its length in minutes and the input of the window at its end."""

    minutes: int
    window_minutes: int

    @property
    def intervals(self) -> int:
        """Intervals of input within the window."""
        return max(1, min(self.window_minutes, self.minutes) * _PER_MINUTE)


def render(release: Release) -> list[Artifact]:
    """rules.test.yaml with three tests a guardrail, and three of a Rollout that stays aborted."""
    tests = [test for guardrail in active(release) for test in _tests(release, guardrail)] + _still_aborted(release)
    text = fill("prometheus/test.yaml", model=release.model, tests=tests)
    return [Artifact(f"{release.folder}/rules.test.yaml", text)]


def _tests(release: Release, guardrail: Guardrail) -> list[dict[str, Any]]:
    run = _run(guardrail)
    wait = -(-telemetry_wait(guardrail).seconds // 60)
    patient = wait <= _PATIENCE_MINUTES
    pages = not guardrail.only_served and guardrail.on_missing != "ignore"
    return [
        _test(release, guardrail, f"{guardrail.name} fires on a bad series", run.minutes, _bad(release, guardrail, run),
              _verdict(release, guardrail, 1) + _alert(guardrail, WORSE, True)),
        _test(release, guardrail, f"{guardrail.name} is silent on a good series", run.minutes,
              _good(release, guardrail, run), _verdict(release, guardrail, 0) + _alert(guardrail, WORSE, False)),
        _test(release, guardrail, f"{guardrail.name} is undecided on no series",
              wait + 2 if patient else _WARM_UP_MINUTES, [],
              _verdict(release, guardrail, None) + _alert(guardrail, WORSE, False)
              + _alert(guardrail, TELEMETRY_MISSING, pages, "firing" if patient else "pending")),
    ]  # fmt: skip


def _still_aborted(release: Release) -> list[dict[str, Any]]:
    """Followed by git in time is the good series: the abort ends, and the Rollout is complete again."""
    namespace, wait = release.environment.spec.namespace, -(-aborted_wait(release).seconds // 60)
    minutes = wait + 3
    aborts, completes = (rollouts.example(namespace, release.model, phase) for phase in ("Abort", "Completed"))
    total, early = minutes * _PER_MINUTE + 1, max(1, (wait - 1) * _PER_MINUTE)
    stays = [{"name": aborts, "input": f"1x{total}"}]
    ends = [
        {"name": aborts, "input": f"1x{early} stale"},
        {"name": completes, "input": f"_x{early + 1} 1x{total - early - 2}"},
    ]
    found = []
    for says, inputs, firing in (
        ("fires while git does not follow", stays, True),
        ("is silent when git follows in time", ends, False),
        ("is silent on no series", [], False),
    ):
        name = {"alertname": STILL_ABORTED, "alertstate": "firing", labels.SERIES_MODEL: release.model}
        expected = [{"labels": "{}", "value": 1}] if firing else []
        ever = selector("ALERTS", name, Duration.parse(f"{minutes}m"))
        expectations = [{"expr": f"count(count_over_time({ever}))", "samples": expected}]
        found.append(
            {"name": f"{STILL_ABORTED} {says}", "at": f"{minutes}m", "series": inputs, "expectations": expectations}
        )
    return found


def _run(guardrail: Guardrail) -> _Run:
    window = -(-guardrail.window.seconds // 60)
    minutes = _WARM_UP_MINUTES
    if isinstance(guardrail.comparison, Absence):
        minutes += 2 * window + 2  # the window empties, then the alert waits as long again
    elif guardrail.metric is not None and guardrail.metric.crash:
        minutes += window
    return _Run(minutes, window)


def _test(
    release: Release, guardrail: Guardrail, name: str, minutes: int, inputs: list[dict[str, str]],
    expectations: list[dict[str, Any]],
) -> dict[str, Any]:  # fmt: skip
    return {"name": name, "at": f"{minutes}m", "series": inputs, "expectations": expectations}


def _verdict(release: Release, guardrail: Guardrail, value: int | None) -> list[dict[str, Any]]:
    found = series_of(VERDICT, release.watched, guardrail, release.version.number)
    samples = [] if value is None else [{"labels": found, "value": value}]
    return [{"expr": found, "samples": samples}]


def _alert(guardrail: Guardrail, name: str, there: bool, state: str = "firing") -> list[dict[str, Any]]:
    found = {"alertname": name, "alertstate": state, labels.SERIES_GUARDRAIL: guardrail.name}
    samples = [{"labels": "{}", "value": 1}] if there else []
    return [{"expr": f"count({selector('ALERTS', found)})", "samples": samples}]


def _bad(release: Release, guardrail: Guardrail, run: _Run) -> list[dict[str, str]]:
    comparison, served = guardrail.comparison, release.version.number
    match comparison:
        case Bound():
            return _inputs(release, guardrail, run, served, _beyond(comparison.limit, comparison.worse, guardrail))
        case WorseThanStable():
            stable = _stable_value(comparison, guardrail)
            sign = 1 if comparison.worse == "higher" else -1
            limit = stable * (1 + sign * comparison.relative) + sign * comparison.absolute
            worse = _beyond(limit, comparison.worse, guardrail)
            return _inputs(release, guardrail, run, served, worse) + _stable(release, guardrail, run, stable)
        case Absence():
            coming = _inputs(release, guardrail, run, served, Decimal(1))
            return [{**one, "input": _silent(one["input"])} for one in coming]


def _good(release: Release, guardrail: Guardrail, run: _Run) -> list[dict[str, str]]:
    comparison, served = guardrail.comparison, release.version.number
    match comparison:
        case Bound():
            return _inputs(release, guardrail, run, served, _within(comparison.limit, comparison.worse, guardrail))
        case WorseThanStable():
            stable = _stable_value(comparison, guardrail)
            return _inputs(release, guardrail, run, served, stable) + _stable(release, guardrail, run, stable)
        case Absence():
            return _inputs(release, guardrail, run, served, Decimal(1))


def _stable(release: Release, guardrail: Guardrail, run: _Run, value: Decimal) -> list[dict[str, str]]:
    assert release.fallback is not None
    return _inputs(release, guardrail, run, release.fallback.number, value)


def _beyond(limit: Decimal, worse: str, guardrail: Guardrail) -> Decimal:
    """A value on the bad side of the limit."""
    if worse == "lower":
        return limit / 2 if limit > 0 else limit - max(Decimal(1), abs(limit))
    if guardrail.unit == "ratio" and limit < 1:
        return (limit + 1) / 2
    return limit + max(Decimal(1), abs(limit))


def _within(limit: Decimal, worse: str, guardrail: Guardrail) -> Decimal:
    """A value on the good side of the limit."""
    if worse == "higher":
        return limit / 2 if limit > 0 else limit - abs(limit)
    if guardrail.unit == "ratio" and limit <= 1:
        return (limit + 1) / 2
    return limit + max(Decimal(1), abs(limit))


def _stable_value(comparison: WorseThanStable, guardrail: Guardrail) -> Decimal:
    """A value of the stable version that leaves room for a worse one."""
    if guardrail.unit == "ratio":
        return Decimal("0.01") if comparison.worse == "higher" else Decimal(1)
    return 2 * comparison.absolute + Decimal("0.1")


def _inputs(release: Release, guardrail: Guardrail, run: _Run, version: int, value: Decimal) -> list[dict[str, str]]:
    watched = release.watched
    if guardrail.metric is None or isinstance(guardrail.metric.measure, Own):
        recorded = [(VALUE, value), (SAMPLES, Decimal(2 * guardrail.min_samples))]
        if isinstance(guardrail.comparison, Absence):  # there the value follows from the samples
            del recorded[0]
        found = [TestSeries(series_of(name, watched, guardrail, version), level=level) for name, level in recorded]
    else:
        scope = replace(watched.scope, window=guardrail.window)
        step = Decimal(-(-2 * guardrail.min_samples // run.intervals) + 1)
        metric = guardrail.metric
        found = metric.measure.test(metric.source, scope, str(version), value, step, run.intervals)
    return [{"name": one.series, "input": _values(one, run)} for one in found]


def _silent(values: str) -> str:
    """The same for a while; then a counter stands still, as its pods do, and what does not grow is gone."""
    start, _, rest = values.partition("+")
    step, _, times = rest.partition("x")
    grown = Decimal(start) + _WARM_UP_MINUTES * Decimal(step)
    still = f" {number(grown)}x{int(times) - _WARM_UP_MINUTES}" if Decimal(step) else ""
    return f"{start}+{step}x{_WARM_UP_MINUTES}{still}"


def _values(one: TestSeries, run: _Run) -> str:
    total = run.minutes * _PER_MINUTE + 1
    if one.jump is not None:
        risen = max(1, run.intervals // 2)  # the last sample but `risen` is the first that is higher
        return f"{number(one.level)}x{total - 1 - risen} {number(one.jump)}x{risen}"
    if one.until_window:
        fallen = run.intervals + 2
        return f"{number(one.level)}x{total - fallen} 0x{fallen}"
    return f"{number(one.level)}+{number(one.step)}x{total}"
