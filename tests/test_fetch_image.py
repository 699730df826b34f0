"""What can be known of the image of `mrc fetch` and `mrc reconcile` without a container engine, the wheel included."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from fetch_helpers import manifest, remote, write_manifest

ROOT = Path(__file__).parents[1]
WHEEL = "dist/mrc-*.whl"  # built before the image, never committed


@pytest.fixture(scope="module")
def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"(?m)^\s*#.*\n", "", (ROOT / "Containerfile").read_text()).replace("\\\n", " ")
    lines = [line.split(None, 1) for line in text.splitlines() if line.strip()]
    return [(name, rest) for name, rest in lines]


def copied(instructions: list[tuple[str, str]]) -> list[str]:
    return [
        source
        for name, rest in instructions
        if name == "COPY" and "--from=" not in rest
        for source in rest.split()[:-1]
    ]


def test_what_is_copied_exists_and_reaches_the_builder(instructions: list[tuple[str, str]]) -> None:
    let_in = (ROOT / ".containerignore").read_text().splitlines()
    sources = copied(instructions)
    assert WHEEL in sources
    for source in sources:
        assert f"!{source}" in let_in
        assert source == WHEEL or (ROOT / source).exists(), source


def test_the_entrypoint_is_the_console_script_of_the_wheel(instructions: list[tuple[str, str]]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (entrypoint,) = [json.loads(rest) for name, rest in instructions if name == "ENTRYPOINT"]
    assert entrypoint[0] in project["scripts"]
    assert WHEEL.removeprefix("dist/").startswith(project["name"] + "-")
    assert {"s3", "reconcile"} <= set(project["optional-dependencies"])


def test_the_reconciler_finds_git_ssh_and_who_it_is(instructions: list[tuple[str, str]]) -> None:
    (user,) = [rest for name, rest in instructions if name == "USER"]
    last = max(at for at, (name, _) in enumerate(instructions) if name == "FROM")
    (system,) = [rest for name, rest in instructions[last:] if name == "RUN"]
    assert re.search(r"apt-get install --yes --no-install-recommends git openssh-client ", system)
    # ssh and ssh-keygen end with "No user exists" for a number that has no name.
    assert f":x:{user}::" in system
    assert ">> /etc/passwd" in system


def test_the_pod_runs_as_nobody_in_particular(instructions: list[tuple[str, str]]) -> None:
    (user,) = [rest for name, rest in instructions if name == "USER"]
    assert re.fullmatch(r"[1-9][0-9]*:[1-9][0-9]*", user)


def test_every_dependency_is_installed_by_hash(instructions: list[tuple[str, str]]) -> None:
    installs = [
        part for name, rest in instructions if name == "RUN" for part in rest.split("&&") if "pip install" in part
    ]
    assert installs
    assert all("--require-hashes" in part or "--no-index --no-deps" in part for part in installs)


def test_the_base_image_is_one_version_and_can_be_pinned(instructions: list[tuple[str, str]]) -> None:
    (default,) = [rest for name, rest in instructions if name == "ARG"]
    assert re.fullmatch(r"PYTHON_IMAGE=python:\d+\.\d+\.\d+-slim-\w+", default)
    bases = [rest.split()[0] for name, rest in instructions if name == "FROM"]
    assert set(bases) == {"${PYTHON_IMAGE}"}


def test_what_the_build_runs_yields_an_mrc_that_is_whole_and_writes_to_the_volume_alone(
    instructions: list[tuple[str, str]], tmp_path: Path
) -> None:
    """The build's own commands in a folder of this machine: locked wheels, then mrc without pip, as the pod runs it."""
    (tmp_path / "build").mkdir()
    shutil.copy(ROOT / "requirements.lock", tmp_path / "build")
    wheel = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "build")]
    subprocess.run(wheel, cwd=ROOT, check=True, capture_output=True, timeout=120)
    for name, command in instructions:
        if name == "RUN" and "apt-get" not in command:
            here = command.replace("/opt/mrc", f"{tmp_path}/opt/mrc").replace("/build/", f"{tmp_path}/build/")
            here = here.replace("python -m venv", f"{sys.executable} -m venv", 1)
            subprocess.run(["sh", "-ec", here], check=True, capture_output=True, timeout=600)
    (tmp_path / "weights").write_bytes(b"weights")
    listed = write_manifest(
        tmp_path / "mounted", manifest(remote("m/1/w", (tmp_path / "weights").as_uri(), b"weights"))
    )
    before = installed(tmp_path)
    (tmp_path / "models").mkdir()
    (environment,) = [rest for name, rest in instructions if name == "ENV"]
    done = subprocess.run(
        [tmp_path / "opt/mrc/bin/mrc", "fetch", listed, "--to", tmp_path / "models/repository"], cwd="/", timeout=60,
        env=dict(part.split("=") for part in environment.split()), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert (tmp_path / "models/repository/m/1/w").read_bytes() == b"weights"
    assert installed(tmp_path) == before
    assert not [path for path in before if path.name == "pip"]
    asked = subprocess.run(
        [tmp_path / "opt/mrc/bin/mrc", "reconcile", "git://example.com/m.git", "-e", "production"], cwd="/",
        timeout=60, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert asked.returncode == 2, asked.stderr  # its own refusal: what it imports is there
    assert "not by git" in asked.stderr
    # The templates must be in the wheel: a checkout has them beside it, and would hide that they are missing.
    command = tmp_path / "opt/mrc/bin/mrc"
    subprocess.run([command, "init", "rollouts"], cwd=tmp_path, check=True, timeout=60)
    for arguments in (["render"], ["render", "--check"]):
        subprocess.run([command, *arguments], cwd=tmp_path / "rollouts", check=True, timeout=60)
    subprocess.run([command, "demo"], cwd=tmp_path, check=True, timeout=120)


def installed(root: Path) -> set[Path]:
    return set((root / "opt/mrc").rglob("*"))
