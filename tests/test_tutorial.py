"""The tutorial, run from its first command to its last: a newcomer sees what the page says.

A `console` block is commands after `$ ` and what they print; a block whose info names a path is a file to write.
`make cases` writes the output anew: read the diff.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

from conftest import TOP

PAGE = TOP / "docs/tutorial/first-rollout.md"
BLOCK = re.compile(r"^```(?P<language>\w+)(?: (?P<path>\S+))?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = "\x01"  # ends what a command printed


def commands(block: str) -> list[str]:
    return [line[2:] for line in block.splitlines() if line.startswith("$ ")]


def script(page: str) -> str:
    """The whole page as one shell script, so that a folder stays entered and `$?` means the command before."""
    lines = []
    for block in BLOCK.finditer(page):
        if block["path"]:
            lines.append(f"cat > {block['path']} <<'END'\n{block['text']}END")
        elif block["language"] == "console":
            lines += [f"(exit $code)\n{command}\ncode=$?\nprintf '{MARK}'" for command in commands(block["text"])]
    return "code=0\n" + "\n".join(lines)


def run(page: str, folder: Path) -> list[str]:
    """What each command prints, in order."""
    (folder / "bin").mkdir()
    command = folder / "bin/mrc"
    command.write_text(f"#!/bin/sh\nexec '{sys.executable}' -c 'from mrc.cli import run; run()' \"$@\"\n")
    command.chmod(0o755)
    person = {f"GIT_{role}_{part}": "you" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
    environment = {
        **os.environ, **person, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "HOME": str(folder),
        "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "LC_ALL": "C", "COLUMNS": "80",
    }  # fmt: skip
    (folder / "work").mkdir()
    done = subprocess.run(["bash"], input=script(page), cwd=folder / "work", env=environment, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300, check=False)  # fmt: skip
    return done.stdout.split(MARK)[:-1]


def test_the_tutorial_runs_as_it_is_written(tmp_path: Path) -> None:
    page = PAGE.read_text()
    printed = iter(run(page, tmp_path))

    def shown(block: re.Match[str]) -> str:
        if block["language"] != "console":
            return block[0]
        return "```console\n" + "".join(f"$ {line}\n{next(printed)}" for line in commands(block["text"])) + "```"

    now = BLOCK.sub(shown, page)
    if os.environ.get("MRC_REWRITE_CASES"):
        PAGE.write_text(now)
    assert now == PAGE.read_text()
