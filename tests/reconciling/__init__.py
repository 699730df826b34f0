"""A team's repository with a bare remote, and a cluster that says what a test lets it say."""

from __future__ import annotations

import functools
import hashlib
import io
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from conftest import mrc
from mrc.reconcile.forges import forge
from mrc.reconcile.git import Git
from mrc.reconcile.ledger import Identity, Ledger
from mrc.reconcile.monitoring import MonitoringError
from mrc.reconcile.proposals import Proposals
from mrc.reconcile.reconciler import Reconciler, Seen
from mrc.reconcile.signals import aborted, running
from mrc.reconcile.telemetry import Telemetry
from mrc.schema.reconcile import Reconcile

TOP = Path(__file__).parents[2]
BEGIN = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
ENVIRONMENT = "production"
MODEL = "sentiment"
TOKEN = "s3cret-token"
PERSON = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER")
          for what, value in (("NAME", "A Person"), ("EMAIL", "person@example.com"))}  # fmt: skip


def git(*arguments: str | Path, cwd: Path) -> str:
    """Standard output of git, without the machine's configuration."""
    quiet = {**os.environ, **PERSON, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    command = ["git", *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, env=quiet, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout.strip()


@dataclass
class Team:
    """A work tree on main, and the bare remote that it pushes to."""

    tree: Path
    remote: Path

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace what stands exactly once in a file."""
        path = self.tree / file
        text = path.read_text()
        assert text.count(old) == 1, text
        path.write_text(text.replace(old, new))

    def publish(self, message: str = "Change") -> str:
        """Render, commit, push. The commit."""
        done = mrc("render", cwd=self.tree)
        assert done.returncode == 0, done.stderr
        return self.push(message)

    def push(self, message: str) -> str:
        """Commit and push what is there. The commit."""
        git("add", "-A", cwd=self.tree)
        git("commit", "-q", "-m", message, cwd=self.tree)
        git("push", "-q", "origin", "main", cwd=self.tree)
        return git("rev-parse", "HEAD", cwd=self.tree)

    def pull(self) -> None:
        """Take what others pushed."""
        git("pull", "-q", "--ff-only", "origin", "main", cwd=self.tree)

    def log(self) -> list[str]:
        """The subjects on the remote's main, the newest first."""
        return git("log", "--format=%s", "main", cwd=self.remote).splitlines()

    def show(self, path: str) -> str:
        """A file of the remote's main."""
        return git("show", f"main:{path}", cwd=self.remote)

    def files(self, under: str) -> list[str]:
        """The paths below a folder of the remote's main."""
        return git("ls-tree", "-r", "--name-only", "main", "--", under, cwd=self.remote).splitlines()


def team(
    folder: Path,
    *,
    reconcile: str = "mode: commit",
    serve: str = "{version: 13, fallback: 12}",
    policy: str = "",
    prometheus: str = "",
) -> Team:
    """The example fleet, pushed, with sentiment 13 on its way in production; its files can be read.

    `policy` is added to what its policy says of production; `prometheus` is an address in the place of its own.
    """
    made = Team(folder / "tree", folder / "remote.git")
    for path, data in _rendered(serve, policy, prometheus).items():
        (made.tree / path).parent.mkdir(parents=True, exist_ok=True)
        (made.tree / path).write_bytes(data)
    with (made.tree / f"environments/{ENVIRONMENT}.yaml").open("a") as file:
        file.write(f"  reconcile: {{{reconcile}, verify: 0s}}\n")  # which renders to nothing
    git("init", "-q", "--bare", "-b", "main", made.remote, cwd=folder)
    git("init", "-q", "-b", "main", cwd=made.tree)
    git("remote", "add", "origin", made.remote, cwd=made.tree)
    made.push("Promote sentiment 13")
    return made


@functools.cache
def _rendered(serve: str, policy: str, prometheus: str) -> Mapping[str, bytes]:
    """Its files, rendered once for all tests that begin with the same."""
    with tempfile.TemporaryDirectory() as folder:
        made = Team(Path(folder), Path())
        for name in ("policies", "environments"):
            shutil.copytree(TOP / name, made.tree / name)
        shutil.copy(TOP / "mrc.yaml", made.tree)
        if prometheus:
            made.edit(f"environments/{ENVIRONMENT}.yaml", '"http://prometheus.monitoring:9090"', f'"{prometheus}"')
        made.edit(f"policies/{MODEL}/policy.yaml", "serve: {version: 12, fallback: 11}", f"serve: {serve}")
        if policy:
            made.edit(f"policies/{MODEL}/policy.yaml", "      promotesFrom:", f"      {policy}\n      promotesFrom:")
        environment = made.tree / f"environments/{ENVIRONMENT}.yaml"
        plain = environment.read_text()
        environment.write_text(f"{plain}  reconcile: {{plainHosts: [127.0.0.1]}}\n")  # or a hook is an error
        done = mrc("render", cwd=made.tree)
        assert done.returncode == 0, done.stderr
        environment.write_text(plain)
        return {str(path.relative_to(folder)): path.read_bytes() for path in made.tree.rglob("*") if path.is_file()}


def rollout(
    *,
    model: str = MODEL,
    version: int = 13,
    phase: str = "aborted",
    at: datetime = BEGIN,
    message: str = "",
    **more: Any,
) -> dict[str, Any]:
    """A Rollout, as the API server has it."""
    digest = hashlib.sha256(f"{model}{version}".encode()).hexdigest()[:10]
    status: dict[str, Any] = {"observedGeneration": "7", "currentPodHash": digest, "stableRS": "fffffff"}
    if phase == "aborted":
        said = message or (
            'RolloutAborted: Rollout aborted update to revision 4: Background analysis phase failed: Metric "errors" '
            "assessed Failed due to failed (1) > failureLimit (0)"
        )
        status |= {
            "abort": True, "abortedAt": f"{at:%Y-%m-%dT%H:%M:%SZ}", "phase": "Degraded",
            "conditions": [{"type": "Progressing", "status": "False", "reason": "RolloutAborted", "message": said}],
        }  # fmt: skip
    elif phase == "stable":
        status |= {"phase": "Healthy", "stableRS": digest}
    else:
        status |= {"phase": "Progressing"}
    return {
        "metadata": {
            "name": model, "namespace": "models", "uid": f"rollout-{model}", "generation": 7,
            "labels": {"mrc.dev/model": model, "mrc.dev/environment": ENVIRONMENT}, **more,
        },
        "spec": {"template": {"metadata": {"labels": {"mrc.dev/version": str(version)}}}},
        "status": status,
    }  # fmt: skip


def run(*, model: str = MODEL, version: int = 13, phase: str = "Failed", uid: str = "run-1") -> dict[str, Any]:
    """The AnalysisRun of a Rollout."""
    digest = hashlib.sha256(f"{model}{version}".encode()).hexdigest()[:10]
    measured = [{"phase": phase, "value": "[1]", "startedAt": "2026-11-20T08:59:50Z"}]
    return {
        "metadata": {
            "uid": uid, "name": f"{model}-{uid}", "labels": {"rollouts-pod-template-hash": digest},
            "ownerReferences": [{"uid": f"rollout-{model}", "kind": "Rollout"}],
        },
        "status": {
            "phase": phase, "message": f'Metric "errors" assessed {phase} due to failed (1) > failureLimit (0)',
            "metricResults": [{"name": "errors", "phase": phase, "failed": 1, "measurements": measured}],
        },
    }  # fmt: skip


def alert(*, model: str = MODEL, version: int = 13, at: datetime = BEGIN, guardrail: str = "errors") -> dict[str, Any]:
    """An alert, as Alertmanager tells it."""
    own = {"alertname": "ModelWorse", "environment": ENVIRONMENT, "guardrail": guardrail, "model": model,
           "version": str(version), "mrc_action": "rollback"}  # fmt: skip
    fingerprint = hashlib.sha256(f"{model}{version}{guardrail}".encode()).hexdigest()[:16]
    return {
        "labels": own, "annotations": {"summary": f"{model} {version} is worse: {guardrail}"},
        "startsAt": f"{at:%Y-%m-%dT%H:%M:%S.000Z}", "fingerprint": fingerprint, "status": {"state": "active"},
    }  # fmt: skip


@dataclass
class Monitored:
    """Prometheus and Alertmanager, as a test wants them."""

    unhealthy: tuple[str, ...] = ()
    bad: set[tuple[str, str, int]] = field(default_factory=set)
    pages: list[Mapping[str, Any]] = field(default_factory=list)
    deaf: bool = False
    silent: bool = False

    def problems(self, healthy: Mapping[str, str]) -> tuple[str, ...]:
        return self.unhealthy

    def worse(self, environment: str, model: str, guardrail: str, version: int) -> str | None:
        return "is 0.2, the limit is 0.01" if (model, guardrail, version) in self.bad else None

    def verdicts(self, environment: str, model: str, version: int) -> dict[str, bool]:
        if self.silent:
            raise MonitoringError("Prometheus does not answer")
        worse = {name for each, name, number in self.bad if (each, number) == (model, version)}
        return {"errors": False, **dict.fromkeys(worse, True)}

    def page(self, alerts: Iterable[Mapping[str, Any]]) -> None:
        if self.deaf:
            raise MonitoringError("Alertmanager does not answer")
        self.pages += list(alerts)


@dataclass
class Clock:
    """The time, which a test moves."""

    now: datetime = BEGIN

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **length: float) -> None:
        """Let time pass."""
        self.now += timedelta(**length)


@dataclass
class World:
    """A team, a reconciler of it, and what they see."""

    team: Team
    reconciler: Reconciler
    monitored: Monitored
    clock: Clock
    log: io.StringIO


def begin(
    folder: Path,
    made: Team,
    clock: Clock | None = None,
    monitored: Monitored | None = None,
    environment: str = ENVIRONMENT,
    **more: Any,
) -> World:
    """A started reconciler of an environment of a team."""
    clock, monitored, log = clock or Clock(), monitored or Monitored(), io.StringIO()
    ledger = Ledger(Git(folder), str(made.remote), "main", Identity(email="mrc@example.com"))
    telemetry = Telemetry(log)

    def proposing(settings: Reconcile) -> Proposals:
        assert settings.forge is not None
        return Proposals(ledger, forge(settings.forge, "main", lambda: TOKEN), environment, telemetry)

    found = Reconciler(ledger, environment, monitored, telemetry, clock, proposing=proposing, **more)
    found.start()
    return World(made, found, monitored, clock, log)


def seen(
    rollouts: Iterable[Mapping[str, Any]] = (), runs: Iterable[Mapping[str, Any]] = (), more: Iterable[Any] = ()
) -> Seen:
    """What a service would see of these objects."""
    rollouts, runs = list(rollouts), list(runs)
    found = Seen(list(more))
    for each in rollouts:
        state = running(each, ENVIRONMENT)
        if state is not None:
            found.running[state.model] = state
        failure = aborted(each, runs, ENVIRONMENT)
        if failure is not None:
            found.failures.append(failure)
    return found
