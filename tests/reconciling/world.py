"""The whole world in memory: reconcilers, people, a remote, clusters and a clock, which fail as they are told to.

Two reconcilers are of one environment, the third is of another one, in which the first of the models serves, too.

`World` only lets things happen. What must hold whatever happens is in `judge.py`.
"""

from __future__ import annotations

import functools
import io
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any
from unittest import mock

from mrc.compile import analyse, artifacts
from mrc.demo.cluster import Cluster
from mrc.diagnostics import Severity
from mrc.init import files as fresh
from mrc.parse import parse
from mrc.promote import PromotionError, promote
from mrc.read import Document, read
from mrc.reconcile import person, signals
from mrc.reconcile.branch import RefusedError
from mrc.reconcile.git import GitError
from mrc.reconcile.ledger import Pushed
from mrc.reconcile.monitoring import MonitoringError
from mrc.reconcile.reconciler import Reconciler, Seen
from mrc.reconcile.telemetry import Telemetry
from mrc.tree import MemoryTree, Overlay
from reconciling import BEGIN
from reconciling.memory import Commit, MemoryLedger, Remote

ENVIRONMENT, OTHER = "production", "europe"
ENVIRONMENTS = (ENVIRONMENT, OTHER)
MODELS = ("ads", "fraud", "spam")
PLACES = {ENVIRONMENT: MODELS, OTHER: MODELS[:1]}
"""The models of each environment."""
VERSIONS = (1, 2, 3, 4, 5)
GUARDRAIL = "errors"
_POLICY = """\
apiVersion: mrc.dev/v1alpha1
kind: RolloutPolicy
metadata: {name: NAME, team: hello}
spec:
  environments:
ENVIRONMENTS  guardrails:
    errors: {metric: error_ratio, max: 1%, tier: immediate}
    crashes: {metric: restarts, max: 2, tier: immediate}
"""
_OWN = """\
    WHERE:
      serve: {version: 2, fallback: 1} # a promotion or a rollback is this line
      replicas: 4
      expectedTraffic: 200/s
      canary: [{traffic: 20%, for: 10m}]
      bake: 10m
      warm: 24h
"""
_RECONCILE = "  reconcile: {mode: commit, verify: 0s, recover: 5m}\n"


class Killed(BaseException):
    """The process is gone; nothing may catch it."""


@functools.cache
def start() -> Mapping[str, bytes]:
    """The files of a small team, rendered."""
    source = fresh()
    found = {"mrc.yaml": source["mrc.yaml"], "README.md": b"0\n"}
    environment = source["environments/production.yaml"].decode()
    environment = environment[: environment.index("  limits:")] + _RECONCILE
    found[f"environments/{ENVIRONMENT}.yaml"] = environment.encode()
    for mine, its in ((ENVIRONMENT, OTHER), ("namespace: models", "namespace: eu"), ("models.example", "eu.example")):
        environment = environment.replace(mine, its)
    found[f"environments/{OTHER}.yaml"] = environment.encode()
    for name in MODELS:
        own = "".join(_OWN.replace("WHERE", place) for place, models in PLACES.items() if name in models)
        found[f"policies/{name}/policy.yaml"] = _POLICY.replace("NAME", name).replace("ENVIRONMENTS", own).encode()
        for number in VERSIONS:
            for kind in ("versions", "verdicts"):
                text = source[f"policies/hello-model/{kind}/2.yaml"].decode()
                text = text.replace("version: 2}", f"version: {number}}}").replace(
                    "hello-model/2/", f"{name}/{number}/"
                )
                found[f"policies/{name}/{kind}/{number}.yaml"] = text.replace("hello-model", name).encode()
    compiled = analyse(MemoryTree(found))
    assert not compiled.failed, compiled.diagnostics
    for place, models in PLACES.items():
        listed = "".join(f"- {name}\n" for name in models)
        found[f"rendered/{place}/kustomization.yaml"] = f"resources:\n{listed}".encode()
    for each in artifacts(compiled.fleet).values():
        found |= {artifact.path: artifact.text.encode() for artifact in each}
    return found


_read = functools.lru_cache(maxsize=4096)(read)


@functools.lru_cache(maxsize=4096)
def _parsed(file: str, text: str, kind: str) -> Any:
    return parse(_read(file, text.encode()), kind)


