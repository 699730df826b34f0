"""Metrics by name, as data: what is measured, in which unit, which direction is worse, and by whom.

A source knows how its series name a model and a version; a measure knows how a value, a count of samples and
test series come out of counters, histograms or gauges. A metric is one measure of one source.
"""

import re

from mrc.catalogue import istio, kube, tgi, triton, vllm
from mrc.catalogue.metric import Metric, Scope, Source
from mrc.schema.units import Duration

METRICS: tuple[Metric, ...] = (*istio.METRICS, *triton.METRICS, *vllm.METRICS, *tgi.METRICS, *kube.METRICS)

# The edge sees failures that a server never counts (Triton's HTTP front end reports its own 500s as success),
# so a router's metric comes before the runtime's of the same name.
ORDER = ("istio", "triton", "vllm", "tgi", "kube-state-metrics")


def available(router: str, runtime: str) -> dict[str, Metric]:
    """The metrics that an environment and a runtime have, by name."""
    sources = {router, runtime, "kube-state-metrics"}
    ranked = sorted((metric for metric in METRICS if metric.source.name in sources), key=_rank, reverse=True)
    return {metric.name: metric for metric in ranked}


def _rank(metric: Metric) -> int:
    return ORDER.index(metric.source.name)


def measured_by(name: str) -> list[str]:
    """The sources that have a metric of this name."""
    return [metric.source.name for metric in METRICS if metric.name == name]


def reads(metric: Metric) -> list[str]:
    """The raw series that the value and the samples of a metric are made of."""
    scope = Scope("model", "namespace", ("entrypoint",), Duration.parse("5m"))
    measure, source = metric.measure, metric.source
    queries = f"{measure.value(source, scope)}\n{measure.samples(source, scope)}"
    return list(dict.fromkeys(re.findall(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\{", queries)))


__all__ = ["METRICS", "Metric", "Scope", "Source", "available", "measured_by", "reads"]
