"""After the push: who is told, in what order, and how an incident ends."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml

from judges.endpoint import Endpoint, serve
from mrc.reconcile.branch import RefusedError
from mrc.reconcile.hooks import Call, Caller
from mrc.schema.incident import Told
from mrc.schema.units import Timestamp
from reconciling import BEGIN, MODEL, World, begin, git, rollout, run, seen, team

HOOKS = 'hooks: {flushCache: {url: "http://127.0.0.1:9/flush"}, reprocess: {url: "http://127.0.0.1:9/replay"}}'
PLAIN = "mode: commit, plainHosts: [127.0.0.1]"


class Hooked:
    """Hooks that answer as a test wants it."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.accepts = True

    def __call__(self, call: Call) -> Told | None:
        self.calls.append(call)
        at = Timestamp.parse("2026-11-20T09:00:30Z")
        found = "HTTP status 202" if self.accepts else "HTTP status 503"
        return Told(hook=call.hook, at=at, accepted=self.accepts, found=found)


def record(world: World) -> dict[str, Any]:
    (path,) = world.team.files("incidents")
    found: dict[str, Any] = yaml.safe_load(world.team.show(path))
    return found["spec"]


def rolled_back(folder: Path, hooked: Hooked, **more: Any) -> World:
    world = begin(folder / "state", team(folder, reconcile=PLAIN, policy=HOOKS), hook=hooked, **more)
    world.reconciler.step(seen([rollout()], [run()]))
    return world


def test_hooks_are_called_once_the_traffic_is_back_and_git_says_whom_it_was_about(tmp_path: Path) -> None:
    hooked = Hooked()
    world = rolled_back(tmp_path, hooked)
    world.clock.pass_(seconds=10)
    world.reconciler.step(seen([rollout(version=12, phase="progressing")]))
    assert not hooked.calls, "the bad version still answers"

    world.clock.pass_(seconds=10)
    world.reconciler.step(seen([rollout(version=12, phase="stable")]))
    assert world.team.log()[0] == "Record that sentiment is back in production, before its hooks are called"
    # The window of the guardrail that saw it, before the onset, until the target had the traffic.
    assert record(world)["affected"] == {"from": "2026-11-20T08:58:00Z", "until": "2026-11-20T09:00:20Z"}
    assert not hooked.calls, "what was not pushed did not happen"

    world.clock.pass_(seconds=10)
    world.reconciler.step(seen([rollout(version=12, phase="stable")]))
    assert world.team.log()[0] == "Close the incident of sentiment in production: recovered"
    assert [(call.hook, call.url) for call in hooked.calls] == [
        ("flushCache", "http://127.0.0.1:9/flush"), ("reprocess", "http://127.0.0.1:9/replay"),
    ]  # fmt: skip
    told = json.loads(hooked.calls[0].body)
    assert told == {
        "incident": hooked.calls[0].incident, "model": MODEL, "environment": "production", "version": 13,
        "verdict": "rejected", "from": "2026-11-20T08:58:00Z", "until": "2026-11-20T09:00:20Z",
    }  # fmt: skip
    assert [(each["hook"], each["accepted"]) for each in record(world)["told"]] == [
        ("flushCache", True), ("reprocess", True),
    ]  # fmt: skip
    assert record(world)["times"]["routed"] == "2026-11-20T09:00:20Z"


def test_another_process_makes_the_same_call(tmp_path: Path) -> None:
    hooked = Hooked()
    world = rolled_back(tmp_path, hooked)
    world.clock.pass_(seconds=10)
    back = seen([rollout(version=12, phase="stable")])
    world.reconciler.step(back)  # on record; and then the process ends
    first, second = Hooked(), Hooked()
    for hooks in (first, second):
        hooks.accepts = hooks is second
        world.clock.pass_(minutes=1)
        other = begin(tmp_path / f"other-{id(hooks)}", world.team, world.clock, hook=hooks)
        other.reconciler.step(back)
    assert set(first.calls) == set(second.calls)
    assert record(world)["outcome"]["state"] == "recovered"