def _parse(document: Document, kind: str) -> Any:
    return _parsed(document.file, document.text, kind)


class Replica:
    """One process. `plan` says at which of its calls what goes wrong, once."""

    def __init__(self, world: World, name: str, environment: str = ENVIRONMENT) -> None:
        self.world, self.name, self.environment = world, name, environment
        self.plan: tuple[str, str] | None = None
        self.reconciler: Reconciler | None = None
        self.log = io.StringIO()

    def at(self, point: str) -> Pushed | None:
        """What happens at a call: nothing, usually."""
        if self.plan is None or self.plan[0] != point:
            return None
        (_, what), self.plan = self.plan, None
        if what == "kill":
            raise Killed
        if what == "hang":
            if point in ("push", "pushed"):  # nobody can tell on which side of it the connection broke
                return Pushed("unreachable", "the remote did not answer")
            if point in ("ask", "page"):
                raise MonitoringError("ReadTimeout")
            raise GitError(None, "git said nothing for 60 s, and was stopped")
        if what == "refuse":
            return Pushed("refused", "pre-receive hook declined") if point == "push" else None
        if what in ("other", "abroad"):
            number = {"other": self.name != "b", "abroad": 0 if self.environment == OTHER else 2}[what]
            there = self.world.replicas[number]
            if there is not self:
                there.step(self.world.seen(there.environment))
        elif what == "edit":
            self.world.readme()
        else:
            self.world.meanwhile(what)
        return None

    def step(self, seen: Seen) -> None:
        """One round of the service; a process that is gone is started again first."""
        world = self.world
        try:
            if self.reconciler is None:
                ledger = MemoryLedger(world.remote, f"mrc {self.environment}", self.at)
                seeing, telemetry = Monitored(self), Telemetry(self.log)
                made = Reconciler(ledger, self.environment, seeing, telemetry, world.clock)  # type: ignore[arg-type]
                made.start()
                self.reconciler = made
            self.reconciler.step(seen)
        except Killed:
            self.reconciler = None
        except (GitError, RefusedError):
            pass  # the service tells it, and comes round again
        finally:
            self.plan = None


class Monitored:
    """Prometheus and Alertmanager, as one replica meets them."""

    def __init__(self, replica: Replica) -> None:
        self.replica, self.cluster = replica, replica.world.clusters[replica.environment]

    def problems(self, healthy: Mapping[str, str]) -> tuple[str, ...]:
        try:
            self._ask()
        except MonitoringError as problem:
            return (f"Prometheus cannot be asked: {problem}",)
        return ("nodes is 0",) if self.replica.world.sick else ()

    def worse(self, environment: str, model: str, guardrail: str, version: int) -> str | None:
        self._ask()
        return self.cluster.worse(environment, model, guardrail, version)

    def verdicts(self, environment: str, model: str, version: int) -> Mapping[str, bool]:
        self._ask()
        return self.cluster.verdicts(environment, model, version)

    def page(self, alerts: Iterable[Mapping[str, object]]) -> None:
        self.replica.at("page")
        self.cluster.page(alerts)

    def _ask(self) -> None:
        self.replica.at("ask")
        if self.replica.world.blind:
            raise MonitoringError("ConnectError")


