"""A cluster in memory: what Argo Rollouts, Prometheus and Alertmanager would say of what is rendered.

It speaks the API's own objects, so that the reconciler reads it by the code that reads a real one. Time passes when
`advance` is called, as far as it says.
"""

import functools
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import yaml

from mrc import labels
from mrc.schema.units import Duration
from mrc.tree import Tree

_ASKED = re.compile(r"\{\{ with .*?\{\{ end \}\}")  # what Prometheus looks up when it writes an alert's text


@dataclass
class Rollout:
    """One Rollout, as Argo keeps it: what was asked for, what is stable, and which step it is at."""

    manifest: dict[str, Any]
    since: datetime
    stable: str = ""
    generation: int = 1
    step: int = 0
    weight: int = 0
    waiting: bool = False
    aborted: datetime | None = None
    why: str = ""
    run: dict[str, Any] | None = None
    kept: set[str] = field(default_factory=set)

    @property
    def model(self) -> str:
        """Its model's name."""
        return str(self.manifest["metadata"]["name"])

    @property
    def version(self) -> int:
        """The version that it was asked for."""
        return int(self.manifest["spec"]["template"]["metadata"]["labels"][labels.VERSION])

    @property
    def steps(self) -> list[dict[str, Any]]:
        """The stages that were rendered."""
        return list(self.manifest["spec"]["strategy"]["canary"]["steps"])

    @functools.cached_property
    def template(self) -> str:
        """The hash of the pod template: two that are alike are the same ReplicaSet."""
        text = json.dumps(self.manifest["spec"]["template"], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:10]

    @property
    def promoted(self) -> bool:
        """Whether what was asked for has all traffic, for good."""
        return self.stable == self.template

    def object(self) -> dict[str, Any]:
        """As the API server has it."""
        status: dict[str, Any] = {
            "observedGeneration": str(self.generation), "currentPodHash": self.template, "stableRS": self.stable,
            "phase": "Healthy" if self.promoted else "Paused" if self.waiting else "Progressing",
        }  # fmt: skip
        if self.aborted is not None:
            condition = {"type": "Progressing", "status": "False", "reason": "RolloutAborted", "message": self.why}
            status |= {"abort": True, "abortedAt": _stamp(self.aborted), "phase": "Degraded", "conditions": [condition]}
        metadata = {**self.manifest["metadata"], "uid": f"rollout-{self.model}", "generation": self.generation}
        return {"metadata": metadata, "spec": self.manifest["spec"], "status": status}


