"""What can be known of the init container's image without building it."""

import json
import re
import tomllib
from pathlib import Path

import pytest

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
    assert "s3" in project["optional-dependencies"]


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
