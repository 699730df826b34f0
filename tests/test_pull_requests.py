"""A team that lets nobody push to main gets the way back as a pull request, once, and decides on it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from conftest import mrc
from mrc.reconcile import signals
from mrc.reconcile.forges import ForgeError, forge
from mrc.reconcile.forges.client import Client
from mrc.reconcile.git import GitError
from mrc.reconcile.proposals import described
from mrc.reconcile.reconciler import Seen
from mrc.schema.reconcile import Reconcile
from reconciling import BEGIN, TOKEN, Clock, Team, World, alert, begin, git, rollout, run, seen, team
from reconciling.pull_requests import Forge, serve

POLICY = "policies/sentiment/policy.yaml"
FORGES = ["github", "gitlab", "gitea"]


@pytest.fixture(params=FORGES)
def asked(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Forge]:
    """A forge in front of the team's remote."""
    monkeypatch.setattr("mrc.reconcile.reconciler.RECHECK_SECONDS", 0.0)
    monkeypatch.setattr("mrc.reconcile.proposals.LOOK_SECONDS", 0.0)
    with serve(request.param, tmp_path / "remote.git") as found:
        yield found
    assert found.strange == []


def start(folder: Path, asked: Forge, clock: Clock | None = None, state: str = "state") -> World:
    """A reconciler of a team whose changes are pull requests; the team is made once."""
    there = Team(folder / "tree", folder / "remote.git")
    made = there if there.tree.exists() else team(folder, reconcile=f"mode: pullRequest, {asked.settings}")
    return begin(folder / state, made, clock)


def branches(world: World) -> list[str]:
    """What the remote has beside main."""
    found = git("for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads/", cwd=world.team.remote).splitlines()
    return [name for name in found if name != "main"]


def test_an_aborted_rollout_is_asked_for_merged_and_its_incident_closed(asked: Forge, tmp_path: Path) -> None:
    world = start(tmp_path, asked)
    before = world.team.log()
    world.reconciler.step(seen([rollout()], [run()]))
    assert world.team.log() == before, "main moved without a request"
    (pull,) = asked.pulls
    assert pull.title == "Roll sentiment back to 12 in production"
    assert 'Version 13 of sentiment failed: Metric "errors"' in pull.body
    assert pull.body.startswith("```text\n")
    assert pull.branch.startswith("mrc/production/rollback/20261120-090000-")
    assert pull.automatic == asked.head(pull.branch)
    # Seen again, by this process and by one that begins: the same request.
    world.reconciler.step(seen([rollout()], [run()]))
    start(tmp_path, asked, world.clock, "other").reconciler.step(seen([rollout()], [run()]))
    assert len(asked.pulls) == 1

    world.clock.pass_(hours=3)  # a person reviews it
    asked.pass_checks()
    assert "serve: {version: 12, fallback: 11}" in world.team.show(POLICY)
    world.reconciler.step(seen([rollout()], [run()]))
    assert branches(world) == []
    world.clock.pass_(seconds=5)
    world.reconciler.step(seen([rollout(version=12, phase="stable")]))
    assert asked.pulls[1].title == "Close the incident of sentiment in production: recovered"
    assert asked.pulls[1].merged, "nothing holds it up"
    for _ in range(2):
        world.reconciler.step(seen([rollout(version=12, phase="stable")]))
    (path,) = world.team.files("incidents")
    assert "state: recovered" in world.team.show(path)
    assert len(asked.pulls) == 2
    assert branches(world) == []
    assert 'mrc_reconciler_incidents_closed_total{state="recovered"} 1' in world.reconciler.telemetry.text()
    world.team.pull()
    assert mrc("render", "--check", cwd=world.team.tree).returncode == 0


