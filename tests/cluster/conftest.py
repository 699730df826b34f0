"""One control plane for all tests, whichever process they run in; each test has a namespace of its own."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from world import control_plane, story
from world.control_plane import ControlPlane
from world.story import Story

ENVIRONMENTS = Path(__file__).parents[2] / "environments"
RUNNING = pytest.StashKey[tuple[ControlPlane, contextlib.ExitStack]]()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Start the control plane, in the process that the workers are children of."""
    if hasattr(session.config, "workerinput") or session.config.option.collectonly:
        return
    stack = contextlib.ExitStack()
    folder = Path(tempfile.mkdtemp(prefix="mrc-cluster-"))
    session.config.stash[RUNNING] = stack.enter_context(control_plane.serve(folder, pools())), stack


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first."""
    items.sort(key=lambda item: "test_fleet_applied" not in item.nodeid)


def pools() -> list[str]:
    """The nodes' pools: of the stories, and of the example fleet."""
    documents = [yaml.safe_load(file.read_text()) for file in ENVIRONMENTS.glob("*.yaml")]
    named = {each["spec"]["pods"].get("nodeSelector", {}).get("pool") for each in documents}
    return ["gpu", *sorted(named - {None, "gpu"})]


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Stop it; its logs stay when a test failed."""
    if RUNNING not in session.config.stash:
        return
    plane, stack = session.config.stash[RUNNING]
    stack.close()
    if exitstatus == 0:
        shutil.rmtree(plane.folder)
    else:
        print(f"\nlogs of the control plane: {plane.folder}")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker where the control plane is."""
    node.workerinput["control_plane"] = node.config.stash[RUNNING][0].describe()


@pytest.fixture(scope="session")
def plane(request: pytest.FixtureRequest) -> ControlPlane:
    """The control plane."""
    described = getattr(request.config, "workerinput", {}).get("control_plane")
    return ControlPlane.described(described) if described else request.config.stash[RUNNING][0]


@pytest.fixture
def namespace(request: pytest.FixtureRequest) -> str:
    """A name that no other test has."""
    return re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_"))[:50].strip("-") + f"-{os.getpid()}"


@pytest.fixture
def tell(
    plane: ControlPlane, namespace: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> Iterator[Callable[..., Story]]:
    """Begins a story; what it took stands below the results."""
    with contextlib.ExitStack() as stack:
        told: list[Story] = []

        def begin(*models: Any, **policy: str) -> Story:
            told.append(stack.enter_context(story.begin(plane, namespace, tmp_path / "story", *models, **policy)))
            return told[-1]

        try:
            yield begin
        finally:
            for each in told:
                record_property("story", each.told())


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """The seconds of each step of each story."""
    reports = [
        each for group in terminalreporter.stats.values() for each in group if isinstance(each, pytest.TestReport)
    ]
    for report in sorted((each for each in reports if each.when == "teardown"), key=lambda each: each.nodeid):
        for name, value in report.user_properties:
            if name == "story":
                terminalreporter.section(report.nodeid.split("::")[-1], sep="-")
                terminalreporter.write_line(value)
