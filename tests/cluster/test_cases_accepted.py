"""What the cases render, every strategy and every router, in front of a real API server with its rules in CEL."""

from __future__ import annotations

from pathlib import Path

import pytest

from world.control_plane import ApiError, ControlPlane

CASES = Path(__file__).parents[1] / "cases"
FOLDERS = sorted(path for path in CASES.glob("render-*/out/*") if path.is_dir())


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: f"{path.parents[1].name}-{path.name}")
def test_every_object_is_accepted(folder: Path, plane: ControlPlane) -> None:
    plane.create("/api/v1/namespaces", {"metadata": {"name": "models"}})
    applied = plane.kubectl("apply", "--server-side", "--dry-run=server", "--validate=strict", "-k", folder)
    assert "serverside-applied" in applied


def test_a_route_that_the_gateway_api_forbids_is_refused(plane: ControlPlane) -> None:
    """The judge can refuse what no schema says."""
    plane.create("/api/v1/namespaces", {"metadata": {"name": "models"}})
    routes = (CASES / "render-routers/out/production/hello-model/routes.yaml").read_text()
    wrong = routes.replace("      weight: 0\n", "      weight: 0\n    filters:\n" + 2 * FILTER, 1)
    with pytest.raises(ApiError, match="cannot be repeated"):
        plane.kubectl("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-", stdin=wrong)


FILTER = """\
    - type: RequestHeaderModifier
      requestHeaderModifier: {remove: [x]}
"""
