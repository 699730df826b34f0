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
    """Write a fresh repository, whole or not at all; InitError where something is there already."""
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise InitError(f"{directory} exists and is not empty: name a new folder")
    found = files()
    directory.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".mrc-init-", dir=directory.parent))
    try:
        for name, data in found.items():
            target = staging / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        staging.chmod(0o755)
        os.replace(staging, directory)  # noqa: PTH105  replaces an empty folder too
    except OSError as problem:
        raise InitError(f"{directory} cannot be written: {problem.strerror}") from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return sorted(found)
