"""What kube-state-metrics tells of the pods: crashes, memory, readiness.

kube-state-metrics shows pod labels only when it is told to:
`--metric-labels-allowlist=pods=[mrc.dev/model,mrc.dev/version]`.
Source: https://github.com/kubernetes/kube-state-metrics/tree/main/docs/metrics/workload
"""

from collections.abc import Mapping
from decimal import Decimal

from mrc import labels
from mrc.catalogue.metric import Measure, Metric, Scope, Series, Source, TestSeries
from mrc.promql import Match, selector, series
from mrc.records import dataclass, replace
from mrc.schema.units import Duration

_POD = "pod-of-version-"


def _select(scope: Scope) -> Mapping[str, Match]:
    return {"namespace": scope.namespace}


def _pods(scope: Scope) -> str:
    found = selector("kube_pod_labels", {"namespace": scope.namespace, labels.KSM_MODEL: scope.model})
    # max: two kube-state-metrics side by side must not make the join ambiguous.
    return f"max by (namespace, pod, {labels.KSM_VERSION}) ({found})"


def _pod_series(scope: Scope, version: str) -> list[str]:
    return [
        series(
            "kube_pod_labels",
            {
                "namespace": scope.namespace,
                "pod": _POD + version,
                labels.KSM_MODEL: scope.model,
                labels.KSM_VERSION: version,
            },
        )
    ]


KUBE = Source("kube-state-metrics", _select, labels.KSM_VERSION, _pods, _pod_series)

_RESTARTS = Series("kube_pod_container_status_restarts_total")
_OUT_OF_MEMORY = Series("kube_pod_container_status_last_terminated_reason", {"reason": "OOMKilled"})
_READY = Series("kube_pod_status_ready", {"condition": "true"})
_BEFORE = Duration.parse("1h")


def _example(one: Series, scope: Scope, version: str, **also: str) -> str:
    return series(one.metric, {**_select(scope), "pod": _POD + version, **also, **one.labels})


class _Pods(Measure):
    """Samples are pods."""

    counts = "pods"

    def samples(self, source: Source, scope: Scope) -> str:
        return source.by_version("count", _READY.instant(source, scope), scope)

    @staticmethod
    def _ready(scope: Scope, version: str) -> list[TestSeries]:
        return [
            TestSeries(_example(_READY, scope, version), level=Decimal(1)),
            *(TestSeries(one, level=Decimal(1)) for one in _pod_series(scope, version)),
        ]


@dataclass(frozen=True)
class Restarts(_Pods):
    """Container restarts within the window, over all pods; with `reason`, only those that ended by it."""

    reason: Series | None = None

    def value(self, source: Source, scope: Scope) -> str:
        # `increase` would stretch two restarts to more than two, to make up for the edges of the window.
        restarts = _RESTARTS.select(source, scope)
        inside = f"(max_over_time({restarts}) - min_over_time({restarts}))"
        # Two kube-state-metrics tell of the same containers; those of a pod are added up before the join.
        if self.reason is not None:
            ended = f"({self.reason.instant(source, scope)} == 1)"
            inside = f"({inside}\n and on (namespace, pod, container) {ended})"
        inside = f"max by (namespace, pod, container) {inside}"
        summed = source.by_version("sum", f"sum by (namespace, pod) ({inside})", scope)
        if self.reason is None:
            return summed
        # No container ever ended that way: no series, which is a zero as long as the pods are there.
        return f"{summed}\nor 0 * {self.samples(source, scope)}"

    def test(
        self, source: Source, scope: Scope, version: str, value: Decimal, step: Decimal, intervals: int
    ) -> list[TestSeries]:
        restarts = TestSeries(_example(_RESTARTS, scope, version, container="server"), jump=value)
        ended = []
        if self.reason is not None:
            ended = [TestSeries(_example(self.reason, scope, version, container="server"), level=Decimal(1))]
        return [restarts, *ended, *self._ready(scope, version)]


@dataclass(frozen=True)
class LostReadiness(_Pods):
    """Share of the pods that were ready within the hour before the window and were not ready at all during it.

    A pod that is still loading its model was never ready and does not count: the progress deadline is for those.
    """

    def value(self, source: Source, scope: Scope) -> str:
        now = f"max_over_time({_READY.select(source, scope)})"
        before = f"max_over_time({_READY.select(source, scope, _BEFORE)} offset {scope.window})"
        lost = f"(({now} == bool 0)\n and on (namespace, pod) ({before} == 1))"
        return source.by_version("avg", lost, scope)

    def test(
        self, source: Source, scope: Scope, version: str, value: Decimal, step: Decimal, intervals: int
    ) -> list[TestSeries]:
        # A whole pod is lost or none: with one pod the share is 1 or 0.
        ready, *pods = self._ready(scope, version)
        return [replace(ready, until_window=value >= Decimal("0.5")), *pods]


METRICS = (
    Metric(
        "restarts",
        KUBE,
        "count",
        "higher",
        "container restarts within the window, over all pods",
        Restarts(),
        min_samples=1,
        crash=True,
    ),
    Metric(
        "out_of_memory",
        KUBE,
        "count",
        "higher",
        "containers killed for want of memory within the window, over all pods",
        Restarts(_OUT_OF_MEMORY),
        min_samples=1,
        crash=True,
    ),
    Metric(
        "not_ready",
        KUBE,
        "ratio",
        "higher",
        "share of the pods that were ready and are not any more",
        LostReadiness(),
        min_samples=1,
        crash=True,
    ),
)
