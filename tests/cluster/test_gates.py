"""A version fails, and it may not be the version: what is left to people, and what git follows in any case."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from world import reconciler
from world.acts import fail_in_the_first_stage, paged, reconciling, went_back
from world.reconciler import Ledger
from world.story import Story

Tell = Callable[..., Story]
QUICK = "canary: [{traffic: 50%, for: 10s}]"
MODELS = ("sick-nodes", "bad-target", "just-back", "too-many")


@pytest.fixture
def all_told(tell: Tell) -> Iterator[list[tuple[Story, Ledger]]]:
    """Four models of one environment, and when all of them fail, it is not the models."""
    settings = ', mass: 100%, breaker: 5, healthy: {nodes: "min(nodes_ready)"}'
    first = tell(dict.fromkeys(MODELS, QUICK), bake="10s", reconcile=settings)
    with reconciling(first):
        yield [(story, reconciler.of(story.repository, story.model)) for story in (first, *first.others.values())]


def promoted(story: Story, version: int) -> bool:
    """Whether nothing is left to do for Argo."""
    return story.healthy(version) and story.serves(version)


def test_after_the_promotion_people_decide(all_told: list[tuple[Story, Ledger]]) -> None:
    (nodes, _), (target, _), (back, _), (crowd, _) = all_told
    ledgers = {story.model: ledger for story, ledger in all_told}
    fail_in_the_first_stage(back, 2)
    went_back(back, ledgers[back.model], to=1)
    served = {"sick-nodes": 2, "bad-target": 2, "just-back": 3, "too-many": 2}
    nodes.repository.promote_all(served)
    for story, _ in all_told:
        story.until(f"{story.model} is promoted", partial(promoted, story, served[story.model]))

    # The environment is not healthy.
    nodes.mesh.nodes = 0
    nodes.mesh.behaviour(2).errors = 0.5
    assert paged(nodes, ledgers[nodes.model], serving=2) == ["environment"]
    nodes.mesh.nodes, nodes.mesh.behaviour(2).errors = 1, 0

    # The version that would serve instead fails in the same way.
    for version in (1, 2):
        target.mesh.behaviour(version).crashing = 2
    assert paged(target, ledgers[target.model], serving=2) == ["both"]

    # The last rollback was a moment ago.
    back.mesh.behaviour(3).errors = 0.5
    assert paged(back, ledgers[back.model], serving=3) == ["cooldown"]

    # That all models fail is not the models' fault. All of them are held.
    crowd.mesh.behaviour(2).errors = 0.5
    assert paged(crowd, ledgers[crowd.model], serving=2) == ["mass"]
    (hold,) = ledgers[crowd.model].files("holds/test").values()
    assert {name: int(serve["version"]) for name, serve in hold["spec"]["models"].items()} == served
    assert [len(ledgers[name].rollbacks()) for name in MODELS] == [0, 0, 1, 0]


def test_during_the_rollout_git_follows_and_what_may_not_be_the_version_is_not_rejected(
    all_told: list[tuple[Story, Ledger]],
) -> None:
    (nodes, _), (target, _), (back, _), (crowd, _) = all_told
    ledgers = {story.model: ledger for story, ledger in all_told}

    # The environment is not healthy.
    nodes.mesh.nodes = 0
    fail_in_the_first_stage(nodes, 2)
    went_back(nodes, ledgers[nodes.model], to=1)
    nodes.mesh.nodes = 1

    # The version that serves beside it fails in the same way.
    target.mesh.behaviour(1).errors = 0.5
    worse = 'mrc:guardrail:verdict{guardrail="errors",model="bad-target",version="1"} == 1'
    target.until("version 1 is worse", lambda: target.monitoring.prometheus.query(worse))
    target.mesh.behaviour(2).errors = 0.5
    target.repository.promote(2, target.model)
    target.until("mrc pushed the way back", lambda: ledgers[target.model].rollbacks())
    target.mesh.behaviour(1).errors = 0
    target.until("the incident is closed", lambda: "recovered" in ledgers[target.model].outcomes())

    # The last rollback was a moment ago: git follows all the same.
    fail_in_the_first_stage(back, 2)
    went_back(back, ledgers[back.model], to=1)
    fail_in_the_first_stage(back, 3)
    went_back(back, ledgers[back.model], to=1)

    # That all models fail is not the models' fault. All of them are held.
    fail_in_the_first_stage(crowd, 2)
    went_back(crowd, ledgers[crowd.model], to=1)
    assert "holds/test/_all.yaml" in ledgers[crowd.model].files("holds/test")
    assert {name: ledgers[name].rejected() for name in MODELS if ledgers[name].rejected()} == {"just-back": {2}}
