"""What the tests share: the example fleet, copied and rendered."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from examples import FUZZ, examples

# A slow machine is no fault; what a test tries is bounded by number. The same in every run, so that a red one is the
# fault of its change; `make fuzz` looks for what is new.
settings.register_profile(
    "mrc", deadline=None, max_examples=examples(100), suppress_health_check=list(HealthCheck),
    derandomize=not FUZZ, print_blob=bool(FUZZ),
)  # fmt: skip
settings.load_profile("mrc")

# The judges are written in Go, and have more memory than time: they collect garbage a quarter as often.
os.environ.setdefault("GOGC", "400")

TOP = Path(__file__).parents[1]


def mrc(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the real command."""
    command = [sys.executable, "-c", "from mrc.cli import run; run()", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep what mrc keeps for its user out of the developer's own cache."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    """A copy of the example fleet, without what is rendered."""
    for name in ("policies", "environments"):
        shutil.copytree(TOP / name, tmp_path / name)
    shutil.copy(TOP / "mrc.yaml", tmp_path)
    return tmp_path
