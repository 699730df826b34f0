"""The example fleet, in front of a real API server and the real Argo controller."""

from __future__ import annotations

from pathlib import Path

import pytest

from world.control_plane import ApiError, ControlPlane, Object
from world.syncer import CHEAPLY
from world.waiting import wait

RENDERED = Path(__file__).parents[2] / "rendered"
ENVIRONMENTS = sorted(path.name for path in RENDERED.iterdir() if path.is_dir())
ROLLOUTS = "/apis/argoproj.io/v1alpha1/namespaces/models/rollouts"


def test_every_environment_is_accepted_and_its_rollouts_become_healthy(plane: ControlPlane) -> None:
    assert ENVIRONMENTS
    plane.create("/api/v1/namespaces", {"metadata": {"name": "models"}})
    plane.create("/api/v1/namespaces/models/serviceaccounts", {"metadata": {"name": "model-reader"}})
    for environment in ENVIRONMENTS:
        folder = RENDERED / environment
        applied = plane.kubectl("apply", "--validate=strict", "-k", folder).splitlines()
        assert len(applied) > 5, applied
        assert all(line.endswith(" created") for line in applied), applied

        expected = {path.parent.name for path in folder.glob("*/rollout.yaml")}
        assert {each["metadata"]["name"] for each in plane.items(ROLLOUTS)} == expected
        wait(f"{environment} is healthy", lambda: not unhealthy(plane), seconds=180, seen=lambda: unhealthy(plane))

        # A syncer that comes again has nothing to do, and shows nobody a difference.
        again = plane.kubectl("apply", *CHEAPLY, "-k", folder).splitlines()
        assert [line for line in again if not line.endswith(" unchanged")] == []

        # Its objects are called as those of the next environment, which is another cluster.
        plane.kubectl("delete", "--wait", "-k", folder)
        wait("the pods are gone", lambda: not plane.items("/api/v1/namespaces/models/pods"), seconds=60)


def unhealthy(plane: ControlPlane) -> dict[str, str]:
    """The Rollouts that are not healthy, and why."""
    found: dict[str, str] = {}
    for rollout in plane.items(ROLLOUTS):
        problems = [f"{each['type']}: {each.get('message')}" for each in conditions(rollout, "InvalidSpec")]
        phase = rollout.get("status", {}).get("phase")
        if problems or phase != "Healthy":
            message = rollout.get("status", {}).get("message", "")
            found[rollout["metadata"]["name"]] = "; ".join([*problems, f"{phase}: {message}"])
    return found


def conditions(rollout: Object, kind: str) -> list[Object]:
    """The conditions of a type that hold."""
    every = rollout.get("status", {}).get("conditions", ())
    return [each for each in every if each["type"] == kind and each["status"] == "True"]


def test_a_field_that_nobody_knows_is_refused(plane: ControlPlane) -> None:
    """The judge can refuse."""
    rollout = next(RENDERED.glob("*/*/rollout.yaml")).read_text()
    assert "  replicas: " in rollout
    wrong = rollout.replace("  replicas: ", "  replica: ", 1)
    with pytest.raises(ApiError, match=r'unknown field "spec\.replica"'):
        plane.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", stdin=wrong)