def test_an_incident_that_another_process_closes_has_every_time(tmp_path: Path) -> None:
    """When it was pushed only the first one knew. The next one says when it found it in git."""
    first = begin(tmp_path / "state", team(tmp_path))
    first.reconciler.step(seen([rollout()], [run()]))
    first.clock.pass_(minutes=1)
    world = begin(tmp_path / "other", first.team, first.clock)
    for seconds in (10, 20, 30):
        world.clock.pass_(seconds=seconds)
        world.reconciler.step(seen([rollout(version=12, phase="stable" if seconds == 30 else "progressing")]))
    assert record(world)["outcome"]["state"] == "recovered"
    assert record(world)["times"] == {
        "onset": "2026-11-20T09:00:00Z", "detected": "2026-11-20T09:00:00Z", "decided": "2026-11-20T09:00:00Z",
        "pushed": "2026-11-20T09:01:00Z", "synced": "2026-11-20T09:01:10Z", "routed": "2026-11-20T09:02:00Z",
        "healthy": "2026-11-20T09:02:00Z",
    }  # fmt: skip


def test_a_clock_that_is_put_back_does_not_keep_people_waiting(tmp_path: Path) -> None:
    """It was decided in two hours, and nobody would be called for as long."""
    world = begin(tmp_path / "state", team(tmp_path))
    world.clock.pass_(hours=2)
    world.reconciler.step(seen([rollout()], [run()]))
    world.clock.pass_(hours=-2)
    for _ in range(8):
        world.clock.pass_(minutes=2)
        world.reconciler.step(seen([rollout(version=12, phase="progressing")]))
    assert record(world)["outcome"]["state"] == "escalated"


def test_who_is_started_again_and_again_escalates_all_the_same(tmp_path: Path) -> None:
    """Time that a process did not live counts: people wait for the way back, not for mrc."""
    first = begin(tmp_path / "state", team(tmp_path))
    first.reconciler.step(seen([rollout()], [run()]))
    for number in range(3):
        first.clock.pass_(minutes=4)
        world = begin(tmp_path / f"state-{number}", first.team, first.clock)
        world.reconciler.step(seen([rollout(version=12, phase="progressing")]))
    assert record(world)["outcome"]["state"] == "escalated"


def test_an_incident_whose_end_somebody_takes_back_ends_again(tmp_path: Path) -> None:
    """A revert of the wrong commit: it would stay open until the process is started again."""
    world = begin(tmp_path / "state", team(tmp_path))
    world.reconciler.step(seen([rollout()], [run()]))
    back = seen([rollout(version=12, phase="stable")])
    world.clock.pass_(seconds=10)
    world.reconciler.step(back)
    assert record(world)["outcome"]["state"] == "recovered"
    world.team.pull()
    git("revert", "--no-edit", "HEAD", cwd=world.team.tree)
    git("push", "-q", "origin", "main", cwd=world.team.tree)
    assert "outcome" not in record(world)
    world.reconciler._branch.fetched = float("-inf")
    for _ in range(2):
        world.reconciler.step(back)
    assert record(world)["outcome"]["state"] == "recovered"


def test_a_hook_that_refuses_is_said_and_people_are_paged(tmp_path: Path) -> None:
    hooked = Hooked()
    hooked.accepts = False
    world = rolled_back(tmp_path, hooked)
    back = seen([rollout(version=12, phase="stable")])
    for _ in range(3):
        world.clock.pass_(minutes=4)
        world.reconciler.step(back)
    assert record(world)["outcome"]["state"] == "escalated"
    assert "flushCache (HTTP status 503)" in record(world)["outcome"]["message"]
    assert record(world)["told"][0]["accepted"] is False
    (page,) = world.monitored.pages
    assert "flushCache" in page["annotations"]["description"]


