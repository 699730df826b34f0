"""vLLM's own metrics, scraped from the pods.

The PodMonitor gives every series the pod's model and version. `vllm:request_success_total` counts every request that
ended, failed and aborted ones too: only `finished_reason` tells them apart. What the HTTP front end refuses is not in
it; the edge sees that.
Source: https://docs.vllm.ai/en/latest/usage/metrics/
"""

from collections.abc import Mapping
from decimal import Decimal

from mrc.catalogue.metric import Level, Metric, PerSecond, Quantile, Ratio, Scope, Series, Source
from mrc.promql import Match


def _select(scope: Scope) -> Mapping[str, Match]:
    return {"namespace": scope.namespace, "model": scope.model}


VLLM = Source("vllm", _select, "version")

_ENDED = Series("vllm:request_success_total")
_ANSWERED = Series("vllm:request_success_total", {"finished_reason": "stop"})


def _ended_by(name: str, reason: str, title: str) -> Metric:
    bad = Series("vllm:request_success_total", {"finished_reason": reason})
    return Metric(name, VLLM, "ratio", "higher", title, Ratio(bad=bad, total=_ENDED, good=_ANSWERED))


def _percentiles(name: str, histogram: str, what: str) -> list[Metric]:
    return [
        Metric(
            f"{name}_p{percent}",
            VLLM,
            "seconds",
            "higher",
            f"time within which {percent} % of {what}",
            Quantile(Decimal(percent).scaleb(-2), histogram, Decimal(1)),
        )
        for percent in (50, 90, 95, 99)
    ]


METRICS = (
    _ended_by("error_ratio", "error", "share of the requests that vLLM failed"),
    _ended_by("abort_ratio", "abort", "share of the requests that were given up before their answer was whole"),
    _ended_by("truncated_ratio", "length", "share of the answers that were cut at the longest allowed"),
    Metric("request_rate", VLLM, "per second", None, "requests a second", PerSecond(_ENDED), min_samples=1),
    *_percentiles("latency", "vllm:e2e_request_latency_seconds", "the requests were answered whole"),
    *_percentiles("time_to_first_token", "vllm:time_to_first_token_seconds", "the requests got their first token"),
    *_percentiles("inter_token_latency", "vllm:inter_token_latency_seconds", "the tokens followed the one before"),
    *_percentiles("queue", "vllm:request_queue_time_seconds", "the requests left the queue"),
    Metric(
        "pending_requests",
        VLLM,
        "count",
        "higher",
        "requests that wait in vLLM's queues, over all pods",
        Level(Series("vllm:num_requests_waiting")),
        min_samples=1,
    ),
    Metric(
        "running_requests",
        VLLM,
        "count",
        "higher",
        "requests that are being answered, over all pods",
        Level(Series("vllm:num_requests_running")),
        min_samples=1,
    ),
    Metric(
        "kv_cache_usage",
        VLLM,
        "ratio",
        "higher",
        "share of the KV cache that is in use, in the fullest pod",
        Level(Series("vllm:kv_cache_usage_perc"), "max"),
        min_samples=1,
    ),
)
