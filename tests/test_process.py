"""`mrc reconcile` as people run it: a process that is killed, started again, told to end, or that lacks a right."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import mrc
from reconciling import Team, git, team
from reconciling.github_app import INSTALLATION, NAME, Installations, pem, private_key
from reconciling.process import Around, Life, around, living
from reconciling.pull_requests import Forge, serve
from reconciling.remotes import Http, http

POLICY = "policies/sentiment/policy.yaml"


class Place:
    """A team, its remote over HTTP, its forge, and the world around; each asks for the token of one GitHub App."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self.remote = folder, folder / "remote.git"
        self.app = Installations()
        self.forge: Forge = stack.enter_context(serve("github", self.remote))
        self.http: Http = stack.enter_context(http(self.remote))
        self.around: Around = stack.enter_context(around(self.remote))
        self.rule = ""
        self.forge.app, self.http.accepts = self.app, self.app.accepts
        self.config = self.around.kubeconfig(folder / "kubeconfig")
        self.options: tuple[str | Path, ...] = (
            "--github-app", NAME, "--github-installation", str(INSTALLATION),
            "--github-key", pem(self.app.key, folder / "app.pem"), "--github-api", self.forge.api,
        )  # fmt: skip

    def team(self, mode: str = "pullRequest") -> Team:
        there = f"mode: {mode}, alertmanager: {self.around.url}/alertmanager, {self.forge.settings}"
        return team(self.folder, reconcile=there, prometheus=f"{self.around.url}/prometheus")

    def living(self, name: str = "one") -> Any:
        return living(self.http.url, self.folder / name, self.config, *self.options)

    def told(self) -> str:
        """Everything that was said by all processes, with what people can read on the forge."""
        logs = "".join(path.read_text() for path in self.folder.rglob("*.log"))
        return logs + "".join(f"{pull.title}{pull.body}{pull.comments}" for pull in self.forge.pulls)

    def keeps_its_secrets(self) -> None:
        """Neither key nor token stands where people or other processes look."""
        key = (self.folder / "app.pem").read_text().split("\n")[1]
        everything = self.told() + git("log", "-p", "--all", cwd=self.remote)
        for secret in (key, "eyJhbGci", *self.app.given):
            assert secret not in everything


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with ExitStack() as stack:
        found = Place(tmp_path, stack)
        yield found
        assert found.forge.strange == found.around.strange == []