class Cluster:
    """The Rollouts of one environment, and the monitoring beside them."""

    def __init__(self, environment: str) -> None:
        self.environment = environment
        self.rollouts: dict[str, Rollout] = {}
        self.rules: dict[str, list[dict[str, Any]]] = {}
        self.bad: dict[tuple[str, int, str], tuple[str, str]] = {}
        """What guardrails find worse, by model, version and guardrail: the value and the limit, in words."""
        self.firing: dict[tuple[str, int, str], datetime] = {}
        self.pages: list[Mapping[str, object]] = []

    # What a syncer and Argo do.

    def sync(self, tree: Tree, now: datetime) -> list[str]:
        """Apply what is rendered, as a syncer would. The models whose pods change."""
        changed = []
        for path in tree.files(f"rendered/{self.environment}"):
            model, _, file = path.removeprefix(f"rendered/{self.environment}/").partition("/")
            if file == "rollout.yaml" and self._apply(_parsed(tree.read(path)), now):
                changed.append(model)
            elif file == "rules.yaml":
                groups = _parsed(tree.read(path))["groups"]
                self.rules[model] = [rule for group in groups for rule in group["rules"] if "alert" in rule]
        return changed

    def _apply(self, manifest: dict[str, Any], now: datetime) -> bool:
        name = manifest["metadata"]["name"]
        before = self.rollouts.get(name)
        if before is None:
            first = self.rollouts[name] = Rollout(manifest, now)
            first.stable = first.template  # on a first deploy Argo skips the steps
            first.kept = {first.template}
            return True
        if before.manifest == manifest:
            return False
        new = Rollout(manifest, now, before.stable, before.generation + 1, kept=before.kept)
        if new.template == before.template and new.steps == before.steps:
            new.step, new.weight, new.waiting, new.since = before.step, before.weight, before.waiting, before.since
            new.aborted, new.why, new.run = before.aborted, before.why, before.run
        elif new.template in new.kept:
            new.stable = new.template  # back to what still runs: a routing change, no steps
        self.rollouts[name] = new
        return new.template != before.template

    def advance(self, now: datetime) -> None:
        """Let time pass: analyses fail, pauses end, alerts fire."""
        for rollout in self.rollouts.values():
            worse = sorted(name for model, version, name in self.bad
                           if (model, version) == (rollout.model, rollout.version))  # fmt: skip
            if worse and not rollout.promoted and rollout.aborted is None:
                self.fail(rollout, worse[0], "Failed", now)
            while not rollout.promoted and rollout.aborted is None and self._step(rollout, now):
                pass
        serving = {(one.model, one.version) for one in self.rollouts.values() if one.promoted}
        self.firing = {key: self.firing.get(key, now) for key in self.bad if key[:2] in serving}

    def _step(self, rollout: Rollout, now: datetime) -> bool:
        """Go on by one step; False when there is something to wait for."""
        if rollout.step == len(rollout.steps):
            rollout.stable = rollout.template
            rollout.kept.add(rollout.template)
            return False
        step = rollout.steps[rollout.step]
        if "setWeight" in step:
            rollout.weight = step["setWeight"]
        elif "pause" in step:
            length = (step["pause"] or {}).get("duration")
            rollout.waiting = length is None
            if length is None or now - rollout.since < _delta(length):
                return False
            rollout.since += _delta(length)
        rollout.step += 1
        return True

    def left(self, model: str, now: datetime) -> timedelta | None:
        """How long the pause that a Rollout is in still takes; None when a person ends it, or there is none."""
        rollout = self.rollouts[model]
        if rollout.promoted or rollout.aborted is not None or rollout.waiting:
            return None
        return _delta(rollout.steps[rollout.step]["pause"]["duration"]) - (now - rollout.since)

    def approve(self, model: str, now: datetime) -> None:
        """End the pause that waits for a person."""
        rollout = self.rollouts[model]
        assert rollout.waiting
        rollout.step, rollout.waiting, rollout.since = rollout.step + 1, False, now

    def abort(self, rollout: Rollout, why: str, now: datetime) -> None:
        """Give all traffic back to what is stable."""
        rollout.aborted, rollout.weight, rollout.waiting = now, 0, False
        rollout.why = f"RolloutAborted: Rollout aborted update to revision {rollout.generation}{why}"

    def fail(self, rollout: Rollout, guardrail: str, phase: str, now: datetime) -> None:
        """Abort it by an AnalysisRun that ends in a phase."""
        message = f'Metric "{guardrail}" assessed {phase} due to {phase.lower()} (1) > failureLimit (0)'
        self.abort(rollout, f": Background analysis phase error/failed: {message}", now)
        measured = {"phase": phase, "value": "[1]", "startedAt": _stamp(now), "finishedAt": _stamp(now)}
        rollout.run = {
            "metadata": {
                "name": f"{rollout.model}-{rollout.template}-{rollout.generation}",
                "uid": f"run-{rollout.model}-{rollout.template}-{rollout.generation}",
                "labels": {"rollouts-pod-template-hash": rollout.template},
                "ownerReferences": [{"kind": "Rollout", "uid": f"rollout-{rollout.model}"}],
            },
            "status": {
                "phase": phase, "message": message,
                "metricResults": [{"name": guardrail, "phase": phase, "failed": 1, "measurements": [measured]}],
            },
        }  # fmt: skip

    # What the reconciler reads.

    def objects(self) -> list[dict[str, Any]]:
        """The Rollouts."""
        return [rollout.object() for rollout in self.rollouts.values()]

    def runs(self) -> list[dict[str, Any]]:
        """The AnalysisRuns that failed."""
        return [rollout.run for rollout in self.rollouts.values() if rollout.run is not None]

    def alerts(self) -> list[dict[str, Any]]:
        """What Alertmanager has: the alerts that were rendered, with their own words."""
        found = []
        for (model, version, guardrail), since in self.firing.items():
            for rule in self.rules[model]:
                own = rule["labels"]
                named = f'version="{version}"' in rule["expr"]
                if named and own["guardrail"] == guardrail and own.get(labels.ALERT_ACTION) == "rollback":
                    found.append(self._alert(rule, (model, version, guardrail), since))
        return found

    def _alert(self, rule: dict[str, Any], key: tuple[str, int, str], since: datetime) -> dict[str, Any]:
        value = self.bad[key][0]
        texts = {
            name: _ASKED.sub(lambda _: value, text).replace("{{ $labels.version }}", str(key[1]))
            for name, text in rule["annotations"].items()
        }
        return {
            "labels": {"alertname": rule["alert"], **rule["labels"], labels.SERIES_VERSION: str(key[1])},
            "annotations": texts, "startsAt": _stamp(since), "status": {"state": "active"},
            "fingerprint": hashlib.sha256(repr(key).encode()).hexdigest()[:16],
        }  # fmt: skip

    def problems(self, healthy: Mapping[str, str]) -> tuple[str, ...]:
        """The environment of the story is well."""
        return ()

    def worse(self, environment: str, model: str, guardrail: str, version: int) -> str | None:
        """What a guardrail sees of a version that it finds worse."""
        found = self.bad.get((model, version, guardrail))
        return f"is {found[0]}, the limit is {found[1]}" if found is not None else None

    def verdicts(self, environment: str, model: str, version: int) -> Mapping[str, bool]:
        """Which guardrails find a version worse, of all that its alerts speak of."""
        guardrails = {str(rule["labels"].get(labels.SERIES_GUARDRAIL)) for rule in self.rules[model]}
        return {name: (model, version, name) in self.bad for name in sorted(guardrails)}

    def page(self, alerts: Iterable[Mapping[str, object]]) -> None:
        """Take alerts that page people."""
        self.pages += list(alerts)


@functools.lru_cache(maxsize=256)
def _parsed(data: bytes) -> Any:
    return yaml.load(data, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  both are safe


def _stamp(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def _delta(duration: str) -> timedelta:
    return timedelta(milliseconds=int(Duration.parse(duration)))
