"""Servers for the length of a `with`: own process group, own ports on 127.0.0.1, killed at the end."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from judges import tools

Command = Sequence[str | Path]

_PORTS = (16384, 32768)  # below those that Linux gives by itself
# Never through the proxy that the environment may name.
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class ServerError(RuntimeError):
    """A server ended, or did not become ready in time; the text ends with its log."""


@contextlib.contextmanager
def serve(
    command: Callable[[list[int]], Command],
    ready: Callable[[list[int]], bool],
    *,
    ports: int,
    log: Path,
    seconds: float = 120,
    env: Mapping[str, str] | None = None,
) -> Iterator[list[int]]:
    """Start `command(ports)`, wait until `ready(ports)`, yield the ports, kill the whole process group.

    Raises ServerError when the server ends or is not ready within `seconds`. A port that somebody took in
    between is tried again with others.
    """
    for attempt in range(3):
        chosen = free_ports(ports)
        with running(command(chosen), log, env) as server:
            if _wait(server, lambda chosen=chosen: ready(chosen), seconds):  # type: ignore[misc]
                yield chosen
                return
        text = log.read_text(errors="replace")
        if "in use" not in text or attempt == 2:
            raise ServerError(f"{Path(command(chosen)[0]).name} did not start:\n{text}")


@contextlib.contextmanager
def running(
    command: Command, log: Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A server in a process group of its own for the length of the `with`; what it prints is added to `log`.

    The kernel kills it when the thread that started it dies, hence also when the tests are killed.
    """
    with log.open("ab") as output:
        server = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", *(str(part) for part in command)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=tools.environment(env),
            cwd=cwd,
            start_new_session=True,
        )
    try:
        yield server
    finally:
        server.terminate()  # itself only: it ends its children, and waits for them
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(timeout=5)
        # It may be gone while a child of it still runs.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait(timeout=60)


def _wait(server: subprocess.Popen[bytes], ready: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end and server.poll() is None:
        with contextlib.suppress(OSError):  # refused, reset, timed out: not listening yet
            if ready():
                return True
        time.sleep(0.02)
    return False


class Quiet(BaseHTTPRequestHandler):
    """A handler of HTTP requests that prints none of them."""

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        """Requests are not news."""


class _Server(ThreadingHTTPServer):
    request_queue_size = 128  # else a caller whom a busy machine lets wait tries again after seconds


@contextlib.contextmanager
def answering(handler: type[Quiet], context: ssl.SSLContext | None = None) -> Iterator[int]:
    """An HTTP server of this process on 127.0.0.1, a thread a connection, for the length of the `with`: its port."""
    with _Server(("127.0.0.1", 0), handler) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


def free_ports(count: int) -> list[int]:
    """Different TCP ports on 127.0.0.1 that nobody listened on a moment ago.

    Linux gives none of them to who does not say which: a test beside this one, or a client.
    """
    found: list[int] = []
    with contextlib.ExitStack() as stack:
        while len(found) < count:
            each, port = stack.enter_context(socket.socket()), random.randrange(*_PORTS)
            with contextlib.suppress(OSError):
                each.bind(("127.0.0.1", port))
                found.append(port)
    return found


def request(url: str, body: Any = None, *, seconds: float = 10) -> tuple[int, str]:
    """One HTTP request: GET, or POST of `body` as JSON. The status, whatever it is, and the text.

    Raises OSError when nobody answers.
    """
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(url, data=data, headers={"Content-Type": "application/json"})
    try:
        with _direct.open(asked, timeout=seconds) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
