"""Processes by a mark in their environment, which every process hands on to those that it starts."""

from __future__ import annotations

import os
from pathlib import Path


def marked(name: str, value: str) -> dict[int, str]:
    """The running processes with this variable, but for this one: their commands."""
    wanted, found = f"{name}={value}".encode(), {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            variables = (folder / "environ").read_bytes().split(b"\0")
            command = (folder / "cmdline").read_bytes()
        except OSError:  # it ended meanwhile, or is somebody else's
            continue
        if wanted in variables and command and int(folder.name) != os.getpid():
            found[int(folder.name)] = command.replace(b"\0", b" ").decode(errors="replace").strip()
    return found
