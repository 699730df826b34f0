"""The repository's own metrics: what mrc.yaml declares, judged and made into metrics as the catalogue has them."""

from mrc import expression, promqlrules
from mrc.catalogue import METRICS, Metric, measured_by, own
from mrc.diagnostics import Diagnostic, error
from mrc.load import Objects
from mrc.read import Document, Path
from mrc.schema.repository import OwnMetric
from mrc.schema.units import Duration
from mrc.spelling import closest

BAD_PROMQL = error(
    "MRC208", "an expression that is not PromQL",
    reason="Prometheus would refuse the whole rule file, and every guardrail in it.",
    hint="try it in Prometheus; it must yield one value by model and version",
    source="https://prometheus.io/docs/prometheus/latest/querying/basics/",
)  # fmt: skip
TAKEN_METRIC = error(
    "MRC210", "a metric of your own with a name of the catalogue",
    reason="Two metrics of one name: what a guardrail watches would depend on the environment.",
    hint="give it another name; mrc explain METRIC shows the catalogue's",
)  # fmt: skip
BAD_PLACEHOLDER = error(
    "MRC211", "a placeholder that cannot be filled",
    reason="What is not filled is no PromQL, and what were filled anywhere could change the meaning of the rest.",
    hint="write label=$model, label=$namespace, label=$environment and [$window], outside of quotes",
)  # fmt: skip
NOT_BOUND = error(
    "MRC212", "a metric that is not about one model and one window",
    reason="Without $model it judges a version by the series of every model; without $window a guardrail's window "
    "changes nothing, and mrc plans with a time that is not the true one.",
    hint="select with model=$model, and take ranges of [$window]",
)  # fmt: skip
NO_LABEL = error(
    "MRC213", "an expression whose series do not say which version they are of",
    reason="A guardrail is recorded for each version: without the label there is never a verdict, and it never fires.",
    hint="keep the label in by (...) and on (...), or do not drop it in without (...) and ignoring (...)",
    source="https://prometheus.io/docs/prometheus/latest/querying/operators/#aggregation-operators",
)  # fmt: skip
UNKNOWN_DEMAND = error(
    "MRC214", "a demand for a metric that nobody measures",
    reason="No policy can have a guardrail on it: every model of the environment would be refused, for another's typo.",
    hint="name a metric of the catalogue, or one that mrc.yaml declares",
)  # fmt: skip
RULES = (BAD_PROMQL, TAKEN_METRIC, BAD_PLACEHOLDER, NOT_BOUND, NO_LABEL, UNKNOWN_DEMAND)

# What stands for the real values while an expression is judged.
_VALUES = dict.fromkeys(expression.LABELS, "x")
_WINDOW = Duration.parse("5m")


def declared(objects: Objects, found: list[Diagnostic]) -> dict[str, Metric]:
    """The metrics of mrc.yaml by name, those with a mistake too, so that a guardrail on one is not a second mistake."""
    if objects.repository is None:
        return {}
    document, repository = objects.repository
    _demands(objects, set(repository.spec.metrics), found)
    for name, written in repository.spec.metrics.items():
        path: Path = ("spec", "metrics", name)
        if sources := measured_by(name):
            message = f"the catalogue has {name}, measured by {', '.join(sources)}"
            found.append(document.report(TAKEN_METRIC, path, message, at_key=True))
        for key, text in (("value", written.value), ("samples", written.samples)):
            problem = _problem(document, (*path, key), name, text)
            if problem is not None:
                found.append(problem)
    return {name: own.metric(name, written) for name, written in repository.spec.metrics.items() if usable(written)}


def _demands(objects: Objects, own_names: set[str], found: list[Diagnostic]) -> None:
    known = {metric.name for metric in METRICS} | own_names
    for document, environment in objects.environments.values():
        for index, name in enumerate(environment.spec.limits.guardrails):
            if name not in known:
                close = closest(name, sorted(known))
                message = f"neither the catalogue nor mrc.yaml has a metric {name!r}"
                message += f"; did you mean {close}?" if close else ""
                found.append(document.report(UNKNOWN_DEMAND, ("spec", "limits", "guardrails", index), message))


def usable(written: OwnMetric) -> bool:
    """Whether both expressions can be filled."""
    try:
        for text in (written.value, written.samples):
            expression.fill(text, _VALUES, _WINDOW)
    except ValueError:
        return False
    return True


def _problem(document: Document, path: Path, name: str, text: str) -> Diagnostic | None:
    try:
        filled = expression.fill(text, _VALUES, _WINDOW)
    except ValueError as problem:
        return document.report(BAD_PLACEHOLDER, path, f"{name}: {problem}")
    if (reason := promqlrules.problem(filled)) is not None:
        return document.report(BAD_PROMQL, path, f"Prometheus would refuse {path[-1]}: {reason}")
    missing = [f"${each}" for each in ("model", "window") if each not in expression.names(text)]
    if missing:
        stand = "stands" if len(missing) == 1 else "stand"
        return document.report(NOT_BOUND, path, f"{name}: {' and '.join(missing)} {stand} nowhere in {path[-1]}")
    if expression.lost(filled, "version"):
        return document.report(NO_LABEL, path, f"{name}: no series of {path[-1]} has the label version")
    return None
