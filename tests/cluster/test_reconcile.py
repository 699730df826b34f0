"""`mrc reconcile` beside a real cluster, monitoring and git: a version fails, and the repository itself goes back."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from world import proxy, reconciler, remotes
from world.acts import fail_in_the_first_stage, pages, propose, reconciling, went_back
from world.background import repeated
from world.repository import GitError, git
from world.story import Story

Tell = Callable[..., Story]
CANARY = "canary: [{traffic: 20%, for: 15s}]"
BLUE_GREEN = "blueGreen: {preview: {for: 10s}}"
STRATEGIES = pytest.mark.parametrize("strategy", [CANARY, BLUE_GREEN], ids=["canary", "blue-green"])


def test_a_version_that_fails_in_its_first_stage_is_reverted_and_rejected(tell: Tell) -> None:
    story = tell()
    ledger = reconciler.of(story.repository)
    with reconciling(story):
        fail_in_the_first_stage(story, 2)
        went_back(story, ledger, to=1)
        assert ledger.rejected() == {2}
        (incident,) = ledger.incidents()
        assert incident["cause"]["kind"] == "analysis"
        assert len(ledger.rollbacks()) == 1
        assert "errors" in git("log", "--author=mrc", "--format=%B", "main", cwd=ledger.remote)
        story.repository.pull()
        story.repository.mrc("render", "--check")
        story.repository.mrc("check")


@STRATEGIES
def test_a_version_that_fails_in_the_bake_is_reverted(tell: Tell, strategy: str) -> None:
    story = tell(strategy)
    ledger = reconciler.of(story.repository)
    with reconciling(story):
        story.repository.promote(2)
        story.until("version 2 has all traffic", lambda: story.serves(2))
        story.mesh.behaviour(2).errors = 0.5
        went_back(story, ledger, to=1)
        assert ledger.rejected() == {2}


@STRATEGIES
@pytest.mark.parametrize("kept", [True, False], ids=["warm", "cold"])
def test_a_promoted_version_is_reverted_for_an_alert(tell: Tell, strategy: str, kept: bool) -> None:
    story = tell(strategy)
    ledger, before = reconciler.of(story.repository), story.pods(1)
    with reconciling(story):
        story.repository.promote(2)
        story.until("version 2 is promoted", lambda: story.healthy(2) and story.serves(2))
        if not kept:
            story.until("version 1 is cold", lambda: story.cooled(1))
        story.mesh.behaviour(2).errors = 0.5
        went_back(story, ledger, to=1, analysed=strategy == BLUE_GREEN and not kept)  # the preview runs again
        (incident,) = ledger.incidents()
        assert incident["cause"]["kind"] == "alert"
        assert ledger.rejected() == {2}
        assert (story.pods(1) == before) == kept


def test_two_failures_in_a_row_hold_the_model_until_a_person_clears_it(tell: Tell) -> None:
    story = tell()
    ledger, team = reconciler.of(story.repository), story.repository
    with reconciling(story):
        propose(story, 4)
        fail_in_the_first_stage(story, 2)
        went_back(story, ledger, to=1)
        fail_in_the_first_stage(story, 3)
        went_back(story, ledger, to=1)
        (hold,) = ledger.files("holds/test").values()
        assert int(hold["spec"]["serve"]["version"]) == 1

        # The next promotion is refused, whoever asks for it.
        team.pull()
        assert "greeter is held in test since" in team.refused("promote", "greeter", "4", "-e", "test")
        assert "greeter is held in test since" in team.mrc("check")

        # A pull request from before the hold does not merge; when somebody takes its side, it moves nothing for long.
        with pytest.raises(GitError):
            git("merge", "-q", "change", cwd=team.tree)
        git("merge", "--abort", cwd=team.tree)
        git("merge", "-q", "-X", "theirs", "change", cwd=team.tree)
        git("push", "-q", "origin", "main", cwd=team.tree)
        assert ledger.rendered() == 4
        story.until("mrc holds it again", lambda: ledger.rendered() == 1)
        story.until("version 1 serves as before", lambda: story.healthy(1) and story.serves(1))
        assert not story.analysed(1)

        # A person clears it: what the policy says by now is rolled out.
        team.pull()
        team.mrc("clear", "greeter", "-e", "test", "--reason", "4 fixes what 2 and 3 got wrong")
        team.publish("Clear the hold of greeter")
        story.until("users meet version 4", lambda: 4 in story.mesh.shares)
    assert ledger.rejected() == {2}, "3 failed a moment after 2 did"
    assert len(ledger.rollbacks()) == 2


def test_two_reconcilers_and_people_who_push_meanwhile_make_one_rollback(tell: Tell) -> None:
    story = tell()
    ledger, team = reconciler.of(story.repository), story.repository
    remotes.hook(team.remote, "pre-receive", "sleep 0.5")
    theirs: list[str] = []

    def push() -> None:
        """Somebody's broken policy among them: a revert must not wait for them."""
        team.pull()
        file = team.tree / "policies/other/policy.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"metadata: {{name: other, attempt: {len(theirs)}\n")
        git("add", "-A", cwd=team.tree)
        git("commit", "-q", "-m", "Try something", cwd=team.tree)
        git("push", "-q", "origin", "main", cwd=team.tree)
        theirs.append(git("rev-parse", "HEAD", cwd=team.tree))

    def race() -> None:
        try:
            push()
        except GitError:  # somebody else was faster: as people do, take theirs and try again
            git("fetch", "-q", "origin", "main", cwd=team.tree)
            git("reset", "-q", "--hard", "FETCH_HEAD", cwd=team.tree)

    with remotes.http_backend(team.remote) as backend:
        url = f"http://127.0.0.1:{backend.port}/{team.remote.name}"
        with reconciling(story), reconciling(story, url, "second reconciler"):
            story.mesh.behaviour(2).errors = 0.5
            team.promote(2)
            with repeated(race, seconds=2):
                went_back(story, ledger, to=1)
    assert len(ledger.rollbacks()) == 1
    assert len(ledger.incidents()) == 1
    assert theirs
    for commit in theirs:
        git("merge-base", "--is-ancestor", commit, "main", cwd=ledger.remote)


def test_a_remote_that_is_cut_and_hangs_and_loses_its_answer(tell: Tell) -> None:
    story = tell()
    ledger, team = reconciler.of(story.repository), story.repository
    with (
        remotes.http_backend(team.remote) as backend,
        proxy.serve(backend.port) as line,
        reconciling(story, f"http://127.0.0.1:{line.port}/{team.remote.name}") as running,
    ):
        line.turn("cut")
        fail_in_the_first_stage(story, 2)
        story.until("it says that git does not answer", lambda: running.said().count("git could not be asked") > 0)
        line.turn("hang")
        time.sleep(5)
        assert ledger.rollbacks() == []
        backend.lost = 1
        line.turn("pass")
        went_back(story, ledger, to=1)
        assert backend.lost == 0, "no answer was lost"
    assert len(ledger.rollbacks()) == 1
    assert len(ledger.incidents()) == 1


def test_a_remote_that_refuses_pages_and_is_asked_again_by_a_slow_ssh(tell: Tell) -> None:
    story = tell()
    ledger, team = reconciler.of(story.repository), story.repository
    with (
        remotes.ssh(story.folder) as server,
        proxy.serve(server.port) as line,
        reconciling(
            story,
            replace(server, port=line.port).url(team.remote),
            options=("--ssh-key", server.key, "--known-hosts", server.known_hosts),
        ),
    ):
        story.mesh.behaviour(2).errors = 0.5
        team.promote(2)
        remotes.hook(team.remote, "pre-receive", "echo protected branch; exit 1")
        story.until("people are paged", lambda: ("MrcPushRefused", "") in pages(story))
        assert ledger.serving() == 2
        story.until("version 1 serves: Argo aborted, whatever git says", lambda: story.serves(1))
        remotes.hook(team.remote, "pre-receive", "exit 0")
        line.delay = 0.3  # and slow
        went_back(story, ledger, to=1)


def test_pods_that_never_become_ready_are_blamed_by_who_comes_later(tell: Tell) -> None:
    """Argo says once that the deadline passed, and a moment later only that it aborted."""
    story = tell()
    ledger, team = reconciler.of(story.repository), story.repository
    team.edit("policies/greeter/versions/2.yaml", "memory: 1Gi}", "memory: 1Gi, example.com/tpu: 1}")  # no node has one
    team.edit("policies/greeter/versions/2.yaml", "spec:\n", "spec:\n  startup: 5s\n")
    team.promote(2)
    story.until("Argo aborted", story.aborted)
    time.sleep(3)
    assert "timed out" not in str(story.status()), "the cause is in the status by now"
    with reconciling(story):
        went_back(story, ledger, to=1)
    (incident,) = ledger.incidents()
    assert incident["cause"]["kind"] == "deadline"
    assert "has timed out progressing" in incident["cause"]["message"]
    assert ledger.rejected() == {2}
