"""The team of the story: a repository as `mrc init` makes it, its remote, and the commands that people type."""

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from mrc.init import create

MODEL = "hello-model"
ENVIRONMENT = "production"
_PIN = re.compile(r"uri: s3://models/(?P<key>[^,]+), size: \d+, sha256: [0-9a-f]{64}")


class Team:
    """A work tree on main, and the bare remote that it pushes to. `clock` dates the commits."""

    def __init__(self, folder: Path, clock: Callable[[], datetime]) -> None:
        self.tree, self.remote = folder / "team", folder / "remote.git"
        self._folder, self._clock = folder, clock
        create(self.tree)
        for number in (3, 4, 5):
            self._add(number)
        for path in (self.tree / f"policies/{MODEL}/versions").iterdir():
            path.write_text(_PIN.sub(self._kept, path.read_text()))
        environment = self.tree / f"environments/{ENVIRONMENT}.yaml"
        environment.write_text(environment.read_text() + "  reconcile: {mode: commit} # the default only observes\n")
        self._run("git", "init", "-q", "--bare", "-b", "main", str(self.remote), cwd=folder)
        self.git("init", "-q", "-b", "main")
        self.git("config", "user.name", "Ana")
        self.git("config", "user.email", "ana@example.com")
        self.git("remote", "add", "origin", str(self.remote))

    def _add(self, number: int) -> None:
        """One more version, as validated as the others."""
        folder = self.tree / f"policies/{MODEL}"
        version = (folder / "versions/2.yaml").read_text()
        version = version.replace("version: 2}", f"version: {number}}}").replace(f"/{MODEL}/2/", f"/{MODEL}/{number}/")
        (folder / f"versions/{number}.yaml").write_text(version)
        verdict = (folder / "verdicts/2.yaml").read_text()
        (folder / f"verdicts/{number}.yaml").write_text(verdict.replace("version: 2}", f"version: {number}}}"))

    def _kept(self, pin: re.Match[str]) -> str:
        """The artifact, small, in a folder: what a version promises is really there, and can be verified."""
        data = f"{pin['key']}\n".encode()
        path = self._folder / "store" / pin["key"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return f"uri: {path.as_uri()}, size: {len(data)}, sha256: {hashlib.sha256(data).hexdigest()}"

    def git(self, *arguments: str) -> str:
        """What git prints. Raises CalledProcessError."""
        done = self._run("git", *arguments, cwd=self.tree)
        done.check_returncode()
        return done.stdout.rstrip("\n")

    def mrc(self, *arguments: str) -> str:
        """Everything that a command of mrc prints, typed as a person would."""
        command = [sys.executable, "-P", "-c", "from mrc.cli import run; run()", *arguments]
        return self._run(*command, cwd=self.tree).stdout.rstrip("\n")

    def publish(self, message: str) -> None:
        """Commit everything, and push it."""
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        self.git("push", "-q", "origin", "main")

    def edit(self, file: str, old: str, new: str) -> None:
        """Change a file by hand."""
        path = self.tree / file
        text = path.read_text()
        assert text.count(old) == 1
        path.write_text(text.replace(old, new))

    def _run(self, *command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        now = f"{self._clock():%Y-%m-%dT%H:%M:%S+00:00}"
        own = {
            **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
            "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0",
            "GIT_AUTHOR_DATE": now, "GIT_COMMITTER_DATE": now, "LC_ALL": "C.UTF-8",
            "XDG_CACHE_HOME": str(self._folder / "cache"),  # nothing stays behind
        }  # fmt: skip
        return subprocess.run(
            command, cwd=cwd, env=own, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", timeout=60, check=False,
        )  # fmt: skip
