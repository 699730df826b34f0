"""What servers count when they fail, and what the rules make of it: promtool evaluates the queries of the catalogue.

Were a query wrong here, a version that fails every request would be undecided, or a healthy one accused.
"""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from conftest import TOP
from judges import promtool
from mrc import catalogue, labels
from mrc.catalogue import Scope
from mrc.compile import analyse
from mrc.guardrail import Absence, Bound, Comparison, Guardrail, Watched, recorded, series_of
from mrc.render import render
from mrc.schema.units import Duration
from mrc.tree import MemoryTree

SCOPE = Scope("m", "models", ("m",), Duration.parse("2m"), "staging")
WATCHED = Watched(SCOPE, "staging", 42, 41)


def guardrail(source: str, name: str, comparison: Comparison, window: str) -> Guardrail:
    metric = next(each for each in catalogue.METRICS if (each.source.name, each.name) == (source, name))
    return Guardrail(
        "g", metric.title, metric.unit, "immediate", Duration.parse(window), metric.min_samples or 20, "rollback",
        "pause", comparison, metric, "", "",
    )  # fmt: skip


def judged(
    folder: Path, watched: Guardrail, inputs: dict[str, str], verdicts: dict[str, int | None], every: str = "15s"
) -> list[str]:
    """What promtool finds wrong when these series are scraped every 15 seconds, and evaluated."""
    four = recorded(watched, WATCHED)
    names = ("mrc:guardrail:samples", "mrc:guardrail:value", "mrc:guardrail:limit", "mrc:guardrail:verdict")
    expressions = (four.samples, four.value, four.limit, four.verdict)
    identity = {labels.SERIES_ENVIRONMENT: "staging", labels.SERIES_GUARDRAIL: "g", labels.SERIES_MODEL: "m"}
    rules = [{"record": name, "expr": expr, "labels": identity} for name, expr in zip(names, expressions, strict=True)]
    group = {"name": "g", "interval": every, "rules": rules}
    (folder / "rules.yaml").write_text(json.dumps({"groups": [group]}))
    verdict = series_of("mrc:guardrail:verdict", WATCHED, watched, 42)
    test: dict[str, Any] = {
        "interval": "15s",
        "input_series": [{"series": series, "values": values} for series, values in inputs.items()],
        "promql_expr_test": [
            {
                "expr": verdict,
                "eval_time": at,
                "exp_samples": [] if value is None else [{"labels": verdict, "value": value}],
            }
            for at, value in verdicts.items()
        ],
    }
    file = folder / "test.yaml"
    file.write_text(json.dumps({"rule_files": ["rules.yaml"], "evaluation_interval": every, "tests": [test]}))
    return promtool.test_rules([file])


def test_a_server_that_only_fails_is_worse_from_the_start(tmp_path: Path) -> None:
    """A TGI that has never answered has no series of successes at all."""
    failing = {'tgi_request_failure{namespace="models",model="m",version="42",err="generation"}': "10+10x60"}
    errors = guardrail("tgi", "error_ratio", Bound(Decimal("0.01"), "higher"), "2m")
    assert judged(tmp_path, errors, failing, {"5m": 1}) == []


def test_a_server_that_never_failed_is_fine(tmp_path: Path) -> None:
    answering = {'tgi_request_success{namespace="models",model="m",version="42"}': "10+10x60"}
    errors = guardrail("tgi", "error_ratio", Bound(Decimal("0.01"), "higher"), "2m")
    assert judged(tmp_path, errors, answering, {"5m": 0}) == []


POD = 'namespace="models",pod="m-1"'
OF_VERSION = f'kube_pod_labels{{{POD},label_mrc_dev_model="m",label_mrc_dev_version="42"}}'


@pytest.mark.parametrize(("restarts", "verdict"), [(2, 0), (3, 1)])
@pytest.mark.parametrize("window", ["1m", "2m", "5m"])
def test_as_many_restarts_as_allowed_are_not_more(restarts: int, verdict: int, window: str, tmp_path: Path) -> None:
    """`increase` makes 2.3 of two restarts in two minutes, which is above two."""
    rising = " ".join(["0x39", *(f"{number}" for number in range(1, restarts + 1)), f"{restarts}x20"])
    inputs = {
        f'kube_pod_container_status_restarts_total{{{POD},container="server"}}': rising,
        f'kube_pod_status_ready{{{POD},condition="true"}}': "1x70",
        OF_VERSION: "1x70",
    }
    crashes = guardrail("kube-state-metrics", "restarts", Bound(Decimal(2), "higher"), window)
    assert judged(tmp_path, crashes, inputs, {"10m37s": verdict}, every="7s") == []


def test_two_kube_state_metrics_do_not_make_two_restarts_of_one(tmp_path: Path) -> None:
    rising = "0x39 1 2x20"
    inputs = {
        **{
            f'kube_pod_container_status_restarts_total{{{POD},container="server",instance="{one}"}}': rising
            for one in ("ksm-0", "ksm-1")
        },
        f'kube_pod_status_ready{{{POD},condition="true",instance="ksm-0"}}': "1x70",
        OF_VERSION: "1x70",
    }
    crashes = guardrail("kube-state-metrics", "restarts", Bound(Decimal(2), "higher"), "2m")
    assert judged(tmp_path, crashes, inputs, {"10m30s": 0}) == []


@pytest.mark.parametrize("window", ["30s", "1m", "90s", "5m"])
def test_the_test_of_restarts_holds_for_every_window(window: str, tmp_path: Path) -> None:
    """Of a short one, what is fed must lie within it."""
    common = TOP / "tests/cases/common"
    files = {path.relative_to(common).as_posix(): path.read_bytes() for path in common.rglob("*") if path.is_file()}
    policy = "policies/hello-model/policy.yaml"
    files[policy] = files[policy].replace(b"restarts, max: 2", f"restarts, max: 2, window: {window}".encode())
    release = analyse(MemoryTree(files)).fleet.releases[0]
    for artifact in render(release):
        (tmp_path / artifact.path.rpartition("/")[2]).write_text(artifact.text)
    assert promtool.test_rules([tmp_path / "rules.test.yaml"]) == []


@pytest.mark.parametrize(
    ("source", "series"),
    [
        ("istio", 'istio_requests_total{reporter="destination",destination_workload_namespace="models",'
                  'destination_canonical_service="m",destination_canonical_revision="42",response_code="200"}'),
        ("triton", 'nv_inference_request_success{namespace="models",model="m",exported_model="m",version="42"}'),
        ("vllm", 'vllm:request_success_total{namespace="models",model="m",version="42",finished_reason="stop"}'),
    ],
)  # fmt: skip
def test_a_version_that_nobody_asks_any_more_has_fallen_silent(source: str, series: str, tmp_path: Path) -> None:
    """Its pods run and are scraped: the counter is there, and stands still."""
    silent = guardrail(source, "request_rate", Absence(), "2m")
    inputs = {series: "0+50x40 2000x60"}
    assert judged(tmp_path, silent, inputs, {"9m": 0, "13m": 1, "20m": 1}) == []
