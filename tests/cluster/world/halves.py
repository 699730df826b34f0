"""An API server between the real one and a reconciler, which tells it old lists and half of the events."""

from __future__ import annotations

import contextlib
import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from world.control_plane import ControlPlane


@dataclass
class Teller:
    """What it keeps to itself."""

    config: Path = Path()
    losing: bool = False  # no event of a watch is told
    lost: int = 0
    old: bytes | None = None  # in place of every list of Rollouts, with nothing new in the watch
    lists: list[bytes] = field(default_factory=list)  # of Rollouts, as they were told


@contextlib.contextmanager
def serve(plane: ControlPlane, folder: Path) -> Iterator[Teller]:
    """Forward everything to the API server, but for what the test wants otherwise, for the length of the `with`."""
    teller = Teller(folder / "halves.kubeconfig")
    client = httpx.Client(
        verify=ssl.create_default_context(cafile=plane.ca), trust_env=False, timeout=httpx.Timeout(10, read=None)
    )

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            headers = {name: self.headers[name] for name in ("Authorization", "Accept") if name in self.headers}
            path, _, query = self.path.partition("?")
            rollouts, watch = path.endswith("/rollouts"), "watch=1" in query
            with contextlib.suppress(OSError, httpx.HTTPError):  # one of the two hung up
                if rollouts and not watch and teller.old is not None:
                    self._answer(200, teller.old)
                    return
                with client.stream("GET", f"{plane.url}{self.path}", headers=headers) as answer:
                    if not watch:
                        data = answer.read()
                        if rollouts:
                            teller.lists.append(data)
                        self._answer(answer.status_code, data)
                        return
                    self.send_response(answer.status_code)
                    self.send_header("Transfer-Encoding", "chunked")
                    self.end_headers()
                    for line in answer.iter_lines():
                        if teller.losing or teller.old is not None:
                            teller.lost += json.loads(line)["type"] != "BOOKMARK"
                            continue
                        self._chunk(line.encode() + b"\n")
                    self._chunk(b"")

        def _chunk(self, data: bytes) -> None:
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            self.wfile.flush()

        def _answer(self, status: int, data: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            """Nothing: it would stand between the results of the tests."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server, client:
        server.daemon_threads = True
        config = json.loads(plane.kubeconfig().read_text())
        config["clusters"][0]["cluster"] = {"server": f"http://127.0.0.1:{server.server_port}"}
        teller.config.write_text(json.dumps(config))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield teller
        finally:
            server.shutdown()
