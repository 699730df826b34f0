"""What Argo Rollouts accepts without a word although it does not do what was meant: never in anything that is rendered.

Each of these passes its schema and, mostly, its linter: https://argo-rollouts.readthedocs.io/en/stable/
"""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import TOP

FOLDERS = sorted(path.parent for root in (TOP / "rendered", TOP / "tests/cases") for path in root.rglob("rollout.yaml"))


def shown(path: Path) -> str:
    return "-".join(path.relative_to(TOP).parts[-5:])


@pytest.fixture(params=FOLDERS, ids=shown)
def folder(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


@cache
def rollout(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.load((folder / "rollout.yaml").read_text(), yaml.CSafeLoader)["spec"]
    return found


@cache
def templates(folder: Path) -> dict[str, dict[str, Any]]:
    file = folder / "analysis.yaml"
    found = yaml.load_all(file.read_text(), yaml.CSafeLoader) if file.exists() else []
    return {each["metadata"]["name"]: each["spec"] for each in found}


def metrics(folder: Path) -> Iterator[dict[str, Any]]:
    for template in templates(folder).values():
        yield from template["metrics"]


def analyses(strategy: dict[str, Any]) -> Iterator[dict[str, Any]]:
    canary, blue_green = strategy.get("canary", {}), strategy.get("blueGreen", {})
    steps = [step.get("analysis") for step in canary.get("steps", ())]
    found = [canary.get("analysis"), *steps, blue_green.get("prePromotionAnalysis"),
             blue_green.get("postPromotionAnalysis")]  # fmt: skip
    yield from (each for each in found if each is not None)


def holds(condition: str, result: list[float]) -> bool:
    """The condition on a result, in Python's words for the same operators."""
    assert re.fullmatch(r"[\w\s()\[\]=<>&|.]+", condition)
    python = condition.replace("&&", " and ").replace("||", " or ")
    return bool(eval(python, {"__builtins__": {}}, {"len": len, "result": result}))


def test_there_is_something_to_look_at() -> None:
    assert len(FOLDERS) > 10


def test_no_metric_succeeds_for_want_of_a_condition(folder: Path) -> None:
    assert [metric["name"] for metric in metrics(folder) if not metric.get("successCondition")] == []
    assert [metric["name"] for metric in metrics(folder) if not metric.get("failureCondition")] == []


def test_no_result_is_both_fine_and_worse_and_none_is_an_error(folder: Path) -> None:
    """`result[0]` of an empty vector is an Error, which aborts a healthy version."""
    for metric in metrics(folder):
        fine, worse = metric["successCondition"], metric["failureCondition"]
        assert holds(fine, [0]), metric
        assert not holds(worse, [0]), metric
        assert holds(worse, [1]), metric
        assert not holds(fine, [1]), metric
        assert not (holds(fine, []) and holds(worse, [])), metric


def test_one_bad_measurement_is_enough_and_doubt_is_bounded(folder: Path) -> None:
    for metric in metrics(folder):
        assert metric["failureLimit"] == 0
        assert metric["inconclusiveLimit"] >= 0
        if "count" in metric:
            # Beyond the count, a limit is never reached: a run that is in doubt throughout would be a success.
            assert metric["inconclusiveLimit"] < metric["count"]


def test_an_analysis_is_given_what_it_asks_for_and_exists(folder: Path) -> None:
    there = templates(folder)
    for analysis in analyses(rollout(folder)["strategy"]):
        given = {argument["name"] for argument in analysis.get("args", ())}
        for reference in analysis["templates"]:
            asked = {argument["name"] for argument in there[reference["templateName"]].get("args", ())}
            assert asked <= given


def test_the_analysis_begins_after_the_first_step_that_brings_requests(folder: Path) -> None:
    canary = rollout(folder)["strategy"].get("canary", {})
    if "analysis" not in canary:
        return
    before = canary["steps"][: canary["analysis"]["startingStep"]]
    assert "setWeight" in before[-1] or "setMirrorRoute" in before[-1]


def test_a_mirror_has_a_match_is_managed_and_is_taken_down(folder: Path) -> None:
    """Without a match the step removes the mirror; one that is left mirrors for ever."""
    canary = rollout(folder)["strategy"].get("canary", {})
    mirrors = [step["setMirrorRoute"] for step in canary.get("steps", ()) if "setMirrorRoute" in step]
    managed = {route["name"] for route in canary.get("trafficRouting", {}).get("managedRoutes", ())}
    up = set()
    for mirror in mirrors:
        assert mirror["name"] in managed
        if "percentage" in mirror:
            assert mirror["match"]
            up.add(mirror["name"])
        else:
            up.discard(mirror["name"])
    assert not up
    assert not mirrors or "istio" in canary["trafficRouting"]


def test_what_is_in_the_rollback_window_is_kept(folder: Path) -> None:
    """A window over ReplicaSets that are gone skips nothing: the way back runs the stages."""
    spec = rollout(folder)
    if "rollbackWindow" in spec:
        assert spec["revisionHistoryLimit"] >= spec["rollbackWindow"]["revisions"] >= 1
    else:
        assert "blueGreen" in spec["strategy"], "a canary would run its stages again"


def test_warm_pods_are_scaled_down_in_the_end_and_not_before(folder: Path) -> None:
    strategy = rollout(folder)["strategy"]
    either = strategy.get("canary") or strategy["blueGreen"]
    if "scaleDownDelaySeconds" in either:
        assert either["scaleDownDelaySeconds"] > 0, "0 never scales down"
        assert either.get("dynamicStableScale", False) is False, "it would scale the stable side down"
        assert "canary" not in strategy or "trafficRouting" in either, "without a router the delay is refused"


def test_aborted_pods_end_soon_unless_sessions_drain(folder: Path) -> None:
    """While they run, Argo points the canary Service to and fro: the mesh or the load balancer is told each time."""
    strategy = rollout(folder)["strategy"]
    pinned = any("Max-Age=" in path.read_text() for path in folder.glob("*.yaml"))
    if "trafficRouting" in strategy.get("canary", {}) and not pinned:
        assert 0 < strategy["canary"]["abortScaleDownDelaySeconds"] <= 30, "0 never scales down"


def test_pods_that_never_become_ready_abort_the_rollout(folder: Path) -> None:
    spec = rollout(folder)
    assert spec["progressDeadlineAbort"] is True
    assert spec["progressDeadlineSeconds"] > spec["minReadySeconds"]


def test_the_pod_carries_nothing_that_changes_by_itself(folder: Path) -> None:
    """A time in the template makes every fallback another pod than the one that runs."""
    template = yaml.safe_dump(rollout(folder)["template"])
    assert not re.search(r"\d{4}-\d\d-\d\dT\d\d:\d\d", template)
