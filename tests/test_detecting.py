"""What the page on detecting says of its example is what the code computes, and the arithmetic holds for any policy."""

import re
from pathlib import Path

import pytest
import yaml

from conftest import TOP
from mrc import chance, power, timing
from mrc.compile import analyse
from mrc.coverage import Cell, cover, lag
from mrc.link import Release
from mrc.render import render
from mrc.schema.units import Duration
from mrc.tree import MemoryTree, WorkTree

COMMON = TOP / "tests/cases/common"
POLICY = "policies/hello-model/policy.yaml"
PAGE = re.sub(r"\s+", " ", (TOP / "docs/explanation/detecting.md").read_text())


def release(**edits: str) -> Release:
    """hello-model in production, with texts of its policy replaced."""
    files = {path.relative_to(COMMON).as_posix(): path.read_bytes() for path in COMMON.rglob("*") if path.is_file()}
    text = files[POLICY].decode()
    for old, new in edits.items():
        assert old in text
        text = text.replace(old, new)
    files[POLICY] = text.encode()
    compiled = analyse(MemoryTree(files))
    return next(each for each in compiled.fleet.releases if each.environment_name == "production")


@pytest.fixture(scope="module")
def example() -> Release:
    return release()


def cell(found: Release, guardrail: str, kind: str) -> Cell:
    return next(each for each in cover(found) if each.guardrail.name == guardrail and each.stage.kind == kind)


def test_the_page_tells_the_numbers_of_its_example(example: Release) -> None:
    errors, latency = (cell(example, name, "traffic") for name in ("errors", "latency"))
    first = next(one for one in power.decidability(example) if one.cell == errors)
    assert first.smallest is not None
    assert first.tolerated is not None
    assert first.false_alarm is not None
    told = [
        f"= **{Duration(errors.guardrail.window + lag(example))}**",
        f"needs **{Duration(latency.guardrail.window + lag(example))}**",
        f"are **{int(errors.samples or 0):,} requests**",
        f"{chance.enough(20)} for 20, {chance.enough(100)} for 100, {chance.enough(1000):,} for 1,000",
        f"Beyond a limit of 1 % are {chance.beyond(1200, first.limit)} or more of 1,200",
        f"fails **{100 * first.smallest:.2f} %** of its requests",
        f"it would have to fail {100 * (chance.detectable(60, first.limit) or 0):.2f} %",
        f"fails up to **{100 * first.tolerated:.2f} %** passes",
        f"in **{100 * first.false_alarm:.2f} %** of the rollouts",
    ]
    assert [text for text in told if text not in PAGE] == []
    assert chance.false_alarm(60, first.limit, 0.0025, 15) > 0.5, "chance alone"


def test_the_page_tells_the_times_of_its_example(example: Release) -> None:
    ways = {(way.phase, way.guardrail.name): way for way in timing.restore(example)}
    for phase, when in (
        ("rollout", "during the rollout, or in the bake"),
        ("warm", "after the promotion, while the fallback is warm"),
        ("cold", "after the promotion, cold"),
    ):
        way = ways[phase, "latency"]  # type: ignore[index]
        assert f"| {when} | {way.seen} | {way.back} | **{way.restored}** |" in PAGE


def parts(found: Release, phase: str, guardrail: str, **how: bool) -> dict[str, int]:
    """The parts of the way back, in seconds."""
    way = next(way for way in timing.restore(found, **how) if (way.phase, way.guardrail.name) == (phase, guardrail))
    return {name: long.seconds for name, long in (*way.detection, *way.execution)}


def test_pinned_sessions_are_not_back_when_argo_has_aborted() -> None:
    """Until git follows, or, for what is merely worse, until the last cookie has ended."""
    found = release(**{"      bake: 2h": "      sessions: {lifetime: 10m}\n      bake: 2h"})
    assert parts(found, "rollout", "errors")["sync"] == 180
    assert "sessions" not in parts(found, "rollout", "errors")
    assert parts(found, "bake", "latency")["sessions"] == 600
    assert "sessions" not in parts(found, "warm", "errors")
    lasting = release(**{"      bake: 2h": "      sessions: {lifetime: 14m}\n      bake: 2h"})
    latency = next(way for way in timing.restore(lasting) if (way.phase, way.guardrail.name) == ("warm", "latency"))
    assert latency.restored == Duration.parse("14m"), "the last cookie is as old as the promotion"