def test_each_environment_asks_for_its_own_and_holds_up_no_other(asked: Forge, tmp_path: Path) -> None:
    """The same version fails in both: both requests change its verdict, and one is merged first."""
    world = start(tmp_path, asked)
    with (world.team.tree / "environments/staging.yaml").open("a") as file:
        file.write(f"  reconcile: {{mode: pullRequest, {asked.settings}, verify: 0s}}\n")
    world.team.push("Let mrc ask for staging, too")
    staging = begin(tmp_path / "staging", world.team, world.clock, environment="staging")
    there = alert()
    there["labels"]["environment"] = "staging"
    failed = [(world, seen([rollout()], [run()])), (staging, seen(more=signals.alerts([there], "staging")))]
    for _ in range(2):
        for each, what in failed:
            each.reconciler.step(what)
    assert [pull.branch.split("/")[1] for pull in asked.pulls] == ["production", "staging"]
    first, second = asked.pulls
    asked.rules = False
    assert asked.merge(first, str(first.automatic))
    asked.rules = True
    for _ in range(3):
        for each, what in failed:
            each.reconciler.step(what)
    assert "mrc/staging" in str(branches(world))
    assert "mrc/production/rollback" not in str(branches(world))
    asked.rules = False
    assert asked.merge(second, str(second.automatic)), "it was not renewed"
    verdict = yaml.safe_load(world.team.show("policies/sentiment/verdicts/13.yaml"))
    assert sorted(verdict["spec"]["rejected"]) == ["production", "staging"]
    world.team.pull()
    assert mrc("render", "--check", cwd=world.team.tree).returncode == 0


def failing(world: World) -> Seen:
    """Two models that fail."""
    policy = yaml.safe_load(world.team.show("policies/ranker/policy.yaml"))
    serving = int(policy["spec"]["environments"]["production"]["serve"]["version"])
    rollouts = [rollout(), rollout(model="ranker", version=serving)]
    return seen(rollouts, [run(), run(model="ranker", version=serving, uid="run-2")])


