"""`mrc reconcile` as a process, and what it speaks to: an API server, Prometheus and Alertmanager, as far as it asks.

They answer what the branch says by now: a version that is not good aborts, and what git went back to is stable.
"""

from __future__ import annotations

import contextlib
import json
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

from judges import servers
from reconciling import ENVIRONMENT, MODEL, git, rollout, run

OBJECTS = "/apis/argoproj.io/v1alpha1/namespaces/models"
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
# Quicker than in life, where forges and branches are asked once in a while.
QUICK = {
    "mrc.reconcile.reconciler": {"RECHECK_SECONDS": 0.2, "IDLE_SECONDS": 0.5},
    "mrc.reconcile.proposals": {"LOOK_SECONDS": 0.1},
}


@dataclass
class Around:
    """The world around a remote. `bad` is the version that fails, where something does."""

    remote: Path
    bad: int | None = 13
    port: int = 0
    denied: frozenset[str] = frozenset()
    """Rights that the API server does not grant, such as `watch rollouts`."""
    pages: list[dict[str, Any]] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where all of it listens."""
        return f"http://127.0.0.1:{self.port}"

    def kubeconfig(self, path: Path) -> Path:
        """How the API server is reached."""
        named = {"name": "here"}
        path.write_text(
            yaml.safe_dump({
                "apiVersion": "v1", "kind": "Config", "current-context": "here",
                "clusters": [{**named, "cluster": {"server": self.url}}],
                "users": [{**named, "user": {"token": "k8s-t0ken"}}],
                "contexts": [{**named, "context": {"cluster": "here", "user": "here"}}],
            })
        )  # fmt: skip
        return path

    def rollouts(self) -> list[dict[str, Any]]:
        """What is the case."""
        text = git("show", f"main:policies/{MODEL}/policy.yaml", cwd=self.remote)
        version = int(yaml.safe_load(text)["spec"]["environments"][ENVIRONMENT]["serve"]["version"])
        phase = "aborted" if version == self.bad else "stable"
        return [rollout(version=version, phase=phase, resourceVersion=str(version))]

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: Any) -> tuple[int, Any]:
        """Status and JSON."""
        if (method, path) == ("GET", f"{OBJECTS}/rollouts"):
            return 200, {"items": self.rollouts(), "metadata": {"resourceVersion": "1"}}
        if (method, path) == ("GET", f"{OBJECTS}/analysisruns"):
            return 200, {"items": [run()], "metadata": {"resourceVersion": "1"}}
        if (method, path) == ("POST", REVIEWS):
            asked = body["spec"]["resourceAttributes"]
            return 201, {"status": {"allowed": f"{asked['verb']} {asked['resource']}" not in self.denied}}
        if (method, path) == ("GET", "/prometheus/api/v1/query"):
            (expression,) = query["query"]
            named = {"guardrail": "errors"} if "mrc:guardrail:" in expression else {}
            good = f'version="{self.bad}"' not in expression
            value = [time.time(), "1" if (not named) or not good else "0"]
            return 200, {"status": "success", "data": {"resultType": "vector", "result": [
                {"metric": named, "value": value}]}}  # fmt: skip
        if (method, path) == ("GET", "/alertmanager/api/v2/alerts"):
            return 200, []
        if (method, path) == ("POST", "/alertmanager/api/v2/alerts"):
            self.pages += body
            return 200, None
        self.strange.append(f"{method} {path}")
        return 404, {"message": "not found"}


@contextlib.contextmanager
def around(remote: Path) -> Iterator[Around]:
    """The world on 127.0.0.1 for the length of the `with`."""
    found, stop = Around(remote), threading.Event()

    class Handler(servers.Quiet):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            parts = urlsplit(self.path)
            query = parse_qs(parts.query)
            data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if "watch" in query:
                with contextlib.suppress(OSError):
                    self._watch()
                return
            status, answer = found.answer(self.command, parts.path, query, json.loads(data) if data else None)
            text = json.dumps(answer).encode() if answer is not None else b""
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def _watch(self) -> None:
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            told = None
            while not stop.wait(0.1):
                (now,) = found.rollouts()
                if now != told:
                    line = json.dumps({"type": "MODIFIED", "object": now}).encode() + b"\n"
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
                    told = now

        do_GET = do_POST = _answer  # noqa: N815

    with servers.answering(Handler) as found.port:
        try:
            yield found
        finally:
            stop.set()


@dataclass
class Life:
    """One process, from its start to its end."""

    process: Popen[bytes]
    log: Path

    def said(self) -> str:
        """Everything that it said."""
        return self.log.read_text(errors="replace")

    def lines(self) -> list[dict[str, Any]]:
        """What it logged; a last line that is not whole is left out."""
        return [json.loads(line) for line in self.said().splitlines() if re.fullmatch(r"\{.*\}", line)]

    def until(self, what: str, so: Callable[[], object], seconds: float = 120) -> None:
        """Wait, while it lives."""
        end = time.monotonic() + seconds
        while not so():
            assert self.process.poll() is None, f"it ended before {what}:\n{self.said()}"
            assert time.monotonic() < end, f"{what}: not within {seconds} s:\n{self.said()}"
            time.sleep(0.02)

    def ended(self, seconds: float = 120) -> int:
        """How it ended; a signal is negative."""
        return self.process.wait(seconds)


@contextlib.contextmanager
def living(url: str, folder: Path, kubeconfig: Path, *options: str | Path) -> Iterator[Life]:
    """`mrc reconcile` for the length of the `with`; `folder` keeps its repository, and a log of each life."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"{len(list(folder.glob('*.log'))) + 1}.log"
    quick = "; ".join(
        f"import {module} as m; {'; '.join(f'm.{name} = {value}' for name, value in each.items())}"
        for module, each in QUICK.items()
    )
    command = [
        sys.executable, "-P", "-c", f"{quick}; from mrc.cli import run; run()",
        "reconcile", url, "-e", ENVIRONMENT, "--kubeconfig", kubeconfig, "--state", folder / "state",
        "--listen", "127.0.0.1:0", "--every", "0.2", *options,
    ]  # fmt: skip
    with servers.running(command, log) as process:
        yield Life(process, log)
