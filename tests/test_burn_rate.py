"""The error budget: a burst alarms within minutes and is over soon after, a slow leak is found by the long window.

promtool evaluates the rules that the example fleet has, on the requests that a mesh would count.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from judges import promtool

RULES = Path(__file__).parents[1] / "rendered/production/recommender/rules.yaml"
SERIES = (
    'istio_requests_total{reporter="destination",destination_workload_namespace="models",'
    'destination_canonical_service="recommender",destination_canonical_revision="18",response_code="%s"}'
)
A_MINUTE = 6000  # requests


def judged(
    folder: Path, guardrail: str, phases: Sequence[tuple[int, int]], verdicts: dict[str, int], every: str
) -> list[str]:
    """What promtool finds wrong when minutes, each with so many requests that fail, follow one another."""
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    group["rules"] = [rule for rule in group["rules"] if "record" in rule and rule["labels"]["guardrail"] == guardrail]
    group["interval"] = every
    (folder / "rules.yaml").write_text(json.dumps({"groups": [group]}))
    test: dict[str, Any] = {
        "interval": "1m",
        "input_series": [
            {"series": SERIES % "200", "values": _counted([(count, A_MINUTE - bad) for count, bad in phases])},
            {"series": SERIES % "503", "values": _counted(phases)},
        ],
        "promql_expr_test": [
            {
                "expr": f'mrc:guardrail:verdict{{guardrail="{guardrail}",version="18"}}',
                "eval_time": at,
                "exp_samples": [
                    {
                        "labels": 'mrc:guardrail:verdict{environment="production",'
                        f'guardrail="{guardrail}",model="recommender",version="18"}}',
                        "value": verdict,
                    }
                ],
            }
            for at, verdict in verdicts.items()
        ],
    }
    file = folder / "test.yaml"
    file.write_text(json.dumps({"rule_files": ["rules.yaml"], "evaluation_interval": every, "tests": [test]}))
    return promtool.test_rules([file])


def _counted(phases: Sequence[tuple[int, int]]) -> str:
    """A counter in promtool's notation, from 0, that grows by so much in each of so many minutes."""
    parts, reached = ["0"], 0
    for minutes, growth in phases:
        parts.append(f"{reached + growth}+{growth}x{minutes - 1}")
        reached += growth * minutes
    return " ".join(parts)


def test_a_burst_alarms_and_is_over_soon_after_its_end(tmp_path: Path) -> None:
    burst = [(120, 0), (10, A_MINUTE // 5), (120, 0)]
    verdicts = {
        "120m": 0,
        "122m": 0,  # 2 minutes at 20 %: the hour has spent 0.7 %, the limit is 1.44 %
        "126m": 1,
        "130m": 1,
        "132m": 1,
        "136m": 0,  # the last 5 minutes are clean, though the hour still has 3.3 %
        "180m": 0,
    }
    assert judged(tmp_path, "budget-fast", burst, verdicts, "1m") == []


def test_a_slow_leak_is_found_by_the_long_window_alone(tmp_path: Path) -> None:
    # 0.5 %: a fifth more than the day allows at 3 times the budget, and never near 1.44 %.
    leak = [(1500, 0), (1500, A_MINUTE // 200)]
    assert judged(tmp_path, "budget-fast", leak, {"1500m": 0, "3000m": 0}, "30m") == []
    # The day reaches 0.3 % after 864 minutes.
    assert judged(tmp_path, "budget-slow", leak, {"1500m": 0, "2340m": 0, "2400m": 1, "3000m": 1}, "30m") == []