class World:
    """Everything. What cannot be done now is not done."""

    def __init__(self) -> None:
        self.now, self.skew = BEGIN, 0
        self.remote = Remote(start(), self.now)
        self.clusters = {place: Cluster(place) for place in ENVIRONMENTS}
        self.sick = self.blind = False
        self.stale: dict[str, Seen] = {}
        self.pulled: tuple[str, str, int] | None = None
        self.valid: dict[str, bytes] = {}
        self.replicas = (Replica(self, "a"), Replica(self, "b"), Replica(self, "c", OTHER))
        self.patches = [
            mock.patch("mrc.reconcile.reconciler.time", SimpleNamespace(monotonic=self._monotonic)),
            mock.patch("mrc.reconcile.branch.time", SimpleNamespace(monotonic=self._monotonic)),
            mock.patch("mrc.reconcile.evidence.BATCH", 1),
            # The same bytes are read again and again.
            mock.patch("mrc.load.read", _read),
            mock.patch("mrc.load.parse", _parse),
        ]
        for patch in self.patches:
            patch.start()
        self.sync()

    def close(self) -> None:
        """Give the clock back."""
        for patch in self.patches:
            patch.stop()

    def clock(self) -> datetime:
        """The time, as the reconcilers have it."""
        return self.now + timedelta(seconds=self.skew)

    def _monotonic(self) -> float:
        return (self.now - BEGIN).total_seconds()

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)
        self._advance()

    def _advance(self) -> None:
        for cluster in self.clusters.values():
            cluster.advance(self.now)

    # The clusters.

    @property
    def cluster(self) -> Cluster:
        """The one that most happens in."""
        return self.clusters[ENVIRONMENT]

    def sync(self) -> None:
        """What main says is applied."""
        for cluster in self.clusters.values():
            cluster.sync(MemoryTree(self.remote.head.files), self.now)
        self._advance()

    def turn(self, model: str, version: int, *, bad: bool, place: str = ENVIRONMENT) -> None:
        """A version answers badly, or well again."""
        if bad:
            self.clusters[place].bad[model, version, GUARDRAIL] = ("0.07", "0.01")
        else:
            self.clusters[place].bad.pop((model, version, GUARDRAIL), None)
        self._advance()

    def abort(self, model: str, how: str, place: str = ENVIRONMENT) -> None:
        """What else ends a rollout: a person, pods that do not become ready, telemetry that is gone."""
        rollout = self.clusters[place].rollouts[model]
        if rollout.promoted or rollout.aborted is not None:
            return
        if how == "telemetry":
            self.clusters[place].fail(rollout, GUARDRAIL, "Error", self.now)
        else:
            why = ': ReplicaSet "x" has timed out progressing.' if how == "deadline" else ""
            self.clusters[place].abort(rollout, why, self.now)

    def seen(self, place: str = ENVIRONMENT) -> Seen:
        """What a list of the API server and Alertmanager say now."""
        found, cluster = Seen(), self.clusters[place]
        for rollout in cluster.objects():
            state = signals.running(rollout, place)
            assert state is not None
            found.running[state.model] = state
            failure = signals.aborted(rollout, cluster.runs(), place)
            found.failures += [failure] if failure is not None else []
        found.failures += signals.alerts(cluster.alerts(), place)
        return found

    # People.

    @property
    def tree(self) -> MemoryTree:
        """What main says."""
        return MemoryTree(self.remote.head.files)

    def commit(self, edits: Mapping[str, bytes | None], message: str) -> None:
        """Somebody pushes to main."""
        head = self.remote.head
        files = {path: data for path, data in {**head.files, **edits}.items() if data is not None}
        if files != head.files:
            made = Commit(self.remote.tip, files, message, self.now, "person")
            assert self.remote.push(self.remote.add(made)).state == "done"

    def merge(self, edits: dict[str, bytes | None], model: str, message: str) -> bool:
        """Render, let CI check, merge. Whether CI lets it in."""
        compiled = analyse(Overlay(self.tree, edits), [model], self.tree)
        if any(item.severity is Severity.ERROR for item in compiled.diagnostics):
            return False
        rendered = {one.path: one.text.encode() for each in artifacts(compiled.fleet).values() for one in each}
        there = [path for place in ENVIRONMENTS for path in self.tree.files(f"rendered/{place}/{model}")]
        gone = [path for path in there if path not in rendered]
        self.commit({**edits, **rendered, **dict.fromkeys(gone)}, message)
        return True

    def promote(self, model: str, version: int, place: str = ENVIRONMENT) -> None:
        """A person promotes, if mrc and CI let it in."""
        linked = analyse(self.tree, [model]).fleet.models.get(model)
        if linked is None:
            return
        try:
            text = promote(linked, place, version)
        except PromotionError:
            return
        self.merge({f"policies/{model}/policy.yaml": text.encode()}, model, f"Promote {model} {version}")

    def release(self, model: str, hint: int, *, whole: bool, place: str = ENVIRONMENT) -> None:
        """A promotion that is synced: of another version than serves, if any is left."""
        for version in (hint, *range(5, 0, -1)):
            before = self.remote.tip
            self.promote(model, version, place)
            if self.remote.tip != before:
                break
        self.sync()
        if whole:
            self.wait(610)
            self.wait(610)

    def absolve(self, model: str) -> None:
        """The owners of the verdicts take back what was rejected."""
        clean = {path: data for path, data in start().items() if path.startswith(f"policies/{model}/verdicts/")}
        self.merge(dict(clean), model, f"Absolve {model}")

    def line(self, model: str, version: int, fallback: int, place: str = ENVIRONMENT) -> None:
        """A pull request that was green once is merged: its line goes in, whatever has been decided since."""
        path = f"policies/{model}/policy.yaml"
        if path not in self.remote.head.files:
            return
        text = self.remote.head.files[path].decode()
        before, head, own = text.partition(f"    {place}:\n")
        own = re.sub(r"serve: \{[^}]*\}", f"serve: {{version: {version}, fallback: {fallback}}}", own, count=1)
        self._force({path: f"{before}{head}{own}".encode()}, model, f"Merge the promotion of {model} {version}")

    def _force(self, edits: dict[str, bytes | None], model: str, message: str) -> None:
        compiled = analyse(Overlay(self.tree, edits), [model])
        rendered = {one.path: one.text.encode() for each in artifacts(compiled.fleet).values() for one in each}
        self.commit({**edits, **rendered}, message)

    def replicas_line(self, model: str, number: int) -> None:
        """An edit that has nothing to do with versions."""
        path = f"policies/{model}/policy.yaml"
        if path not in self.remote.head.files:
            return
        text = self.remote.head.files[path].decode()
        lines = [
            f"      replicas: {number}" if line.startswith("      replicas: ") else line for line in text.split("\n")
        ]
        self.merge({path: "\n".join(lines).encode()}, model, f"Scale {model}")

    def readme(self) -> None:
        """A commit that concerns nobody."""
        number = int(self.remote.head.files["README.md"]) + 1
        self.commit({"README.md": b"%d\n" % number}, "Say something")

    def hold(self, model: str | None, place: str = ENVIRONMENT) -> None:
        """A person holds a model, or everything."""
        try:
            edits = person.hold(self.tree, model, place, "the big day", "ana@example.com", self.now)
        except person.PersonError:
            return
        self._force(edits, model or MODELS[0], f"Hold {model}")

    def clear(self, model: str | None, place: str = ENVIRONMENT) -> None:
        """A person ends a hold."""
        try:
            edits = person.clear(self.tree, model, place, "over", "ana@example.com", self.now)
        except person.PersonError:
            return
        for name in PLACES[place] if model is None else (model,):
            self._force(edits, name, f"Clear {model}")

    def rollback(self, model: str, place: str = ENVIRONMENT) -> None:
        """A person goes back by hand."""
        try:
            _, change = person.rollback(self.tree, model, place, None, "wrong", "ana@example.com", self.now)
        except person.PersonError:
            return
        self.commit(change.edits, f"Roll {model} back by hand")

    def break_(self, path: str) -> None:
        """Somebody merges what cannot be read."""
        if path not in self.valid:
            self.valid[path] = self.remote.head.files[path]
            self.commit({path: b"spec: [\n"}, f"Break {path}")

    def remove(self, path: str) -> None:
        """Somebody removes a file."""
        if path not in self.valid:
            self.valid[path] = self.remote.head.files[path]
            self.commit({path: None}, f"Remove {path}")

    def repair(self, path: str) -> None:
        """And somebody puts it right."""
        if path in self.valid:
            self.commit({path: self.valid.pop(path)}, f"Repair {path}")

    def meanwhile(self, what: str) -> None:
        """What a person does at the worst moment."""
        for model in MODELS:
            if what == "promote":
                serving = analyse(self.tree, [model]).fleet.models.get(model)
                if serving is not None:
                    self.promote(model, int(serving.policy.spec.environments[ENVIRONMENT].serve.version) % 5 + 1)
            elif what == "hold":
                self.hold(model)
            elif what in ("clear", "absolve", "rollback"):
                getattr(self, what)(model)
            elif what == "break":
                self.break_(f"policies/{model}/policy.yaml")


def errors(found: Any) -> set[str]:
    """The errors of a compilation in words."""
    return {f"{item.code}: {item.message}" for item in found.diagnostics if item.severity is Severity.ERROR}
