"""What most stories are made of: a reconciler that watches, a version that fails, a way back, a page."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from world import reconciler
from world.reconciler import Ledger, Reconciler
from world.repository import git
from world.story import Story


@contextlib.contextmanager
def reconciling(
    story: Story,
    url: str = "",
    name: str = "reconciler",
    config: Path | None = None,
    options: Sequence[str | Path] = (),
    **wanted: Any,
) -> Iterator[Reconciler]:
    """A reconciler that watches the story, ready to act; for `wanted` see `reconciler.serve`."""
    remote, kubeconfig = url or story.repository.remote.as_uri(), config or story.plane.kubeconfig()
    with reconciler.serve(remote, kubeconfig, story.folder / name, *options, **wanted) as running:
        story.until(f"the {name} watches", lambda: "watching" in running.said())
        yield running


def went_back(story: Story, ledger: Ledger, *, to: int, analysed: bool = False) -> None:
    """The way back is pushed, synced and healthy, without steps or analysis, and its incident is closed."""
    kept = story.replica_sets()[to]["metadata"]["uid"]
    story.until("mrc pushed the way back", lambda: ledger.serving() == to)
    story.until(f"the Rollout is healthy on version {to}", lambda: story.healthy(to) and story.serves(to))
    assert bool(story.analysed(to)) == analysed, "what serves again was analysed like a new version"
    assert story.replica_sets()[to]["metadata"]["uid"] == kept, "it is another ReplicaSet"
    story.until("the incident is closed", lambda: ledger.outcomes()[-1:] == ["recovered"])


def fail_in_the_first_stage(story: Story, version: int) -> None:
    """Promote a version that answers with errors, until Argo aborts it."""
    ledger = reconciler.of(story.repository, story.model)
    before = len(ledger.rollbacks())
    story.mesh.behaviour(version).errors = 0.5
    story.repository.promote(version, story.model)
    story.until(f"Argo aborted version {version}", lambda: story.aborted() or len(ledger.rollbacks()) > before)


def paged(story: Story, ledger: Ledger, *, serving: int) -> list[str]:
    """People are paged in place of a rollback, with a record: the gates that said no."""
    story.until(f"a page for {story.model} is on record", lambda: "page" in [i["action"] for i in ledger.incidents()])
    story.until("people are paged", lambda: ("MrcNeedsAPerson", story.model) in pages(story))
    assert ledger.serving() == serving
    assert story.serves(serving)
    (incident,) = [each for each in ledger.incidents() if each["action"] == "page"]
    return [each["gate"] for each in incident["reasons"] if not each["passed"]]


def pages(story: Story) -> set[tuple[str, str]]:
    """The active alerts: their names, and the model if it is of one."""
    labels = [each["labels"] for each in story.monitoring.alerts()]
    return {(each["alertname"], each.get("model", "")) for each in labels}


def propose(story: Story, version: int) -> None:
    """A pull request that serves a new version, rendered now, and merged when somebody finds the time."""
    team = story.repository
    team.add_version(version)
    team.publish(f"Add version {version}")
    git("switch", "-q", "-c", "change", cwd=team.tree)
    team.mrc("promote", "greeter", str(version), "-e", "test")
    team.mrc("render")
    git("add", "-A", cwd=team.tree)
    git("commit", "-q", "-m", f"Serve version {version}", cwd=team.tree)
    git("switch", "-q", "main", cwd=team.tree)
