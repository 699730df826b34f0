"""Triton's own metrics, scraped from the pods.

The PodMonitor gives every series the pod's model and version, so that Triton's labels of these names become
`exported_model` and `exported_version`. Triton counts its HTTP front end's 500s as success, and has no latency
histogram by default: averages come from here, percentiles from the edge.
Source: https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/user_guide/metrics.html
"""

from collections.abc import Mapping
from decimal import Decimal

from mrc.catalogue.metric import FailureRatio, Level, Mean, Metric, PerSecond, Scope, Series, Source
from mrc.promql import Match, one_of


def _select(scope: Scope) -> Mapping[str, Match]:
    return {
        "namespace": scope.namespace,
        "model": scope.model,
        "exported_model": one_of(list(scope.entrypoints)),
    }


TRITON = Source("triton", _select, "version")

_SUCCESS = Series("nv_inference_request_success")
_MICROSECONDS = Decimal("0.000001")

METRICS = (
    Metric(
        "error_ratio",
        TRITON,
        "ratio",
        "higher",
        "share of the inference requests that Triton failed",
        FailureRatio(failure=Series("nv_inference_request_failure"), success=_SUCCESS),
    ),
    Metric(
        "request_rate",
        TRITON,
        "per second",
        None,
        "successful inference requests a second",
        PerSecond(_SUCCESS),
        min_samples=1,
    ),
    Metric(
        "latency_mean",
        TRITON,
        "seconds",
        "higher",
        "mean time of an inference request within Triton",
        Mean(Series("nv_inference_request_duration_us"), _SUCCESS, _MICROSECONDS),
    ),
    Metric(
        "queue_mean",
        TRITON,
        "seconds",
        "higher",
        "mean time that a request waits in Triton's queue",
        Mean(Series("nv_inference_queue_duration_us"), _SUCCESS, _MICROSECONDS),
    ),
    Metric(
        "pending_requests",
        TRITON,
        "count",
        "higher",
        "requests that wait in Triton's queues, over all pods",
        Level(Series("nv_inference_pending_request_count")),
        min_samples=1,
    ),
)