def test_many_failures_are_asked_for_in_several_passes(
    asked: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each takes the forge some seconds; /healthz has two minutes of patience."""
    monkeypatch.setattr("mrc.reconcile.evidence.REQUESTS", 1)
    world = start(tmp_path, asked)
    found = failing(world)
    for count in (1, 2, 2):
        world.reconciler.step(found)
        assert len(asked.pulls) == count


def two(world: World, asked: Forge) -> Seen:
    """The same, with a request open for each."""
    found = failing(world)
    world.reconciler.step(found)
    assert len(asked.pulls) == 2
    asked.asked.clear()
    return found


@pytest.mark.parametrize("asked", ["github"], indirect=True)
def test_commits_that_concern_no_request_ask_nothing_of_the_forge(
    asked: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred requests and a busy branch would spend what a forge allows in an hour."""
    world = start(tmp_path, asked)
    found = two(world, asked)
    monkeypatch.setattr("mrc.reconcile.proposals.LOOK_SECONDS", 30.0)
    (world.team.tree / "README.md").write_text("hello\n")
    world.team.publish("Say hello")
    world.reconciler.step(found)
    assert asked.asked == []


@pytest.mark.parametrize("asked", ["github"], indirect=True)
def test_what_there_is_no_time_for_comes_with_the_next_pass(
    asked: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = start(tmp_path, asked)
    found = two(world, asked)
    monkeypatch.setattr("mrc.reconcile.proposals.TEND_SECONDS", 0.0)
    looked: list[str] = []
    asked.moment = lambda when, request: looked.append(request) if when == "before" else None
    other = start(tmp_path, asked, world.clock, "other")
    for _ in range(2):
        other.reconciler.step(found)
    requests = [next(pull.branch for pull in asked.pulls if pull.branch.rpartition("/")[2] in each)
                for each in looked if "/pulls?" in each]  # fmt: skip
    assert len(requests) == len(set(requests)) == 2, "in turn"


@pytest.mark.parametrize("asked", ["github"], indirect=True)
def test_a_request_that_the_forge_cannot_find_holds_up_no_other_failure(
    asked: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mrc.reconcile.forges.client.TRIES", 1)
    world = start(tmp_path, asked)
    world.reconciler.step(seen([rollout()], [run()]))
    (first,) = asked.pulls
    world = start(tmp_path, asked, world.clock, "other")
    asked.moment = lambda when, request: when == "before" and first.branch.rpartition("/")[2] in request
    with pytest.raises(ForgeError, match="does not answer"):
        world.reconciler.step(failing(world))
    assert len(asked.pulls) == 2


@pytest.mark.parametrize("asked", ["github"], indirect=True)
def test_a_branch_that_is_in_the_way_is_an_error_and_not_a_race_for_ever(
    asked: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody would be called: all that was needed answers, and mrc goes on trying."""
    monkeypatch.setattr("mrc.reconcile.reconciler.RACES", 2)
    world = start(tmp_path, asked)
    git("branch", "mrc", "main", cwd=world.team.remote)
    with pytest.raises(GitError, match="what is in the way stays"):
        world.reconciler.step(seen([rollout()], [run()]))
    told = world.log.getvalue()
    assert "'refs/heads/mrc' exists" in told or "refname conflict" in told  # as git has said since 2.50
    assert "Delta compression" not in told


def test_a_request_that_a_person_closed_is_not_made_again(asked: Forge, tmp_path: Path) -> None:
    world = start(tmp_path, asked)
    world.reconciler.step(seen([rollout()], [run()]))
    asked.pulls[0].state = "closed"
    for _ in range(2):
        world.reconciler.step(seen([rollout()], [run()]))
    # Even when the branch is gone with it, and another process looks.
    git("update-ref", "-d", f"refs/heads/{asked.pulls[0].branch}", cwd=world.team.remote)
    again = start(tmp_path, asked, world.clock, "other")
    for each in (world, again):
        each.reconciler.step(seen([rollout()], [run()]))
    assert len(asked.pulls) == 1
    assert branches(world) == []
    assert "it is not asked for again" in again.log.getvalue()


def test_a_second_failure_of_the_version_waits_for_the_first_request(asked: Forge, tmp_path: Path) -> None:
    world = start(tmp_path, asked)
    world.reconciler.step(seen([rollout()], [run()]))
    failures = signals.alerts([alert(), alert(guardrail="latency")], "production")
    world.reconciler.step(seen([rollout(at=BEGIN.replace(minute=1))], [run(uid="run-2")], more=failures))
    assert len(asked.pulls) == 1


def test_a_request_follows_the_branch_and_ends_when_git_has_moved_on(asked: Forge, tmp_path: Path) -> None:
    world = start(tmp_path, asked)
    world.reconciler.step(seen([rollout()], [run()]))
    (pull,) = asked.pulls
    first = asked.head(pull.branch)
    (world.team.tree / "README.md").write_text("hello\n")
    world.team.publish("Say hello")
    world.reconciler.step(seen([rollout()], [run()]))
    assert asked.head(pull.branch) == first, "what does not touch the model needs no new review"

    world.team.edit(POLICY, "serve: {version: 13, fallback: 12} #", "serve: {version: 13, fallback: 12} # new!")
    world.team.publish("Reword")
    world.reconciler.step(seen([rollout()], [run()]))
    second = asked.head(pull.branch)
    assert second != first
    assert pull.automatic == second
    assert git("rev-parse", f"{second}^", cwd=world.team.remote) == git("rev-parse", "main", cwd=world.team.remote)
    assert "# new!" in git("show", f"{second}:{POLICY}", cwd=world.team.remote)

    world.team.edit(POLICY, "version: 13, fallback: 12} # new!", "version: 12, fallback: 11} # new!")
    world.team.publish("Serve 12")
    world.reconciler.step(seen([rollout()], [run()]))
    assert (pull.state, pull.merged) == ("closed", False)
    assert pull.comments == ["Closed by mrc: git names version 12 by now."]
    assert branches(world) == []


def test_a_crash_between_the_push_and_the_request_is_gone_on_with(asked: Forge, tmp_path: Path) -> None:
    world = start(tmp_path, asked)
    # The first question is whether there is a request; what follows fails until the tries are used up.
    world.reconciler.step(seen())
    find = len(asked.asked)
    real = asked.answer

    def dead(*arguments: object) -> tuple[int, object]:
        return real(*arguments) if len(asked.asked) <= find + 1 else (503, None)  # type: ignore[arg-type]

    asked.answer = dead  # type: ignore[method-assign]
    with pytest.raises(ForgeError) as fault:
        world.reconciler.step(seen([rollout()], [run()]))
    assert fault.value.temporary
    asked.answer = real  # type: ignore[method-assign]
    assert asked.pulls == []
    assert len(branches(world)) == 1
    again = start(tmp_path, asked, world.clock, "other")
    again.reconciler.step(seen([rollout()], [run()]))
    world.reconciler.step(seen([rollout()], [run()]))
    assert len(asked.pulls) == 1


def test_an_answer_that_is_lost_makes_no_second_request(asked: Forge, tmp_path: Path) -> None:
    world = start(tmp_path, asked)
    asked.lost = 1
    world.reconciler.step(seen([rollout()], [run()]))
    assert len(asked.pulls) == 1
    assert asked.pulls[0].automatic


def test_what_the_forge_says_of_the_token_is_told_and_the_token_is_not(asked: Forge, tmp_path: Path) -> None:
    start(tmp_path, asked)
    settings = Reconcile.model_validate_json(api(asked))
    assert settings.forge is not None
    wrong = forge(settings.forge, "main", lambda: "wr0ng")
    with pytest.raises(ForgeError, match="HTTP status 401") as fault:
        wrong.prove()
    assert not fault.value.temporary
    assert "wr0ng" not in str(fault.value)
    right = forge(settings.forge, "main", lambda: TOKEN)
    right.prove()
    assert right.takes()
    asked.guarded = True
    assert not right.takes()
    if asked.kind == "gitea":
        asked.comments = False
        with pytest.raises(ForgeError, match="needs the scope write:issue"):
            right.prove()
    asked.scope = False
    with pytest.raises(ForgeError, match="may not ask for pull requests") as fault:
        right.prove()
    assert not fault.value.temporary
    asked.push = False
    with pytest.raises(ForgeError, match="push"):
        right.prove()
    assert asked.pulls == []


def api(asked: Forge) -> str:
    key = "project" if asked.kind == "gitlab" else "repository"
    return f'{{"forge": {{"{asked.kind}": {{"{key}": "example/models", "api": "{asked.api}"}}}}}}'


def client(asked: Forge) -> Client:
    return Client(asked.api, dict, lambda: TOKEN)


@pytest.mark.parametrize("status", [429, 502])
def test_a_forge_that_is_busy_is_asked_again_when_it_says(asked: Forge, status: int) -> None:
    found = client(asked)
    asked.faults = [(status, {"Retry-After": "1"})]
    begin_ = time.monotonic()
    with pytest.raises(ForgeError, match="401"):  # by then, it was asked without a token
        found.ask("GET", "/user")
    assert time.monotonic() - begin_ >= 1
    asked.faults = [(status, {"Retry-After": "600"})]
    count = len(asked.asked)
    for _ in range(2):
        with pytest.raises(ForgeError) as fault:
            found.ask("GET", "/user")
        assert fault.value.temporary
    assert len(asked.asked) == count, "it was not left alone"


def test_no_redirect_is_followed_with_a_token(asked: Forge) -> None:
    asked.faults = [(307, {"Location": "http://127.0.0.1:9/elsewhere"})]
    with pytest.raises(ForgeError, match="redirect") as fault:
        client(asked).ask("GET", "/user")
    assert not fault.value.temporary


def test_what_an_alert_says_is_no_markdown() -> None:
    title, body = described("Roll back\n\nit said ```` @everyone\n/merge\n")
    assert title == "Roll back"
    assert body.startswith("`````text\n")
    assert body.endswith("\n`````\n")
