"""The ways to a bare repository: its folder, HTTP by git's own backend, SSH by a daemon of this machine's user."""

from __future__ import annotations

import asyncio
import contextlib
import http.server
import shlex
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import asyncssh

from judges import tools
from world.repository import git


@dataclass
class Backend:
    """A running server; the repository is at /<its folder's name>."""

    port: int = 0
    lost: int = 0  # how many pushes are still to be taken without an answer


@contextlib.contextmanager
def http_backend(remote: Path) -> Iterator[Backend]:
    """`git http-backend` with the right to push, on 127.0.0.1 for the length of the `with`."""
    running = Backend()
    git("config", "http.receivepack", "true", cwd=remote)
    backend = Path(git("--exec-path", cwd=remote)) / "git-http-backend"

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            if "chunked" in self.headers.get("Transfer-Encoding", ""):
                self._answer(self._chunks())
            else:
                self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

        def _chunks(self) -> bytes:
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        def _answer(self, body: bytes) -> None:
            asked = urlsplit(self.path)
            variables = {
                "GIT_PROJECT_ROOT": str(remote.parent), "GIT_HTTP_EXPORT_ALL": "1", "REMOTE_USER": "somebody",
                "REQUEST_METHOD": self.command, "PATH_INFO": asked.path, "QUERY_STRING": asked.query,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""), "REMOTE_ADDR": "127.0.0.1",
            }  # fmt: skip
            done = subprocess.run(
                [backend], input=body, capture_output=True, env=tools.environment(variables), check=False
            )
            if self.command == "POST" and asked.path.endswith("/git-receive-pack") and running.lost:
                running.lost -= 1
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            head, _, content = done.stdout.partition(b"\r\n\r\n")
            headers = [line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line]
            status = next((int(value.split()[0]) for name, value in headers if name == "Status"), 200)
            self.send_response(status)
            for name, value in headers:
                if name != "Status":
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            with contextlib.suppress(OSError):  # the proxy in between cut it
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Nothing: it would stand between the results of the tests."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            running.port = server.server_port
            yield running
        finally:
            server.shutdown()


@dataclass(frozen=True)
class Ssh:
    """A running server; the URL's path is the repository's folder."""

    port: int
    key: Path
    """The private key that it lets in."""
    known_hosts: Path

    def url(self, remote: Path) -> str:
        """The address of a repository."""
        return f"ssh://git@127.0.0.1:{self.port}{remote}"


@contextlib.contextmanager
def ssh(folder: Path) -> Iterator[Ssh]:
    """git over SSH on 127.0.0.1 for the length of the `with`, for one key."""
    own, theirs = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    key, known_hosts = folder / "ssh-key", folder / "known_hosts"
    key.touch(mode=0o600)
    theirs.write_private_key(key)

    async def answer(process: asyncssh.SSHServerProcess[bytes]) -> None:
        service, path = shlex.split(process.command or "")
        assert service in ("git-upload-pack", "git-receive-pack")
        git = await asyncio.create_subprocess_exec(
            "git", service.removeprefix("git-"), path, env=tools.environment(),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        await process.redirect(git.stdin, git.stdout, git.stderr)
        process.exit(await git.wait())
        await process.wait_closed()

    loop = asyncio.new_event_loop()
    trusted = asyncssh.import_authorized_keys(theirs.export_public_key().decode())
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def listen() -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            "127.0.0.1", 0, server_host_keys=[own], authorized_client_keys=trusted, process_factory=answer,
            encoding=None,
        )  # fmt: skip

    async def end() -> None:
        server.close()
        if others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(others, timeout=5)

    server = asyncio.run_coroutine_threadsafe(listen(), loop).result(timeout=30)
    try:
        port = server.get_port()
        known_hosts.write_text(f"[127.0.0.1]:* {own.export_public_key().decode()}")  # a proxy has another port
        yield Ssh(port, key, known_hosts)
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result(timeout=30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=10)


def hook(remote: Path, name: str, script: str) -> None:
    """A hook of the remote, as a shell script."""
    file = remote / "hooks" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
