"""A fresh repository of policies: one model, two environments, and what a team needs around them."""

import os
import shutil
import tempfile
from pathlib import Path

from mrc.render.engine import template_folder
from mrc.schema import KINDS
from mrc.schema.jsonschema import json_schema


class InitError(Exception):
    """The repository cannot be made; the message says why."""


def files() -> dict[str, bytes]:
    """The files of a fresh repository by path."""
    source = template_folder() / "init"
    found = {
        path.relative_to(source).as_posix(): path.read_bytes() for path in sorted(source.rglob("*")) if path.is_file()
    }
    return found | {f".schemas/{kind}.json": json_schema(kind).encode() for kind in KINDS}


def create(directory: Path) -> list[str]:
    """Write a fresh repository, whole or not at all; InitError where something is there already.

    An empty folder is filled, and so is one that git has made and nobody has used.
    """
    there = directory.is_dir() and not directory.is_symlink()
    if os.path.lexists(directory) and (not there or any(path.name != ".git" for path in directory.iterdir())):
        raise InitError(f"{directory} exists and is not empty: name a new folder")
    found = files()
    directory.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".mrc-init-", dir=directory if there else directory.parent))
    try:
        for name, data in found.items():
            target = staging / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        staging.chmod(0o755)
        if there:
            _fill(directory, staging)
        else:
            staging.rename(directory)
    except OSError as problem:
        raise InitError(f"{directory} cannot be written: {problem.strerror}") from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return sorted(found)


def _fill(directory: Path, staging: Path) -> None:
    """Move everything in, or take it out again: a folder that somebody stands in cannot be replaced."""
    moved: list[Path] = []
    try:
        for path in sorted(staging.iterdir()):
            moved.append(path.rename(directory / path.name))
    except OSError:
        for path in moved:
            path.rename(staging / path.name)
        raise