def test_argo_asks_late_where_missing_data_counts_as_worse() -> None:
    found = release(**{"max: 1%, tier: immediate": "max: 1%, tier: immediate, onMissing: rollback"})
    way = next(way for way in timing.restore(found) if (way.phase, way.guardrail.name) == ("rollout", "errors"))
    assert way.seen == Duration.parse("4m30s"), "the initialDelay of the analysis"
    assert parts(found, "bake", "errors")["analysis"] == 15, "it has begun long before"


def test_a_way_back_to_pods_that_argo_does_not_know_is_a_rollout(example: Release) -> None:
    assert "stages" not in parts(example, "cold", "errors")
    assert parts(example, "cold", "errors", anew=True)["stages"] == 90 * 60, "without the bake: all requests are back"
    ways = timing.restore(example, anew=True)
    assert {way.phase: way.approvals for way in ways}["cold"] == ("hello-leads",)
    assert {way.phase: way.approvals for way in ways}["warm"] == ()


def test_what_is_shown_as_parts_adds_up(example: Release) -> None:
    for way in timing.restore(example):
        assert way.restored == sum(long for _, long in (*way.detection, *way.execution))


def test_argo_does_not_give_up_a_pod_that_still_fetches() -> None:
    """Nor is the version rejected for it, which is what a pod that never becomes ready means."""
    files = {path.relative_to(COMMON).as_posix(): path.read_bytes() for path in COMMON.rglob("*") if path.is_file()}
    version = "policies/hello-model/versions/2.yaml"
    files[version] = re.sub(rb"size: \d+", b"size: 200000000000", files[version], count=1)
    large = next(each for each in analyse(MemoryTree(files)).fleet.releases if each.environment_name == "production")
    rendered = next(each.text for each in render(large) if each.path.endswith("rollout.yaml"))
    deadline = yaml.safe_load(rendered)["spec"]["progressDeadlineSeconds"]
    assert deadline * 1000 > timing.total(timing.cold_start(large, large.version))


def test_a_comparison_says_nothing_once_stable_is_gone(example: Release) -> None:
    assert cell(example, "slower", "traffic").how == "abort"
    for kind in ("bake", "warm"):
        assert cell(example, "slower", kind).how == "nothing"
        assert cell(example, "latency", kind).how == ("abort" if kind == "bake" else "revert")


def test_a_preview_sees_crashes_alone() -> None:
    stages = (COMMON / POLICY).read_text().split("      canary: #")[1].split("      bake: 2h")[0]
    found = release(**{"      canary: #" + stages: "      blueGreen: {preview: {for: 30m}}\n"})
    assert cell(found, "crashes", "preview").how == "abort"
    assert parts(found, "cold", "errors")["preview"] == 30 * 60
    assert cell(found, "errors", "preview").how == "nothing"
    assert cell(found, "errors", "preview").samples == 0


def test_half_the_traffic_is_half_the_samples(example: Release) -> None:
    half = release(**{"expectedTraffic: 200/s": "expectedTraffic: 100/s"})
    for one, other in zip(cover(example), cover(half), strict=True):
        assert one.samples is None or one.samples == 2 * (other.samples or 0)


def test_a_window_reaches_back_into_the_stages_before() -> None:
    """A window of 1h at the end of a stage of 30m holds the stage before it too, at its own share."""
    found = release(**{"latency_p99, max: 250ms": "latency_p99, max: 250ms, window: 1h"})
    cells = [each for each in cover(found) if each.guardrail.name == "latency" and each.stage.kind == "traffic"]
    assert [each.sees for each in cells] == ["part", "part", "part"]
    assert cells[0].samples == 200 * 1800 * 5 / 100
    assert cells[1].samples == 200 * 1800 * 25 / 100


def test_the_example_fleet_is_decidable_and_restorable_in_time() -> None:
    compiled = analyse(WorkTree(Path(TOP)))
    assert [item for item in compiled.diagnostics if item.code.startswith(("MRC34", "MRC35"))] == []
