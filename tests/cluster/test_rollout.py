"""A version that fails, with real components: what Argo, Prometheus and git do, and what is left to a person."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from world.story import Story

Tell = Callable[..., Story]
CANARY = "canary: [{traffic: 20%, for: 15s}]"


def return_without_steps(story: Story, *, to: int) -> None:
    """A person serves the old version again; Argo must neither run steps nor analyse what it knows."""
    runs, kept = story.analysis_runs(), story.replica_sets()[to]["metadata"]["uid"]
    story.repository.promote(to)
    story.until(f"the Rollout is healthy on version {to}", lambda: story.healthy(to) and story.serves(to))
    rollout = story.rollout()
    if steps := rollout["spec"]["strategy"].get("canary", {}).get("steps"):
        assert rollout["status"]["currentStepIndex"] == len(steps)
    assert story.analysis_runs() == runs, "it was analysed again"
    assert story.replica_sets()[to]["metadata"]["uid"] == kept, "it is another ReplicaSet"


def test_a_bad_version_is_aborted_in_its_first_stage(tell: Tell) -> None:
    story = tell("canary: [{traffic: 20%, for: 60s}]")
    before = story.pods(1)

    story.repository.promote(2)
    story.until("Argo took the first step", lambda: story.weights() == {"greeter-stable": 80, "greeter-canary": 20})
    story.until("users meet version 2", lambda: 2 in story.mesh.shares)
    assert story.stage() == "20 %"
    story.mesh.behaviour(2).errors = 0.5

    verdict = 'mrc:guardrail:verdict{guardrail="errors",version="2"} == 1'
    story.until("Prometheus says that it is worse", lambda: story.monitoring.prometheus.query(verdict))
    story.until("Argo aborted", story.aborted)
    story.until("version 1 has all traffic", lambda: story.serves(1))
    assert story.weights() == {"greeter-stable": 100, "greeter-canary": 0}
    assert "Failed" in story.analysis_runs().values()
    assert story.status()["phase"] == "Degraded"
    assert story.stage() == "aborted"

    return_without_steps(story, to=1)
    assert story.pods(1) == before, "version 1 was started anew"
    assert story.stage() == "promoted"


def test_a_preview_that_fails_its_tests_never_meets_a_user(tell: Tell) -> None:
    story = tell("blueGreen: {preview: {for: 60s}}")
    story.mesh.tests = 20

    story.repository.promote(2)
    story.until("Argo previews version 2", lambda: story.pods(2) and story.status())
    assert story.stage() == "preview"
    story.mesh.behaviour(2).errors = 0.5
    story.until("Argo aborted", story.aborted)
    assert story.serves(1)
    return_without_steps(story, to=1)


def test_a_shadow_that_answers_with_errors_never_meets_a_user(tell: Tell) -> None:
    story = tell("shadow: {traffic: 50%, for: 60s}\n      " + CANARY)

    story.repository.promote(2)
    story.until("Argo shadows version 2", lambda: story.pods(2) and story.status().get("currentStepIndex") == 2)
    assert story.stage() == "shadow of 50 %"
    story.mesh.behaviour(2).errors = 0.5
    story.until("Argo aborted", story.aborted)
    assert story.serves(1)
    return_without_steps(story, to=1)


def test_the_pods_of_a_shadow_answer_the_first_users(tell: Tell) -> None:
    """Pods that are ended and started anew would fetch and load everything again, for nothing."""
    story = tell("shadow: {traffic: 50%, for: 20s}\n      canary: [{traffic: 60%, for: 15s}]")

    story.repository.promote(2)
    story.until("Argo shadows version 2", lambda: story.pods(2) and story.status().get("currentStepIndex") == 2)
    shadowing = story.pods(2)
    story.until("users meet version 2", lambda: 2 in story.mesh.shares)
    assert len(shadowing) == 1
    assert len(story.pods(2)) == 2, "as many as the share needs"
    assert shadowing < story.pods(2)


@pytest.mark.parametrize("stage", ["traffic", "bake"])
def test_telemetry_that_is_gone_stops_the_rollout_and_aborts_nothing(tell: Tell, stage: str) -> None:
    """Argo ends a timed pause on time although its analysis is inconclusive: nobody would watch the rest."""
    story = tell("canary: [{traffic: 50%, for: 25s}]", bake="25s")

    story.repository.promote(2)
    met = {1, 2} if stage == "traffic" else {2}
    story.until(f"version 2 is in the stage {stage}", lambda: set(story.mesh.shares) == met)
    story.mesh.silent = True
    story.until("the analysis is inconclusive", lambda: "Inconclusive" in story.analysis_runs().values())
    story.until("Argo paused", lambda: story.status().get("phase") == "Paused")
    time.sleep(30)  # longer than the stage
    assert set(story.mesh.shares) == met, "more users meet a version that nobody watches"
    assert not story.healthy(2), "promoted unwatched"
    assert not story.aborted(), "broken telemetry is not a bad model"
    assert story.stage() == f"{'50 %' if stage == 'traffic' else 'bake'}, paused: its analysis is inconclusive"
