"""`kill -9` at every step of the ledger and of recovery, as the cluster goes on: one revert, an incident that ends."""

from __future__ import annotations

import signal
from collections.abc import Callable

from world import reconciler
from world.acts import fail_in_the_first_stage, reconciling
from world.story import Story

# Nothing is pushed until the last of them.
DECIDING = (
    "before it decides",
    "while it verifies the target",
    "before the commit",
    "after the commit",
    "while git pushes",
    "after the push",
)
RECOVERING = (
    "when it takes the incident up",
    "before the commit",
    "after the commit",
    "while git pushes",
    "after the push",
)


def test_killed_at_every_step_it_reverts_once_and_ends_its_incident(tell: Callable[..., Story]) -> None:
    story = tell()
    ledger = reconciler.of(story.repository)
    fail_in_the_first_stage(story, 2)
    for moment in DECIDING:
        assert ledger.serving() == 2
        assert ledger.incidents() == []
        dies(story, moment)
    assert ledger.serving() == 1
    story.until("the Rollout is healthy on version 1", lambda: story.healthy(1) and story.serves(1))
    for moment in RECOVERING:
        assert ledger.outcomes() == ["open"]
        dies(story, moment)
    assert ledger.outcomes() == ["recovered"]

    commits = ledger.commits()
    with reconciling(story) as running:
        seen = "\nmrc_reconciler_last_success_timestamp_seconds "
        story.until("the last one has seen everything", lambda: seen in running.metrics())
    assert ledger.commits() == commits
    assert len(ledger.rollbacks()) == 1
    assert ledger.rejected() == {2}


def dies(story: Story, moment: str) -> None:
    """One life of the reconciler."""
    folder = story.folder / "reconciler"
    with reconciler.serve(story.repository.remote.as_uri(), story.plane.kubeconfig(), folder, dies=moment) as running:
        story.until(f"killed {moment}", lambda: running.process.poll() is not None)
        assert running.process.returncode == -signal.SIGKILL, running.said()
