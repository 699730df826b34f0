"""A version that fails, with real components: what Argo, Prometheus and git do, and what is left to a person."""

from __future__ import annotations

from collections.abc import Callable

from world.story import Story


def test_a_bad_version_is_aborted_and_a_commit_brings_the_old_one_back(tell: Callable[..., Story]) -> None:
    story = tell()
    before = story.replica_sets()[1]["metadata"]["uid"]

    story.repository.promote(2)
    story.until("Argo took the first step", lambda: story.weights() == {"greeter-stable": 80, "greeter-canary": 20})
    story.until("users meet version 2", lambda: 2 in story.mesh.shares)
    story.mesh.behaviour(2).errors = 0.5

    verdict = 'mrc:guardrail:verdict{guardrail="errors",version="2"} == 1'
    story.until("Prometheus says that it is worse", lambda: story.monitoring.prometheus.query(verdict))
    story.until("Argo aborted", story.aborted)
    story.until("version 1 has all traffic", lambda: story.serves(1))
    assert story.weights() == {"greeter-stable": 100, "greeter-canary": 0}
    (run,) = story.analysis_runs().values()
    assert run == "Failed"
    assert story.status()["phase"] == "Degraded"

    runs = story.analysis_runs()
    story.repository.promote(1)
    story.until("the Rollout is healthy on version 1", lambda: story.healthy(1))
    status = story.status()
    assert status["currentStepIndex"] == len(story.rollout()["spec"]["strategy"]["canary"]["steps"])
    assert story.analysis_runs() == runs, "the steps ran again"
    assert story.replica_sets()[1]["metadata"]["uid"] == before, "version 1 was started anew"
    assert story.serves(1)
