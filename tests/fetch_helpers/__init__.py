"""What the tests of `mrc fetch` share: a real web server, and trees written and read."""

import hashlib
import json
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import trustme

Route = Callable[[BaseHTTPRequestHandler, int], None]


@dataclass
class Server:
    """A web server on 127.0.0.1; `routes[path]` answers a request, given how many came for it before."""

    url: str
    routes: dict[str, Route] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def hits(self, path: str) -> list[dict[str, str]]:
        return [headers for asked, headers in self.requests if asked == path]


@contextmanager
def web_server(authority: trustme.CA | None = None) -> Iterator[Server]:
    """Serve https with a certificate of `authority`, or plain http without one."""
    server: Server

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            before = len(server.hits(self.path))
            server.requests.append((self.path, dict(self.headers)))
            server.routes.get(self.path, status(404))(self, before)

        def log_message(self, *_: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients hang up on purpose
    if authority:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        http.socket = context.wrap_socket(http.socket, server_side=True)
    server = Server(f"http{'s' if authority else ''}://127.0.0.1:{http.server_port}")
    threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()


def whole(data: bytes) -> Route:
    def answer(handler: BaseHTTPRequestHandler, _: int) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    return answer


def status(code: int, **headers: str) -> Route:
    def answer(handler: BaseHTTPRequestHandler, _: int) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def first(*routes: Route) -> Route:
    """One answer after the other; the last one for ever."""
    return lambda handler, before: routes[min(before, len(routes) - 1)](handler, before)


def broken_off(data: bytes, sent: int) -> Route:
    """Promise all of `data`, send `sent` bytes, and hang up."""

    def answer(handler: BaseHTTPRequestHandler, _: int) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data[:sent])

    return answer


def ranged(data: bytes) -> Route:
    def answer(handler: BaseHTTPRequestHandler, _: int) -> None:
        start = int(handler.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        handler.send_header("Content-Length", str(len(data) - start))
        handler.end_headers()
        handler.wfile.write(data[start:])

    return answer


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def remote(path: str, uri: str, data: bytes, **changed: Any) -> dict[str, Any]:
    return {"path": path, "uri": uri, "size": len(data), "sha256": sha256(data)} | changed


def rendered(path: str, source: str, data: bytes, **changed: Any) -> dict[str, Any]:
    return {"path": path, "from": source, "size": len(data), "sha256": sha256(data)} | changed


def manifest(*files: Any, configs: Any = (), directories: Any = ()) -> dict[str, Any]:
    return {
        "model": "fraud-detector",
        "version": 42,
        "files": list(files),
        "configs": list(configs),
        "directories": list(directories),
    }


def write_manifest(folder: Path, content: Any, **configs: bytes) -> Path:
    """Write the manifest and config files as a plain folder; `a_b` stands for the file name `a.b`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in configs.items():
        (folder / name.replace("_", ".")).write_bytes(data)
    path = folder / "manifest.json"
    path.write_text(json.dumps(content))
    return path


def tree(root: Path) -> dict[str, bytes | None]:
    """All that lies below `root`, hidden files too: contents by path, None for a directory."""
    return {
        str(path.relative_to(root)): None if path.is_dir() else path.read_bytes() for path in sorted(root.rglob("*"))
    }


def stamps(root: Path) -> dict[str, tuple[int, int, int]]:
    """Inode, modification time and mode of all that lies below `root`."""
    entries = {str(path.relative_to(root)): path.lstat() for path in root.rglob("*")}
    return {path: (entry.st_ino, entry.st_mtime_ns, entry.st_mode) for path, entry in entries.items()}


def start_fetch(path: Path, to: Path, **environment: str) -> "subprocess.Popen[str]":
    """Start the command as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", "from mrc.cli.fetch import fetch; fetch()", str(path), "--to", str(to)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )
