"""A forge, a remote or a colleague that means harm, or is broken: no crash, no token told, nothing merged for them."""

from __future__ import annotations

import base64
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from judges import servers
from mrc.reconcile import hooks, monitoring, signals
from mrc.reconcile.forges import Forge as Asked
from mrc.reconcile.forges import ForgeError, Request, client, forge
from mrc.reconcile.git import Git, GitError
from mrc.reconcile.gittree import GitTree
from mrc.reconcile.hooks import Call, Caller
from mrc.reconcile.ledger import Identity, Ledger
from mrc.reconcile.monitoring import Monitoring, MonitoringError
from mrc.schema.reconcile import Forge as Settings
from reconciling import BEGIN, MODEL, TOKEN, alert, git, rollout, run, seen
from reconciling.pull_requests import Forge, Pull, serve
from reconciling.remotes import http, keygen
from test_pull_requests import start
from test_transport import bare, by_http

KINDS = ["github", "gitlab", "gitea"]
POLICY = f"policies/{MODEL}/policy.yaml"
SHAPES: dict[str, Any] = {
    "nothing": None, "a list": [1], "a text": "x", "no fields": {}, "a list of nothing": [None],
    "a list of lists": [[]],
    "wrong types": {"number": [], "state": 7, "head": "x", "permissions": "all", "merged": {}, "sha": 1, "iid": "x"},
    "a number too many": [{"number": 1, "state": "open", "head": {"ref": "b", "sha": None}, "iid": 1}],
}  # fmt: skip


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mrc.reconcile.reconciler.RECHECK_SECONDS", 0.0)
    monkeypatch.setattr("mrc.reconcile.proposals.LOOK_SECONDS", 0.0)


def asking(kind: str, api: str) -> Asked:
    key = "project" if kind == "gitlab" else "repository"
    return forge(Settings.model_validate({kind: {key: "example/models", "api": api}}), "main", lambda: TOKEN)


def methods(asked: Asked) -> list[Callable[[], object]]:
    request = Request(1, "open", "0" * 40, "", "PR_1")
    return [
        asked.prove, asked.takes, lambda: asked.find("b"), lambda: asked.open("b", "title", "body"),
        lambda: asked.merge(request), lambda: asked.close(request, "why"),
    ]  # fmt: skip


@pytest.mark.parametrize("status", [200, 201, 422])
@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_of_another_shape_ends_in_words_and_not_in_a_crash(
    kind: str, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "TRIES", 1)
    with serve(kind, tmp_path) as there:
        asked = asking(kind, there.api)
        for shape in SHAPES.values():
            there.answer = lambda *_, shape=shape: (status, shape)  # type: ignore[method-assign]
            for method in methods(asked):
                with contextlib.suppress(ForgeError):
                    method()


def raw(answer: bytes, pause: float = 0.0) -> Iterator[str]:
    """A server that says this to everybody, byte by byte where there is a pause; its address."""
    listener = socket.create_server(("127.0.0.1", 0))

    def tell() -> None:
        while True:
            try:
                asked, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=one, args=(asked,), daemon=True).start()

    def one(asked: socket.socket) -> None:
        with asked:
            asked.recv(1 << 16)
            try:
                for part in [answer[:64], *(bytes([each]) for each in answer[64:])] if pause else [answer]:
                    asked.sendall(part)
                    time.sleep(pause)
            except OSError:
                return

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    # Who still waits for a call would take those of the next socket that has its number.
    listener.shutdown(socket.SHUT_RDWR)
    teller.join()
    listener.close()


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n"
PAGE = b"<html><title>Sign in</title>" + TOKEN.encode()
BODIES = {
    "a page to sign in": (HEAD % (b"text/html", len(PAGE)) + PAGE, "no JSON"),
    "deeper than a parser goes": (HEAD % (b"application/json", 100_000) + b"[" * 100_000, "no JSON"),
    "more than anybody reads": (HEAD % (b"application/json", 9 << 20) + b" " * (9 << 20), "too long"),
    "no HTTP at all": (b"SSH-2.0-OpenSSH\r\n", "does not answer"),
    "half of it": (HEAD % (b"application/json", 100) + b"{", "does not answer"),
}


@pytest.mark.parametrize("what", BODIES)
def test_what_is_no_answer_is_told_in_a_word(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "TRIES", 1)
    answer, said = BODIES[what]
    for url in raw(answer):
        with pytest.raises(ForgeError, match=said) as fault:
            asking("github", url).find("b")
        assert TOKEN not in str(fault.value)
        if said != "too long":
            with pytest.raises(MonitoringError):
                Monitoring(url, url).alerts("production")
            with pytest.raises(MonitoringError):
                Monitoring(url, url).value("up")


@pytest.mark.parametrize("what", ["head", "body"])
@pytest.mark.parametrize("who", ["forge", "monitoring", "hook"])
def test_an_answer_that_drips_is_given_up(who: str, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No read takes long, and the whole would take minutes."""
    monkeypatch.setattr(client, "TRIES", 1)
    for module in (client, monitoring, hooks):
        monkeypatch.setattr(module, "WHOLE", 1.0)
    head = HEAD % (b"application/json", 1000)
    answer = head + b" " * 1000 if what == "body" else head[:-4] + b"\r\nX-Drip: " + b"x" * 1000
    for url in raw(answer, pause=0.1):
        begin = time.monotonic()
        if who == "forge":
            with pytest.raises(ForgeError, match="does not answer: ReadTimeout") as fault:
                asking("github", url).find("b")
            assert fault.value.temporary
        elif who == "monitoring":
            with pytest.raises(MonitoringError, match="ReadTimeout"):
                Monitoring(url, url).alerts("production")
        else:
            told = None
            caller = Caller(lambda: BEGIN, ["127.0.0.1"])
            while told is None and time.monotonic() - begin < 60:
                told = caller(Call("20261120-090000-12345678", "flushCache", url, b"{}"))
                time.sleep(0.01)
            assert told is not None
            # The status is all that is read of it.
            assert told.found == ("HTTP status 200" if what == "body" else "nobody answered: ReadTimeout")
        assert time.monotonic() - begin < 60


def test_a_prometheus_that_hangs_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand open incidents ask it in each round, and /healthz has two minutes of patience."""
    asked = 0

    class Handler(servers.Quiet):
        def _answer(self) -> None:
            nonlocal asked
            asked += 1
            over.wait(60)

        do_GET = _answer  # noqa: N815

    over = threading.Event()
    with servers.answering(Handler) as port:
        found = Monitoring(f"http://127.0.0.1:{port}", None, seconds=0.3)
        for _ in range(100):
            with pytest.raises(MonitoringError):
                found.verdicts("production", MODEL, 12)
        assert asked == 1
        assert "a moment ago" in found.problems({})[0]
        monkeypatch.setattr(monitoring, "SILENT", 0.0)
        found = Monitoring(found.prometheus, None, seconds=0.3)
        for _ in range(2):
            assert "ReadTimeout" in found.problems({})[0], "later it is asked again"
        over.set()


def test_a_remote_that_says_the_token_is_not_repeated(tmp_path: Path) -> None:
    remote = bare(tmp_path)
    sent = base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()
    hook = remote / "hooks/pre-receive"
    hook.write_text(f"#!/bin/sh\necho you are {TOKEN}, Authorization: Basic {sent} >&2\nexit 1\n")
    hook.chmod(0o755)
    with http(remote) as server:
        ledger = by_http(tmp_path, server)
        commit = ledger.commit(ledger.fetch(), {"README.md": b"hello\n"}, "Say hello", BEGIN)
        assert commit is not None
        pushed = ledger.push(commit)
    assert pushed.state == "refused"
    assert "you are ***" in pushed.text
    assert not {TOKEN, sent} & set(pushed.text.replace(",", " ").split())


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Forge]:
    with serve("github", tmp_path / "remote.git") as found:
        yield found
    assert found.strange == []


def push(folder: Path, remote: Path, branch: str, path: str, *how: str) -> str:
    """A colleague pushes a change to a branch; into its last commit, unless it says how else."""
    git("clone", "-q", "-b", branch, remote, folder, cwd=remote)
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("anything\n")
    git("add", "-A", cwd=folder)
    git("commit", "-q", *(how or ("--amend", "--no-edit")), cwd=folder)
    git("push", "-q", "-f", "origin", branch, cwd=folder)
    return git("rev-parse", "HEAD", cwd=folder)


def test_what_a_colleague_hides_in_mrcs_branch_is_not_merged_for_them(hub: Forge, tmp_path: Path) -> None:
    world = start(tmp_path, hub)
    world.reconciler.step(seen([rollout()], [run()]))
    (pull,) = hub.pulls
    own = hub.head(pull.branch)
    theirs = push(tmp_path / "theirs", hub.remote, pull.branch, "policies/other/policy.yaml")
    for _ in range(2):
        world.reconciler.step(seen([rollout()], [run()]))
    again = start(tmp_path, hub, world.clock, "other")
    again.reconciler.step(seen([rollout()], [run()]))
    assert pull.automatic == own, "mrc asked for what a colleague wrote"
    assert hub.head(pull.branch) == theirs, "nor is it overwritten"
    assert len(hub.pulls) == 1
    for log in (world.log.getvalue(), again.log.getvalue()):
        assert log.count("somebody else has changed the branch") == 1


def test_a_branch_that_closes_an_incident_and_more_is_not_asked_for(hub: Forge, tmp_path: Path) -> None:
    world = start(tmp_path, hub)
    world.reconciler.step(seen([rollout()], [run()]))
    (pull,) = hub.pulls
    hub.pass_checks()
    world.reconciler.step(seen([rollout()], [run()]))
    forged = pull.branch.replace("/rollback/", "/close/")
    git("branch", forged, "main", cwd=hub.remote)
    push(tmp_path / "theirs", hub.remote, forged, POLICY, "-m", "Close it")
    world.reconciler.step(seen([rollout()], [run()]))
    assert len(hub.pulls) == 1, "mrc asked for a colleague's policy"
    assert "somebody else has changed the branch" in world.log.getvalue()


