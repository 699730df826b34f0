"""Each command imports what it needs and no more: a start is felt by everybody, many times a day."""

import subprocess
import sys
from pathlib import Path

import pytest

from conftest import mrc

HEAVY = {"boto3", "git", "google.protobuf", "httpx", "jinja2", "kubernetes", "numpy", "promql_parser", "pydantic",
         "tritonclient", "yaml", "yaml.reader"}  # fmt: skip
# What packages take along, some milliseconds each, and no model needs.
TAKEN_ALONG = {"bz2", "calendar", "difflib", "gettext", "google.protobuf.internal.python_message", "lzma", "pickle",
               "platform", "random", "statistics", "tempfile", "urllib.parse", "uuid"}  # fmt: skip
COMPILES = {"yaml", "google.protobuf", "promql_parser"}  # the fleet has PromQL of its own
ALLOWED = {
    ("--version",): set[str](),
    ("--help",): set[str](),
    ("render", "--help"): set[str](),
    ("check", "--help"): {"yaml"},
    ("plan", "--help"): {"jinja2", "yaml", "yaml.reader"},
    ("explain", "MRC201"): {"pydantic", "yaml"},
    ("explain", "policy.environments"): {"pydantic", "yaml"},
    ("schema",): {"pydantic"},
    ("schema", "RolloutPolicy"): {"pydantic"},
    ("render", "--check"): COMPILES | {"jinja2"},
    ("check",): COMPILES | {"git", "yaml.reader"},  # with a base, the pod templates of both are parsed
    ("promote", "ranker", "30", "-e", "production"): COMPILES,
    ("fetch", "missing.json", "--to", "x"): {"pydantic"},  # it reads the manifest
}  # fmt: skip


def imported(root: Path, *arguments: str) -> set[str]:
    """The heavy packages, and mrc's own modules, that the command imports."""
    code = (
        "import atexit, sys; atexit.register(lambda: print('IMPORTED', *sys.modules, file=sys.__stderr__)); "
        "from mrc.cli import run; run()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=root, capture_output=True, text=True, timeout=120, check=False
    )
    found = set(done.stderr.rpartition("IMPORTED")[2].split())
    assert "mrc.cli" in found, done.stderr
    return {name for name in found if name in HEAVY | TAKEN_ALONG or name.startswith("mrc")}


@pytest.mark.parametrize("arguments", ALLOWED, ids=" ".join)
def test_a_command_imports_no_more_than_it_needs(fleet: Path, arguments: tuple[str, ...]) -> None:
    assert imported(fleet, *arguments) & HEAVY <= ALLOWED[arguments]


def test_a_model_is_compiled_without_what_packages_take_along(fleet: Path) -> None:
    assert "mrc.compile" in (found := imported(fleet, "render"))
    assert not found & TAKEN_ALONG


def test_nothing_that_compiles_is_imported_when_nothing_has_changed(fleet: Path) -> None:
    assert mrc("render", cwd=fleet).returncode == 0
    assert not imported(fleet, "render") & HEAVY
    assert not imported(fleet, "render", "--check") & HEAVY
