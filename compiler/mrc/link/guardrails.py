"""Guardrails as they are evaluated: the metric is found, and the limit read in its unit."""

from collections.abc import Iterable
from decimal import Decimal

from mrc import catalogue, expression, promqlrules
from mrc.diagnostics import Diagnostic, error
from mrc.guardrail import BURN_WINDOWS, TIERS, Absence, Bound, Comparison, Guardrail, WorseThanStable, burn_rate
from mrc.link.release import Unwatched
from mrc.metrics import BAD_PROMQL, NO_LABEL
from mrc.read import Document, Path
from mrc.schema import RolloutPolicy
from mrc.schema.guardrail import Guardrail as Written
from mrc.schema.units import Threshold
from mrc.spelling import closest

NO_METRIC = error(
    "MRC204", "a metric that this environment does not have",
    reason="A guardrail on a series that nobody records can never fire.",
    hint="use a metric that the router or the runtime has, declare one in mrc.yaml, or write promql with samples",
)  # fmt: skip
WRONG_UNIT = error(
    "MRC205", "a limit in the wrong unit",
    reason="Prometheus compares bare numbers: 250 where seconds are meant is four minutes, and never fires.",
    hint="write the limit with its unit",
)  # fmt: skip
WRONG_SIDE = error(
    "MRC206", "a limit on the side that cannot be worse",
    reason="A lower bound on what is worse when higher fires on health and is silent on failure.",
    hint="write max where higher is worse, min where lower is",
)  # fmt: skip
NEVER_WORSE = error(
    "MRC209", "a limit that no value can pass",
    reason="A share is between 0 and 1: a bound outside, or on the edge, never fires.",
    hint="choose a limit inside the range",
)  # fmt: skip
NOT_THERE = error(
    "MRC215", "a guardrail for an environment that the policy does not have",
    reason="It watches nowhere under that name, and looks as if it did.",
    hint="name environments of the same policy, or leave environments out",
)  # fmt: skip
ALWAYS_WORSE = error(
    "MRC216", "a limit that every value passes",
    reason="Every version is beyond it, the healthiest too: each rollout would be rolled back.",
    hint="choose a limit that a healthy version keeps",
)  # fmt: skip
RULES = (NO_METRIC, WRONG_UNIT, WRONG_SIDE, NEVER_WORSE, NOT_THERE, ALWAYS_WORSE)


def unlinkable(document: Document, whole: RolloutPolicy) -> list[Diagnostic]:
    """What is wrong with the guardrails of a policy wherever they watch."""
    found: list[Diagnostic] = []
    for name, guardrail in whole.spec.guardrails.items():
        _syntax(document, name, guardrail, found)
        _places(document, name, guardrail, whole, found)
    return found


def link_guardrails(
    document: Document,
    whole: RolloutPolicy,
    environment: str,
    metrics: dict[str, catalogue.Metric],
    where: str,
    found: list[Diagnostic],
) -> tuple[tuple[Guardrail, ...], tuple[Unwatched, ...]]:
    """The guardrails that watch in an environment, and those that do not.

    `metrics` are those that are measured there, and `where` says so in words.
    """
    watching: list[Guardrail] = []
    unwatched: list[Unwatched] = []
    for name, written in sorted(whole.spec.guardrails.items()):
        if written.environments is not None and environment not in written.environments:
            action = written.action or TIERS[written.tier].action
            measured = written.metric is None or written.metric in metrics
            unwatched.append(Unwatched(name, written.metric, written.tier, action, measured))
        elif (guardrail := _guardrail(document, name, written, metrics, where, found)) is not None:
            watching.append(guardrail)
    return tuple(watching), tuple(unwatched)


def _syntax(document: Document, name: str, guardrail: Written, found: list[Diagnostic]) -> None:
    for key, written in (("promql", guardrail.promql), ("samples", guardrail.samples)):
        path = ("spec", "guardrails", name, key)
        if written is None:
            continue
        if (problem := promqlrules.problem(written)) is not None:
            found.append(document.report(BAD_PROMQL, path, f"Prometheus would refuse {key}: {problem}"))
            continue
        if lost := expression.lost(written, "model", "version"):
            message = f"{name}: no series of {key} has the label {' or '.join(lost)}"
            found.append(document.report(NO_LABEL, path, message))


def _places(document: Document, name: str, guardrail: Written, whole: RolloutPolicy, found: list[Diagnostic]) -> None:
    for index, place in enumerate(guardrail.environments or ()):
        if place not in whole.spec.environments:
            close = closest(place, whole.spec.environments)
            meant = f"; did you mean {close}?" if close else ""
            message = f"{name}: the policy has no environment {place}{meant}"
            found.append(document.report(NOT_THERE, ("spec", "guardrails", name, "environments", index), message))


def _guardrail(
    document: Document,
    name: str,
    written: Written,
    metrics: dict[str, catalogue.Metric],
    where: str,
    found: list[Diagnostic],
) -> Guardrail | None:
    path: Path = ("spec", "guardrails", name)
    metric = None
    if written.metric is not None:
        metric = metrics.get(written.metric)
        if metric is None:
            found.append(_no_metric(document, path, written.metric, metrics, where))
            return None
    unit = metric.unit if metric else written.unit or "number"
    comparison = _comparison(document, path, written, unit, metric, found)
    if comparison is None:
        return None
    tier = TIERS[written.tier]
    min_samples = metric.min_samples if metric and metric.min_samples else tier.min_samples
    return Guardrail(
        name=name,
        title=metric.title if metric else "the team's own expression",
        unit=unit,
        tier=written.tier,
        window=written.window or (BURN_WINDOWS[written.burn_rate.factor][0] if written.burn_rate else tier.window),
        min_samples=int(written.min_samples or min_samples),
        action=written.action or tier.action,
        on_missing=written.on_missing,
        comparison=comparison,
        metric=metric,
        promql=written.promql or "",
        samples_promql=written.samples or "",
        everywhere=written.environments is None,
    )