@pytest.mark.parametrize(("phase", "verdict"), [("Error", "mayRetry"), ("Running", "none")])
def test_hooks_are_called_whoever_was_to_blame_and_told_who(tmp_path: Path, phase: str, verdict: str) -> None:
    """Users met the answers all the same, and a version that is tried again would find what it left in the caches."""
    hooked = Hooked()
    world = begin(tmp_path / "state", team(tmp_path, reconcile=PLAIN, policy=HOOKS), hook=hooked)
    message = "" if phase == "Error" else "RolloutAborted: Rollout aborted update to revision 4"
    world.reconciler.step(seen([rollout(message=message)], [run(phase=phase)]))
    for _ in range(2):
        world.clock.pass_(seconds=10)
        world.reconciler.step(seen([rollout(version=12, phase="stable")]))
    assert record(world)["verdict"] == verdict
    assert record(world)["outcome"]["state"] == "recovered"
    assert [json.loads(call.body)["verdict"] for call in hooked.calls] == [verdict, verdict]


def test_a_target_that_nobody_can_judge_is_not_healthy(tmp_path: Path) -> None:
    world = begin(tmp_path / "state", team(tmp_path))
    world.reconciler.step(seen([rollout()], [run()]))
    world.monitored.verdicts = lambda *_: {}  # type: ignore[method-assign]
    back = seen([rollout(version=12, phase="stable")])
    world.clock.pass_(minutes=5)
    world.reconciler.step(back)
    assert "outcome" not in record(world)
    world.clock.pass_(minutes=6)
    world.reconciler.step(back)
    assert record(world)["outcome"]["state"] == "escalated"
    assert "no guardrail can tell" in record(world)["outcome"]["message"]
    assert len(world.monitored.pages) == 1


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([], "there is no Rollout of sentiment in the cluster"),
        ([rollout(version=13, phase="stable")], "the Rollout is asked for version 13 again, and git names 12"),
        (
            [rollout(version=12, phase="progressing")],
            "version 12 does not have all traffic any more: its Rollout is pr",
        ),
        ([rollout(version=12, phase="stable")], "Prometheus cannot be asked whether it is healthy"),
    ],
)
def test_who_is_called_reads_what_is_missing_now(tmp_path: Path, found: list[Any], said: str) -> None:
    """It had all traffic once. What has become of it since is not Prometheus' silence."""
    world = begin(tmp_path / "state", team(tmp_path))
    world.reconciler.step(seen([rollout()], [run()]))
    world.monitored.silent = True
    world.clock.pass_(minutes=5)
    world.reconciler.step(seen([rollout(version=12, phase="stable")]))
    world.clock.pass_(minutes=6)
    world.reconciler.step(seen(found))
    (page,) = world.monitored.pages
    assert said in page["annotations"]["description"]
    assert "Git names version 12. Only if it is bad, too: mrc rollback" in page["annotations"]["description"]


def test_hooks_are_told_of_some_time_whatever_the_clocks_say(tmp_path: Path) -> None:
    """Argo's clock is an hour ahead: what begins after it ended is reprocessed by nobody."""
    hooked = Hooked()
    world = begin(tmp_path / "state", team(tmp_path, reconcile=PLAIN, policy=HOOKS), hook=hooked)
    world.reconciler.step(seen([rollout(at=BEGIN + timedelta(hours=1))], [run()]))
    for _ in range(2):
        world.clock.pass_(seconds=10)
        world.reconciler.step(seen([rollout(version=12, phase="stable")]))
    told = json.loads(hooked.calls[0].body)
    assert told["from"] < told["until"]


