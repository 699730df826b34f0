"""The models of one namespace with everything around them, and the seconds that each step of their story took."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from judges import servers
from world import mesh, monitoring, repository
from world.background import repeated
from world.control_plane import REMEMBERED, ApiError, ControlPlane, Object
from world.mesh import Mesh
from world.monitoring import Monitoring
from world.repository import CANARY, ENVIRONMENT, MODEL, Repository
from world.syncer import Syncer
from world.waiting import wait

T = TypeVar("T")


@dataclass
class Story:
    """The Rollout of one model, who changes it, and what is seen of it."""

    plane: ControlPlane
    namespace: str
    folder: Path
    repository: Repository
    mesh: Mesh
    monitoring: Monitoring
    syncer: Syncer
    model: str = MODEL
    others: dict[str, Story] = field(default_factory=dict)
    """The other models, by name."""
    steps: list[tuple[str, float]] = field(default_factory=list)
    _begin: float = field(default_factory=time.monotonic)

    @property
    def _own(self) -> str:
        return f"labelSelector=mrc.dev/model%3D{self.model}"

    # What is seen.

    def rollout(self) -> Object:
        """The Rollout as it is now, empty when there is none yet."""
        path = f"/apis/argoproj.io/v1alpha1/namespaces/{self.namespace}/rollouts/{self.model}"
        return self.plane.get(f"{path}?{REMEMBERED}") or {}

    def status(self, rollout: Object | None = None) -> Object:
        """The status of the Rollout for its newest spec; empty while Argo has not seen that."""
        rollout = rollout or self.rollout()
        status: Object = rollout.get("status", {})
        seen = str(rollout.get("metadata", {}).get("generation")) == str(status.get("observedGeneration"))
        return status if seen else {}

    def healthy(self, version: int) -> bool:
        """Whether this version serves, fully promoted."""
        rollout = self.rollout()
        status = self.status(rollout)
        if not status or "spec" not in rollout or version_of(rollout["spec"]["template"]) != version:
            return False
        return status.get("phase") == "Healthy" and status.get("stableRS") == status.get("currentPodHash")

    def aborted(self) -> bool:
        """Whether Argo aborted the version that the tree names."""
        return bool(self.status().get("abort"))

    def serves(self, version: int) -> bool:
        """Whether every request goes to this version."""
        return set(self.mesh.shares) == {version}

    def replica_sets(self) -> dict[int, Object]:
        """The ReplicaSets by version."""
        found = self.plane.items(f"/apis/apps/v1/namespaces/{self.namespace}/replicasets?{self._own}")
        return {version_of(each["spec"]["template"]): each for each in found}

    def pods(self, version: int) -> set[str]:
        """The names of the pods of a version."""
        found = self.plane.items(f"/api/v1/namespaces/{self.namespace}/pods?{self._own}")
        return {each["metadata"]["name"] for each in found if version_of(each) == version}

    def cooled(self, version: int) -> bool:
        """Whether a version that served before has ended; until then, let the time be over for which it is kept.

        Argo may write that time once more after it was seen to have promoted the other version.
        """
        deadline, over = "scale-down-deadline", "2020-01-01T00:00:00Z"
        about = self.replica_sets()[version]["metadata"]
        if about.get("annotations", {}).get(deadline) not in (None, over):
            path = f"/apis/apps/v1/namespaces/{self.namespace}/replicasets/{about['name']}"
            change = {"metadata": {"annotations": {deadline: over}}}
            self.plane.request(path, change, method="PATCH", content="application/merge-patch+json")
        return not self.pods(version)

    def alert(self, version: int) -> dict[str, str] | None:
        """The labels of an active alert that asks for a rollback of this version."""
        wanted = {"mrc_action": "rollback", "model": self.model, "version": str(version)}
        found = [each["labels"] for each in self.monitoring.alerts()]
        return next((labels for labels in found if wanted.items() <= labels.items()), None)

    def analysis_runs(self) -> dict[str, str]:
        """The phase of every AnalysisRun, by its name."""
        return {each["metadata"]["name"]: each.get("status", {}).get("phase", "") for each in self._runs()}

    def _runs(self) -> list[Object]:
        found = self.plane.items(f"/apis/argoproj.io/v1alpha1/namespaces/{self.namespace}/analysisruns")
        return [each for each in found if self.model in [o["name"] for o in each["metadata"]["ownerReferences"]]]

    def analysed(self, version: int) -> list[str]:
        """The AnalysisRuns of a version."""
        wanted = {"name": "version", "value": str(version)}
        return [each["metadata"]["name"] for each in self._runs() if wanted in each["spec"].get("args", ())]

    def stage(self) -> str:
        """What `mrc status` says of the rollout."""
        asked = self.repository.mrc("status", "-e", ENVIRONMENT, "--kubeconfig", str(self.plane.kubeconfig()))
        head, *rows = asked.splitlines()
        (row,) = [each for each in rows if each.split()[1] == self.model]
        return row[head.index("stage") : head.index("hold")].strip()

    def weights(self) -> dict[str, int]:
        """The weights of the VirtualService by Service, equal in all of its routes."""
        path = f"/apis/networking.istio.io/v1/namespaces/{self.namespace}/virtualservices/{self.model}"
        routes = (self.plane.get(path) or {"spec": {"http": []}})["spec"]["http"]
        every = [{each["destination"]["host"]: each.get("weight", 0) for each in route["route"]} for route in routes]
        return every[0] if every and all(each == every[0] for each in every) else {}

    def seen(self) -> dict[str, Any]:
        """What a person would look at first."""
        status = self.rollout().get("status", {})
        shown = ("phase", "message", "currentStepIndex", "abort", "stableRS", "currentPodHash")
        return {
            "rollout": {name: status[name] for name in shown if name in status},
            "weights": self.weights(),
            "shares": self.mesh.shares,
            "analysis": self.analysis_runs(),
            "verdicts": self.monitoring.prometheus.query("mrc:guardrail:verdict"),
        }

    # What is told.

    def until(self, what: str, look: Callable[[], T], *, seconds: float = 300) -> T:
        """Wait for `look`, and write down how long after the step before it came."""
        begin = time.monotonic()
        found = wait(what, look, seconds=seconds, seen=self.seen)
        self.steps.append((what, time.monotonic() - begin))
        return found

    def told(self) -> str:
        """The steps, a line each: seconds since the step before, and what happened."""
        return "\n".join(f"{seconds:6.1f} s  {what}" for what, seconds in self.steps)


def version_of(template: Object) -> int:
    """The version that a pod template is of."""
    return int(template["metadata"]["labels"]["mrc.dev/version"])


@contextlib.contextmanager
def begin(
    plane: ControlPlane, namespace: str, folder: Path, models: Mapping[str, str] | str = CANARY, **policy: str
) -> Iterator[Story]:
    """A story in which version 1 of each model serves all traffic, for the length of the `with`; of the first model.

    `models` gives each its strategy, or is the strategy of the only one; for `policy` see `repository.create`.
    """
    models = {MODEL: models} if isinstance(models, str) else models
    folder.mkdir(parents=True, exist_ok=True)
    plane.create("/api/v1/namespaces", {"metadata": {"name": namespace}})
    ports = servers.free_ports(2)
    prometheus, alertmanager = (f"http://127.0.0.1:{port}" for port in ports)
    team = repository.create(
        folder, namespace=namespace, prometheus=prometheus, alertmanager=alertmanager, models=models, **policy
    )
    traffic = {model: Mesh(namespace, model) for model in models}
    with contextlib.ExitStack() as stack:
        target = stack.enter_context(mesh.serve(plane, namespace, list(traffic.values())))
        watching = stack.enter_context(monitoring.serve(plane, namespace, folder / "monitoring", target, ports))
        stack.enter_context(repeated(watching.load, seconds=1))
        syncer = Syncer(plane, team.remote, folder / "synced")
        stack.enter_context(repeated(syncer.sync, seconds=0.7, forgiven=(OSError, ApiError)))
        steps: list[tuple[str, float]] = []
        stories = [
            Story(plane, namespace, folder, team, traffic[model], watching, syncer, model, steps=steps)
            for model in models
        ]
        stories[0].others = {each.model: each for each in stories[1:]}
        stories[0].until("version 1 is deployed", lambda: all(each.healthy(1) and each.serves(1) for each in stories))
        yield stories[0]