def arguments(life: Life) -> str:
    """What whoever lists processes sees of it and its children."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(folder.name)) == life.process.pid:
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    assert found
    return "\n".join(found)


PULLS = "/api/v3/repos/example/models/pulls"
MOMENTS = [("before", f"GET {PULLS}?"), ("before", f"POST {PULLS}"), ("after", f"POST {PULLS}"),
           ("after", "POST /api/graphql")]  # fmt: skip


def test_who_is_killed_while_it_asks_for_a_pull_request_asks_once_and_ends_calmly(place: Place) -> None:
    made = place.team()
    for when, request in MOMENTS:
        with place.living() as life:

            def kill(now: str, asked: str, when: str = when, request: str = request, life: Life = life) -> bool:
                if now != when or not asked.startswith(request):
                    return False
                life.process.kill()
                return life.ended() != 0

            place.forge.moment = kill
            assert life.ended() == -signal.SIGKILL, life.said()
    place.forge.moment = lambda when, request: None
    assert len(place.forge.pulls) == 1, place.told()
    with place.living() as life:
        (pull,) = place.forge.pulls
        life.until("it is to be merged", lambda: pull.automatic)
        assert pull.title == "Roll sentiment back to 12 in production"
        assert made.log() == ["Promote sentiment 13"], "main moved without a request"
        seen = arguments(life)
        place.forge.pass_checks()
        life.until("the incident is closed", lambda: life.said().count("the pull request is merged") == 2)
        life.process.terminate()
        assert life.ended() == 0
        assert life.lines()[-1]["message"] == "ended"
        assert "commits are not signed" in life.said()
    assert [one.title for one in place.forge.pulls] == [
        "Roll sentiment back to 12 in production", "Close the incident of sentiment in production: recovered",
    ]  # fmt: skip
    assert "serve: {version: 12, fallback: 11}" in made.show(POLICY)
    record = yaml.safe_load(made.show(made.files("incidents")[0]))["spec"]
    assert (record["verdict"], record["outcome"]["state"]) == ("rejected", "recovered")
    assert not place.around.pages
    assert len(place.app.given) == len(MOMENTS) + 1, "each process asked for one token"
    assert not [secret for secret in place.app.given if secret in seen]
    place.keeps_its_secrets()
    made.pull()
    assert mrc("render", "--check", cwd=made.tree).returncode == 0


LACKS: dict[str, tuple[str, dict[str, Any], str]] = {
    "the remote takes no push": ("commit", {"http.reads": True}, "the remote would not let mrc push"),
    "the branch is protected": ("commit", {"forge.guarded": True}, "the rules of main would not let mrc push"),
    "a rule of the remote": ("commit", {"place.rule": "main is protected"}, "hook declined); main is protected"),
    "no pull requests": ("pullRequest", {"forge.scope": False}, "the token may not ask for pull requests"),
    "no key to sign with": ("pullRequest", {"place.options": ("--signing-key", "/dev/null")}, "or not sign it"),
    "no watch": ("observe", {"around.denied": {"watch rollouts"}}, "let mrc watch rollouts (argoproj.io) in the"),
    "an App of somebody else": ("commit", {"app.key": private_key()}, "GitHub gives the App"),
}  # fmt: skip


@pytest.mark.parametrize("lack", LACKS)
def test_who_lacks_a_right_says_which_at_its_start_and_ends(place: Place, lack: str) -> None:
    mode, lacks, said = LACKS[lack]
    made = place.team(mode)
    for name, value in lacks.items():
        owner, _, what = name.partition(".")
        there = place if owner == "place" else getattr(place, owner)
        setattr(there, what, (*place.options, *value) if what == "options" else value)
    if place.rule:
        hook = place.remote / "hooks/pre-receive"
        hook.write_text(f"#!/bin/sh\n! grep -q refs/heads/main$ || {{ echo {place.rule} >&2; exit 1; }}\n")
        hook.chmod(0o755)
    with place.living() as life:
        assert life.ended() == 1
        last = life.lines()[-1]
        assert (last["message"], last["level"]) == ("the reconciler cannot work", "error")
        assert said in last["error"]
        assert "Traceback" not in life.said()
    assert made.log() == ["Promote sentiment 13"]
    assert not place.forge.pulls
    place.keeps_its_secrets()


def test_two_processes_that_see_one_failure_at_once_make_one_rollback_and_say_why(place: Place) -> None:
    made = place.team("commit")
    # No push is taken before both have decided on their own.
    hook = place.remote / "hooks/pre-receive"
    decided = " && ".join(f"grep -q decided {place.folder / name}/1.log" for name in ("one", "two"))
    hook.write_text(f"#!/bin/sh\nfor try in $(seq 200); do {decided} && exit 0; sleep 0.05; done\n")
    hook.chmod(0o755)
    place.around.bad = None
    with (
        living(str(place.remote), place.folder / "one", place.config) as one,
        living(str(place.remote), place.folder / "two", place.config) as two,
    ):
        both = (one, two)
        for life in both:
            life.until("it watches", lambda life=life: "watching" in life.said())
        place.around.bad = 13
        one.until("the incident is closed", lambda: made.log()[0].startswith("Close the incident"))
        for life in both:
            life.until("it knows of the incident", lambda life=life: why(life))
        time.sleep(1)  # nothing comes after that
        for life in both:
            assert life.process.poll() is None, life.said()
            life.process.terminate()
        assert [life.ended() for life in both] == [0, 0]
    assert made.log() == [
        "Close the incident of sentiment in production: recovered", "Roll sentiment back to 12 in production",
        "Promote sentiment 13",
    ]  # fmt: skip
    assert len(made.files("incidents")) == 1
    # Both decided on it. Who decides the same within one second makes the same commit, and both may have pushed it;
    # nobody says that it pushed what git does not have.
    assert all("decided" in [line["message"] for line in life.lines()] for life in both)
    pushed = {line["commit"] for life in both for line in life.lines() if line["message"] == "pushed"}
    assert pushed <= set(git("rev-list", "main", cwd=made.remote).split()), place.told()
    assert "Traceback" not in place.told()


def why(life: Life) -> bool:
    """Whether it says that it pushed the way back itself, or that git has it."""
    pushed = any(line["message"] == "pushed" for line in life.lines())
    return pushed or "which git has" in life.said() or "somebody pushed first" in life.said()