@pytest.mark.parametrize(("guardrail", "sessions"), [("latency", "drain"), ("errors", None), ("unknown", None)])
def test_what_fails_hard_drops_its_sessions_and_what_is_merely_worse_drains(
    tmp_path: Path, guardrail: str, sessions: str | None
) -> None:
    world = begin(tmp_path / "state", team(tmp_path, policy="sessions: {lifetime: 3m}"))
    failed = run()
    failed["status"]["metricResults"][0]["name"] = guardrail
    world.reconciler.step(seen([rollout()], [failed]))
    verdict = yaml.safe_load(world.team.show(f"policies/{MODEL}/verdicts/13.yaml"))
    assert verdict["spec"]["rejected"]["production"].get("sessions") == sessions
    # While they drain, the route that pins them stays.
    routes = world.team.show(f"rendered/production/{MODEL}/virtualservice.yaml")
    assert (f"{MODEL}-v13" in routes) is (sessions == "drain")


# The calls themselves, on real sockets.


def call(url: str) -> Call:
    return Call("20261120-090000-12345678", "flushCache", url, b'{"model": "sentiment"}')


def answer(caller: Caller, made: Call, until: Callable[[Told], bool] = lambda told: True) -> Told:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        told = caller(made)
        if told is not None and until(told):
            return told
        time.sleep(0.01)
    raise AssertionError("no answer came")


def test_a_call_goes_on_after_a_server_error_with_the_same_key(tmp_path: Path) -> None:
    (tmp_path / "127.0.0.1").write_text("s3cret\n")
    caller = Caller(lambda: BEGIN, ["127.0.0.1"], tmp_path, pause=0.02)
    with serve() as endpoint:
        endpoint.statuses = [503, 429, 202]
        told = answer(caller, call(f"http://127.0.0.1:{endpoint.port}/flush"), lambda told: told.accepted)
        assert told.found == "HTTP status 202"
        caller(call(f"http://127.0.0.1:{endpoint.port}/flush"))
        time.sleep(0.1)
        assert len(endpoint.requests) == 3
        for request in endpoint.requests:
            assert request.headers["Idempotency-Key"] == "20261120-090000-12345678"
            assert request.headers["Authorization"] == "Bearer s3cret"
            assert request.data == {"model": "sentiment"}


@pytest.mark.parametrize(("status", "requests"), [(302, 1), (400, 1), (403, 1)])
def test_a_refusal_is_final_and_a_redirect_is_not_followed(status: int, requests: int) -> None:
    caller = Caller(lambda: BEGIN, ["127.0.0.1"], pause=0.01)
    with serve() as endpoint:
        endpoint.statuses, endpoint.text = [status], b"what it says is nobody's business"
        told = answer(caller, call(f"http://127.0.0.1:{endpoint.port}/flush"))
        assert (told.accepted, told.found) == (False, f"HTTP status {status}")
        for _ in range(5):
            time.sleep(0.02)
            caller(call(f"http://127.0.0.1:{endpoint.port}/flush"))
        assert len(endpoint.requests) == requests


def test_without_tls_only_hosts_that_the_environment_names_are_called() -> None:
    caller = Caller(lambda: BEGIN)
    with serve() as endpoint:
        told = answer(caller, call(f"http://127.0.0.1:{endpoint.port}/flush"))
        assert not told.accepted
        assert "without TLS" in told.found
        assert not endpoint.requests


def test_a_certificate_that_nobody_trusts_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    def told(endpoint: Endpoint) -> Told:
        return answer(Caller(lambda: BEGIN), call(f"https://127.0.0.1:{endpoint.port}/flush"))

    with serve(context) as endpoint:
        assert told(endpoint).found == "nobody answered: ConnectError"
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        assert told(endpoint).accepted


