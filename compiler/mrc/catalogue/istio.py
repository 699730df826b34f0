"""Istio's standard metrics, as the sidecar of the serving pod reports them.

Source: https://istio.io/latest/docs/reference/config/metrics/. The pods carry Istio's canonical name and revision,
so that `destination_canonical_revision` is the model's version.
"""

from collections.abc import Mapping
from decimal import Decimal

from mrc.catalogue.metric import Metric, PerSecond, Quantile, Ratio, Scope, Series, Source
from mrc.promql import Match, Regex


def _select(scope: Scope) -> Mapping[str, Match]:
    return {
        "reporter": "destination",
        "destination_workload_namespace": scope.namespace,
        "destination_canonical_service": scope.model,
    }


ISTIO = Source("istio", _select, "destination_canonical_revision")

_ALL = Series("istio_requests_total")
_MILLISECONDS = Decimal("0.001")

# Codes by which the server failed: unknown, deadline, unimplemented, internal, unavailable, data loss.
_GRPC_FAILED = Regex("2|4|12|13|14|15", "13")


def _latency(percent: int) -> Metric:
    return Metric(
        f"latency_p{percent}",
        ISTIO,
        "seconds",
        "higher",
        f"time within which {percent} % of the requests were answered",
        Quantile(Decimal(percent).scaleb(-2), "istio_request_duration_milliseconds", _MILLISECONDS),
    )


METRICS = (
    Metric(
        "error_ratio",
        ISTIO,
        "ratio",
        "higher",
        "share of the requests answered with HTTP 5xx",
        Ratio(
            bad=Series("istio_requests_total", {"response_code": Regex("5..", "503")}),
            total=_ALL,
            good=Series("istio_requests_total", {"response_code": "200"}),
        ),
    ),
    Metric(
        "grpc_error_ratio",
        ISTIO,
        "ratio",
        "higher",
        "share of the gRPC calls that the server failed",
        Ratio(
            bad=Series("istio_requests_total", {"request_protocol": "grpc", "grpc_response_status": _GRPC_FAILED}),
            total=Series("istio_requests_total", {"request_protocol": "grpc"}),
            good=Series("istio_requests_total", {"request_protocol": "grpc", "grpc_response_status": "0"}),
        ),
    ),
    _latency(50),
    _latency(90),
    _latency(95),
    _latency(99),
    Metric("request_rate", ISTIO, "per second", None, "requests a second", PerSecond(_ALL), min_samples=1),
)
