"""`mrc reconcile` as its own process, which can be killed and started again."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from judges import servers
from world.repository import ENVIRONMENT, MODEL, Repository, git


@dataclass
class Reconciler:
    """One running process, and what it logged."""

    process: subprocess.Popen[bytes]
    log: Path
    url: str

    def said(self) -> str:
        """Everything that it logged."""
        return self.log.read_text(errors="replace")

    def metrics(self) -> str:
        """Its own series."""
        return servers.request(f"{self.url}/metrics")[1]


@contextlib.contextmanager
def serve(remote: str, kubeconfig: Path, folder: Path, *options: str | Path, **wanted: Any) -> Iterator[Reconciler]:
    """A reconciler for the length of the `with`; `folder` keeps its log and its repository from one to the next.

    `wanted` is for `launch.py`: `settings` that are other than usual, and the moment at which it `dies`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"reconcile-{len(list(folder.glob('*.log'))) + 1}.log"  # one for each life

    def command(port: int) -> servers.Command:
        return [
            sys.executable, "-P", Path(__file__).with_name("launch.py"), json.dumps(wanted),
            "reconcile", remote, "-e", ENVIRONMENT, "--kubeconfig", kubeconfig, "--state", folder / "state",
            "--listen", f"127.0.0.1:{port}", "--every", "0.5", *options,
        ]  # fmt: skip

    (port,) = servers.free_ports(1)
    with servers.running(command(port), log) as process:
        yield Reconciler(process, log, f"http://127.0.0.1:{port}")


@dataclass
class Ledger:
    """What the remote says that the reconciler did."""

    remote: Path
    model: str = MODEL

    def serving(self) -> int:
        """The version that main of the remote names."""
        text = git("show", f"main:policies/{self.model}/policy.yaml", cwd=self.remote)
        return int(yaml.safe_load(text)["spec"]["environments"][ENVIRONMENT]["serve"]["version"])

    def rendered(self) -> int:
        """The version that main of the remote gives the syncer."""
        text = git("show", f"main:rendered/{ENVIRONMENT}/{self.model}/rollout.yaml", cwd=self.remote)
        return int(yaml.safe_load(text)["spec"]["template"]["metadata"]["labels"]["mrc.dev/version"])

    def files(self, folder: str) -> dict[str, Any]:
        """The documents below a folder of main."""
        names = git("ls-tree", "-r", "--name-only", "main", "--", folder, cwd=self.remote).splitlines()
        return {name: yaml.safe_load(git("show", f"main:{name}", cwd=self.remote)) for name in names}

    def incidents(self) -> list[dict[str, Any]]:
        """What stands in the incidents, oldest first."""
        return [each["spec"] for _, each in sorted(self.files(f"incidents/{ENVIRONMENT}/{self.model}").items())]

    def outcomes(self) -> list[str]:
        """How the incidents ended; `open` for those that did not."""
        return [each.get("outcome", {}).get("state", "open") for each in self.incidents()]

    def rejected(self) -> set[int]:
        """The versions that were rejected here."""
        found = self.files(f"policies/{self.model}/verdicts").values()
        return {int(each["metadata"]["version"]) for each in found if ENVIRONMENT in each["spec"].get("rejected", {})}

    def rollbacks(self) -> list[str]:
        """The commits that changed the policy and are not a person's, newest first."""
        by_mrc = ("--full-history", "--author=mrc", "--format=%s", "main", "--", f"policies/{self.model}/policy.yaml")
        return git("log", *by_mrc, cwd=self.remote).splitlines()

    def commits(self) -> int:
        """How many commits main has."""
        return int(git("rev-list", "--count", "main", cwd=self.remote))


def of(repository: Repository, model: str = MODEL) -> Ledger:
    """What a repository's remote says of a model."""
    return Ledger(repository.remote, model)


def decisions(said: str) -> list[dict[str, Any]]:
    """The structured log, line by line."""
    return [json.loads(line) for line in said.splitlines() if line.startswith("{")]