def test_a_broken_record_stops_nothing_and_is_taken_up_when_it_is_repaired(tmp_path: Path) -> None:
    world = begin(tmp_path / "state", team(tmp_path))
    world.reconciler.step(seen([rollout()], [run()]))
    world.team.pull()
    (path,) = world.team.files("incidents")
    file = world.team.tree / path
    whole = file.read_text()
    for text in ("kind: Incident\n", whole.replace("  after:", "  afterwards:"), "<<<<<<< ours\n"):
        file.write_text(text)
        git("commit", "-aqm", "Break the record", cwd=world.team.tree)
        git("push", "-q", "origin", "main", cwd=world.team.tree)
        world.clock.pass_(seconds=20)
        world.reconciler.step(seen([rollout(version=12, phase="stable")]))
    assert world.team.log()[0] == "Break the record", "nothing is written over what a person did"

    # Another model is served all the same, by this process and by one that starts on the broken record.
    at = BEGIN + timedelta(minutes=1)
    alone = begin(tmp_path / "other", world.team, world.clock)
    policy = yaml.safe_load(world.team.show("policies/ranker/policy.yaml"))
    serving = int(policy["spec"]["environments"]["production"]["serve"]["version"])
    failed = run(model="ranker", version=serving)
    alone.reconciler.step(seen([rollout(model="ranker", version=serving, at=at)], [failed]))
    assert world.team.log()[0].startswith("Roll ranker back to")

    world.team.pull()
    file.write_text(whole)
    git("commit", "-aqm", "Repair the record", cwd=world.team.tree)
    git("push", "-q", "origin", "main", cwd=world.team.tree)
    for each in (world, alone):
        each.reconciler._branch.fetch()
        each.reconciler.step(seen([rollout(version=12, phase="stable")]))
    assert world.team.log()[0] == "Close the incident of sentiment in production: recovered"


def test_an_environment_that_moves_is_not_watched_where_it_was(tmp_path: Path) -> None:
    """Nothing fails in a namespace that is empty."""
    world = begin(tmp_path / "state", team(tmp_path))
    world.team.edit("environments/production.yaml", "namespace: models", "namespace: models-2")
    world.team.push("Move production")
    with pytest.raises(RefusedError, match="names the namespace models-2, and models is watched"):
        world.reconciler.step(seen([rollout()], [run()]))
    begin(tmp_path / "other", world.team)


def test_people_are_called_when_what_fails_cannot_be_gone_back_from(tmp_path: Path) -> None:
    """Their alert is one that mrc acts on: if it can not, and says so in its log alone, nobody comes."""
    world = begin(tmp_path / "state", team(tmp_path))
    path = world.team.tree / f"policies/{MODEL}/policy.yaml"
    text = path.read_text()
    path.write_text("spec: [\n")
    world.team.push("Break the policy")
    failed = seen([rollout()], [run()])
    world.reconciler.step(failed)
    (page,) = world.monitored.pages
    assert page["annotations"]["summary"] == "production: version 13 of sentiment failed, and the policy cannot be read"
    path.write_text(text)
    world.team.push("Repair the policy")
    world.reconciler._quiet.clear()
    world.reconciler.step(failed)
    assert world.team.log()[0] == "Roll sentiment back to 12 in production"
    assert world.monitored.pages[-1]["endsAt"] == "2026-11-20T09:00:00Z", "it stands on"


def test_a_policy_that_somebody_broke_does_not_end_the_incident_wrongly(tmp_path: Path) -> None:
    world = begin(tmp_path / "state", team(tmp_path))
    world.reconciler.step(seen([rollout()], [run()]))
    world.team.pull()
    file = world.team.tree / f"policies/{MODEL}/policy.yaml"
    file.write_text("<<<<<<< ours\n" + file.read_text())
    git("commit", "-aqm", "Merge badly", cwd=world.team.tree)
    git("push", "-q", "origin", "main", cwd=world.team.tree)
    world.clock.pass_(seconds=20)
    world.reconciler._branch.fetch()
    world.reconciler.step(seen([rollout(version=12, phase="progressing")]))
    assert "outcome" not in record(world), "nobody can tell what git names"
    world.reconciler.step(seen([rollout(version=12, phase="stable")]))
    assert record(world)["outcome"]["state"] == "recovered"
