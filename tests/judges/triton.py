"""A real Triton server on a model repository: CPU only, explicit model control, plain HTTP."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from judges import servers, tools


class TritonError(RuntimeError):
    """Triton refused a request; the text is its own."""


@dataclass(frozen=True)
class Triton:
    """A running server."""

    url: str
    metrics_url: str
    _log: Path

    def load(self, model: str) -> list[str]:
        """Load a model, or load again what changed of it: Triton's refusal, or nothing.

        A version that is listed but missing is no refusal: ask `ready` for each.
        """
        status, text = servers.request(f"{self.url}/v2/repository/models/{model}/load", {}, seconds=120)
        return [] if status == 200 else [f"{model}: {text}"]

    def unload(self, model: str) -> list[str]:
        """Unload a model: Triton's refusal, or nothing. Requests in flight are still answered."""
        status, text = servers.request(f"{self.url}/v2/repository/models/{model}/unload", {}, seconds=60)
        return [] if status == 200 else [f"{model}: {text}"]

    def ready(self, model: str, version: int) -> bool:
        """Does this version of this model serve?"""
        return servers.request(f"{self.url}/v2/models/{model}/versions/{version}/ready")[0] == 200

    def infer(self, model: str, version: int, inputs: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
        """Outputs by name, flattened. An input is `{"name", "shape", "datatype", "data"}`.

        Raises TritonError when it is not answered.
        """
        url = f"{self.url}/v2/models/{model}/versions/{version}/infer"
        status, text = servers.request(url, {"inputs": list(inputs)})
        if status != 200:
            raise TritonError(text)
        return {each["name"]: each["data"] for each in json.loads(text)["outputs"]}

    def log(self) -> str:
        """What the server printed so far: where a refusal has its detail."""
        return self._log.read_text(errors="replace")


@contextlib.contextmanager
def serve(repository: Path, *options: str) -> Iterator[Triton]:
    """tritonserver on a repository for the length of the `with`; no model is loaded before `load`.

    Further command line options may be given. Raises servers.ServerError when it does not start.
    """
    home = tools.installed("triton")
    binaries = tools.site(home) / "pytriton" / "tritonserver"

    def command(ports: list[int]) -> servers.Command:
        return [
            binaries / "bin" / "tritonserver",
            f"--model-repository={repository}",
            f"--backend-directory={binaries / 'backends'}",
            "--model-control-mode=explicit",
            "--model-load-thread-count=1",  # once, of two versions loaded at a time one never ended
            "--http-address=127.0.0.1",
            f"--http-port={ports[0]}",
            "--allow-grpc=false",
            "--metrics-address=127.0.0.1",
            f"--metrics-port={ports[1]}",
            "--exit-timeout-secs=2",
            *options,
        ]

    def ready(ports: list[int]) -> bool:
        return servers.request(f"http://127.0.0.1:{ports[0]}/v2/health/live")[0] == 200

    with tempfile.TemporaryDirectory() as temporary:
        log = Path(temporary) / "log"
        with servers.serve(command, ready, ports=2, log=log, env=_python(home)) as ports:
            yield Triton(f"http://127.0.0.1:{ports[0]}", f"http://127.0.0.1:{ports[1]}/metrics", log)


def _python(home: Path) -> dict[str, str]:
    """What the python backend, which embeds Python, must be told: its venv, and its libpython."""
    return {"PATH": f"{home / 'bin'}:{os.environ['PATH']}", "LD_LIBRARY_PATH": str(home / "libpython")}