def test_a_branch_that_cannot_be_read_holds_up_no_other_work(
    hub: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = start(tmp_path, hub)
    world.reconciler.step(seen([rollout()], [run()]))
    (pull,) = hub.pulls
    theirs = push(tmp_path / "theirs", hub.remote, pull.branch, "policies/other/policy.yaml")

    def gone(ledger: Ledger, commit: str) -> GitTree:
        raise GitError(128, "not our ref")

    monkeypatch.setattr(Ledger, "bring", gone)
    world.reconciler.step(seen([rollout()], [run()]))
    assert "it cannot be seen whether" in world.log.getvalue()
    assert pull.automatic != theirs


def test_a_record_that_somebody_else_wrote_holds_nothing_up(hub: Forge, tmp_path: Path) -> None:
    """It says that the version was asked about already, and would count for cooldown, breaker and blast radius."""
    world = start(tmp_path, hub)
    world.reconciler.step(seen([rollout()], [run(uid="run-0")]))
    (pull,) = hub.pulls
    theirs = push(tmp_path / "theirs", hub.remote, pull.branch, "policies/other/policy.yaml")
    assert hub.head(pull.branch) == theirs
    again = start(tmp_path, hub, world.clock, "other")
    for _ in range(2):
        again.reconciler.step(seen([rollout()], [run(uid="run-0")]))
    assert len(hub.pulls) == 1, "what a person has changed is theirs"
    again.reconciler.step(seen([rollout()], [run(uid="run-1")]))
    assert [one.title for one in hub.pulls] == ["Roll sentiment back to 12 in production"] * 2


@pytest.mark.parametrize("signs", [True, False])
def test_only_who_has_the_key_writes_in_mrcs_name(hub: Forge, tmp_path: Path, signs: bool) -> None:
    """A colleague runs mrc, too: what it writes of a failure that never was is byte for byte what mrc would write."""
    forger, answer = start(tmp_path, hub), hub.answer
    # It pushes the branch, and has no token to ask for more.
    hub.answer = lambda *given: answer(*given) if not hub.asked else (403, None)  # type: ignore[method-assign]
    forger.reconciler.step(seen([rollout()], [run(uid="invented")]))
    hub.answer = answer  # type: ignore[method-assign]
    assert git("for-each-ref", "refs/heads/mrc/production/rollback/", cwd=hub.remote)
    assert hub.pulls == []
    world = start(tmp_path, hub, forger.clock, "other")
    if signs:
        world.reconciler.ledger.identity = Identity("mrc", "mrc@example.com", keygen(tmp_path / "signing"))
    world.reconciler.step(seen([rollout(phase="progressing")]))
    assert len(hub.pulls) == (0 if signs else 1), "without a signature nobody can tell"
    if signs:
        world.reconciler.step(seen([rollout()], [run()]))
        (pull,) = hub.pulls
        assert pull.automatic == hub.head(pull.branch), "nor does it hold up what is the case"


@pytest.mark.parametrize("pages", [False, True])
def test_a_process_that_lost_everything_knows_the_branches_of_mrc_when_main_has_moved(
    hub: Forge, tmp_path: Path, pages: bool
) -> None:
    world = start(tmp_path, hub)
    world.monitored.unhealthy = ("nodes is 0",)
    failing = signals.alerts([alert()], "production")
    world.reconciler.step(seen([rollout(phase="stable")], more=failing) if pages else seen([rollout()], [run()]))
    (pull,) = hub.pulls
    assert ("needs a person" in pull.title) is pages
    (world.team.tree / "README.md").write_text("hello\n")
    world.team.publish("Say hello")
    pull.automatic = None  # somebody switched it off
    again = start(tmp_path, hub, world.clock, "other")
    again.reconciler.step(seen([rollout(phase="progressing")]))
    assert pull.automatic == hub.head(pull.branch)
    assert "somebody else" not in again.log.getvalue()


@pytest.mark.parametrize("state", ["open", "closed"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_fork_with_a_branch_of_the_same_name_decides_nothing(kind: str, state: str, tmp_path: Path) -> None:
    """Whoever may fork could close a rollback before it is asked for, or have theirs looked at in its place."""
    git("init", "-q", "--bare", ".", cwd=tmp_path)
    with serve(kind, tmp_path) as there:
        there.pulls.append(Pull(1, "mrc/production/rollback/x", "main", "Help", "", state, fork=True))
        assert asking(kind, there.api).find("mrc/production/rollback/x") is None


def test_a_remote_that_never_stops_talking_is_not_listened_to_for_ever(tmp_path: Path) -> None:
    """What it says is kept in memory, and told in a line of the log."""
    flood = "alias.flood=!yes flood | head -c 8000000 >&2; echo the end >&2; exit 3"
    with pytest.raises(GitError) as fault:
        Git(tmp_path / "state").run("-c", flood, "flood")
    assert str(fault.value).endswith("the end")
    assert len(str(fault.value)) <= 2000
