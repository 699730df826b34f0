"""A server that is called: it remembers what it was sent, and answers as a test wants it."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from judges import servers


@dataclass(frozen=True)
class Request:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    seen: Any = None

    @property
    def data(self) -> Any:
        """The body, as JSON."""
        return json.loads(self.body)


@dataclass
class Endpoint:
    """Where it listens, and what it was sent. `statuses` are answered one after the other, the last for ever."""

    port: int
    statuses: list[int] = field(default_factory=lambda: [200])
    text: bytes = b"{}"
    requests: list[Request] = field(default_factory=list)
    watch: Callable[[], Any] = lambda: None
    """What is looked at when a request comes: its answer is kept in `seen`."""


@contextlib.contextmanager
def serve(context: ssl.SSLContext | None = None) -> Iterator[Endpoint]:
    """An endpoint on 127.0.0.1 for the length of the `with`."""
    lock = threading.Lock()

    class Handler(servers.Quiet):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            with lock:
                found.requests.append(Request(self.command, self.path, dict(self.headers.items()), body, found.watch()))
                status = found.statuses.pop(0) if len(found.statuses) > 1 else found.statuses[0]
            self.send_response(status)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", str(len(found.text)))
            self.end_headers()
            self.wfile.write(found.text)

        do_GET = do_POST = do_PATCH = _answer  # noqa: N815

    found = Endpoint(0)
    with servers.answering(Handler, context) as found.port:
        yield found