def _no_metric(
    document: Document, path: Path, name: str, metrics: dict[str, catalogue.Metric], where: str
) -> Diagnostic:
    others = catalogue.measured_by(name)
    if others:
        message = f"{name} is not measured in {where}; {', '.join(others)} would"
    else:
        close = closest(name, metrics)
        message = f"neither the catalogue nor mrc.yaml has a metric {name!r}" + (
            f"; did you mean {close}?" if close else ""
        )
    hint = f"measured there: {_listed(metrics)}; or declare one in mrc.yaml, or write promql with samples"
    if others:
        hint += "; where another environment of this policy has the metric, name those in environments: [...]"
    return document.report(NO_METRIC, (*path, "metric"), message, hint)


def _listed(names: Iterable[str]) -> str:
    """The names, and a metric that there is by percentile once: latency_p50 (p90, p95, p99)."""
    found: dict[str, list[str]] = {}
    for name in sorted(names):
        stem, mark, percent = name.rpartition("_p")
        found.setdefault(stem if mark and percent.isdigit() else name, []).append(name)
    also = {first: ", ".join(each.rpartition("_")[2] for each in rest) for first, *rest in found.values()}
    return ", ".join(f"{first} ({rest})" if rest else first for first, rest in also.items())


def _comparison(
    document: Document,
    path: Path,
    written: Written,
    unit: str,
    metric: catalogue.Metric | None,
    found: list[Diagnostic],
) -> Comparison | None:
    if written.absent is not None:
        return Absence()
    if written.worse_than_stable is not None:
        tolerance = written.worse_than_stable
        worse = (metric.worse if metric else written.worse) or "higher"
        absolute: Decimal | None = Decimal(0)
        if tolerance.absolute is not None:
            place = (*path, "worseThanStable", "absolute")
            absolute = _limit(document, place, tolerance.absolute, unit, found)
        if absolute is None:
            return None
        found_worse = WorseThanStable(Decimal(tolerance.relative or 0), absolute, worse)
        return None if _hopeless(document, path, found_worse, unit, found) else found_worse
    if written.burn_rate is not None:
        assert metric is not None
        place = (*path, "burnRate")
        if metric.unit != "ratio" or metric.worse != "higher":
            message = f"{metric.name} is no share of bad requests: it has no error budget"
            found.append(document.report(WRONG_UNIT, place, message, "use a ratio such as error_ratio, or write max"))
            return None
        burn = burn_rate(written.burn_rate.objective, written.burn_rate.factor)
        if burn.limit >= 1:
            message = f"{burn.factor} times the budget of {burn.objective} is more than all requests"
            found.append(document.report(NEVER_WORSE, place, message))
            return None
        return burn
    key, threshold = ("max", written.max) if written.max is not None else ("min", written.min)
    assert threshold is not None
    limit = _limit(document, (*path, key), threshold, unit, found)
    if limit is None:
        return None
    worse = "higher" if key == "max" else "lower"
    if metric is not None and metric.worse not in (None, worse):
        message = f"{key} on {metric.name}, which is worse when {metric.worse}"
        found.append(document.report(WRONG_SIDE, (*path, key), message))
        return None
    if unit == "ratio" and not (0 <= limit < 1 if key == "max" else 0 < limit <= 1):
        message = f"{key}: {threshold} on a share: no value can be {'above' if key == 'max' else 'below'} it"
        percent = not threshold.suffix and 0 < threshold.number <= 100
        hint = f"choose a limit inside the range; {threshold} percent is {threshold}%" if percent else None
        found.append(document.report(NEVER_WORSE, (*path, key), message, hint))
        return None
    if metric is not None and key == "max" and (limit < 0 or (limit == 0 and unit in ("seconds", "bytes"))):
        found.append(document.report(ALWAYS_WORSE, (*path, key), f"max: {threshold}: {metric.name} is always above it"))
        return None
    if metric is not None and key == "min" and limit <= 0 and unit != "number":
        found.append(document.report(NEVER_WORSE, (*path, key), f"min: {threshold}: {metric.name} is never below 0"))
        return None
    return Bound(limit, worse)


def _hopeless(document: Document, path: Path, comparison: WorseThanStable, unit: str, found: list[Diagnostic]) -> bool:
    """Whether no value can be worse than stable by so much, or whether stable itself is."""
    place = (*path, "worseThanStable")
    if comparison.absolute < 0:
        message = "absolute: below zero, a version that is just as good as stable counts as worse"
        found.append(document.report(ALWAYS_WORSE, (*place, "absolute"), message))
    elif unit == "ratio" and comparison.absolute >= 1:
        message = "absolute: no two shares differ by more than 100%"
        found.append(document.report(NEVER_WORSE, (*place, "absolute"), message))
    elif comparison.worse == "lower" and comparison.relative >= 1:
        message = "relative: nothing is lower than stable by more than all of it"
        found.append(document.report(NEVER_WORSE, (*place, "relative"), message))
    else:
        return False
    return True


def _limit(document: Document, path: Path, threshold: Threshold, unit: str, found: list[Diagnostic]) -> Decimal | None:
    try:
        return threshold.in_unit(unit)
    except ValueError as problem:
        found.append(document.report(WRONG_UNIT, path, str(problem)))
        return None
