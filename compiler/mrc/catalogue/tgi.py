"""Text Generation Inference's own metrics, scraped from the pods.

They name neither model nor version: the PodMonitor gives every series the pod's.
Source: https://huggingface.co/docs/text-generation-inference/reference/metrics
"""

from collections.abc import Mapping
from decimal import Decimal

from mrc.catalogue.metric import FailureRatio, Level, Metric, PerSecond, Quantile, Scope, Series, Source
from mrc.promql import Match


def _select(scope: Scope) -> Mapping[str, Match]:
    return {"namespace": scope.namespace, "model": scope.model}


TGI = Source("tgi", _select, "version")

_SUCCESS = Series("tgi_request_success")


def _percentiles(name: str, histogram: str, what: str) -> list[Metric]:
    return [
        Metric(
            f"{name}_p{percent}",
            TGI,
            "seconds",
            "higher",
            f"time within which {percent} % of {what}",
            Quantile(Decimal(percent).scaleb(-2), histogram, Decimal(1)),
        )
        for percent in (50, 90, 95, 99)
    ]


METRICS = (
    Metric(
        "error_ratio",
        TGI,
        "ratio",
        "higher",
        "share of the requests that TGI failed",
        FailureRatio(failure=Series("tgi_request_failure"), success=_SUCCESS),
    ),
    Metric("request_rate", TGI, "per second", None, "answered requests a second", PerSecond(_SUCCESS), min_samples=1),
    *_percentiles("latency", "tgi_request_duration", "the requests were answered whole"),
    *_percentiles("queue", "tgi_request_queue_duration", "the requests left the queue"),
    *_percentiles("time_per_token", "tgi_request_mean_time_per_token_duration", "the requests got each token"),
    Metric(
        "pending_requests",
        TGI,
        "count",
        "higher",
        "requests that wait in TGI's queues, over all pods",
        Level(Series("tgi_queue_size")),
        min_samples=1,
    ),
    Metric(
        "running_requests",
        TGI,
        "count",
        "higher",
        "requests in the current batches, over all pods",
        Level(Series("tgi_batch_current_size")),
        min_samples=1,
    ),
)
