"""What the reconciler tells of itself: JSON lines, and metrics in Prometheus' text format."""

import json
import sys
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TextIO

HELP = {
    "mrc_reconciler_failures": ("gauge", "Failures that are the case now, by kind."),
    "mrc_reconciler_decisions_total": ("counter", "Decisions, by action and verdict."),
    "mrc_reconciler_pushes_total": ("counter", "Pushes, by how they ended."),
    "mrc_reconciler_incidents_closed_total": ("counter", "Incidents that ended, by how."),
    "mrc_reconciler_incidents_open": ("gauge", "Incidents whose target does not serve healthily yet."),
    "mrc_reconciler_rollouts": ("gauge", "Rollouts that are watched."),
    "mrc_reconciler_errors_total": ("counter", "What could not be asked or done, by what it was."),
    "mrc_reconciler_acting": ("gauge", "1 while this process acts, 0 while another one holds the Lease."),
    "mrc_reconciler_last_success_timestamp_seconds": ("gauge", "When everything that was needed last answered."),
    "mrc_reconciler_decided_to_pushed_seconds": ("gauge", "How long the last commit took from the decision on."),
}


class Telemetry:
    """Counters, gauges and the log. Safe to use from several threads."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out
        self._lock = threading.Lock()
        self._values: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}

    def log(self, message: str, *, level: str = "info", **fields: object) -> None:
        """One JSON line."""
        line = {"time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}", "level": level, "message": message, **fields}
        out = self._out if self._out is not None else sys.stderr
        with self._lock:
            out.write(json.dumps(line, default=str) + "\n")
            out.flush()

    def count(self, name: str, **own: str) -> None:
        """Add one."""
        with self._lock:
            key = (name, tuple(sorted(own.items())))
            self._values[key] = self._values.get(key, 0) + 1

    def set(self, name: str, value: float, **own: str) -> None:
        """Set a gauge."""
        with self._lock:
            self._values[name, tuple(sorted(own.items()))] = value

    def clear(self, name: str) -> None:
        """Forget a gauge, whatever its labels."""
        with self._lock:
            self._values = {key: value for key, value in self._values.items() if key[0] != name}

    def text(self) -> str:
        """Everything, as Prometheus reads it."""
        with self._lock:
            values = sorted(self._values.items())
        lines = []
        for name, (kind, meaning) in HELP.items():
            lines += [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}"]
            lines += [f"{name}{_labels(dict(own))} {value:.17g}" for (each, own), value in values if each == name]
        return "\n".join(lines) + "\n"


def _labels(own: Mapping[str, str]) -> str:
    shown = ",".join(f"{key}={json.dumps(value)}" for key, value in own.items())
    return f"{{{shown}}}" if shown else ""


def serve(address: tuple[str, int], telemetry: Telemetry, alive: Callable[[], str | None]) -> ThreadingHTTPServer:
    """`/healthz` and `/metrics`, in a thread; nothing else is answered."""

    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._answer(200, telemetry.text(), "text/plain; version=0.0.4; charset=utf-8")
            elif self.path == "/healthz":
                problem = alive()
                self._answer(503 if problem else 200, f"{problem or 'ok'}\n", "text/plain; charset=utf-8")
            else:
                self._answer(404, "not found\n", "text/plain; charset=utf-8")

        def _answer(self, status: int, text: str, kind: str) -> None:
            data = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
            """Requests are not news."""

    server = ThreadingHTTPServer(address, Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
