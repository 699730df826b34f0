"""Real remotes on this machine: OpenSSH's server, and git's own HTTP server, as quick as a test lets it be."""

from __future__ import annotations

import base64
import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from judges import servers, tools
from reconciling import TOKEN


@dataclass
class Ssh:
    """A server that takes one key. `known_hosts` has its own; `remote` is what it serves."""

    url: str
    remote: Path
    key: Path
    known_hosts: Path


def keygen(path: Path) -> Path:
    """A new ed25519 key without a passphrase."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "mrc", "-f", path], check=True)
    return path


@contextlib.contextmanager
def ssh(remote: Path, folder: Path) -> Iterator[Ssh]:
    """OpenSSH's server on 127.0.0.1 with a copy of a repository: run by a user without rights, whose account it alone
    sees. `folder` gets the key and the known hosts."""
    with tempfile.TemporaryDirectory(prefix="mrc-sshd-") as own:
        home, user = Path(own), os.getuid() or 65534
        shutil.copytree(tools.openssh(), home / "root", symlinks=True)
        shutil.copytree(remote, home / "models.git")
        host, key = keygen(home / "host"), keygen(folder / "id")
        (home / "authorized").write_text(f"restrict {(folder / 'id.pub').read_text()}")
        (home / "passwd").write_text(f"git:x:{user}:{user}::{home}:/bin/sh\n")
        (home / "group").write_text(f"git:x:{user}:\n")
        options = {
            "HostKey": host, "AuthorizedKeysFile": home / "authorized", "PidFile": "none", "UsePAM": "no",
            "StrictModes": "no", "PasswordAuthentication": "no", "KbdInteractiveAuthentication": "no",
            "LogLevel": "ERROR",
        }  # fmt: skip
        (home / "config").write_text("".join(f"{name} {value}\n" for name, value in options.items()))
        (library,) = home.glob("root/usr/lib/*/libnss_wrapper.so")
        environment = {
            "LD_PRELOAD": library, "NSS_WRAPPER_PASSWD": home / "passwd", "NSS_WRAPPER_GROUP": home / "group",
            "LD_LIBRARY_PATH": ":".join(str(each.parent) for each in (home / "root").rglob("*.so*")),
        }  # fmt: skip
        as_user: list[str | Path] = []
        if os.getuid() == 0:
            as_user = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--"]
            for path in [home, *home.rglob("*")]:
                os.chown(path, user, user, follow_symlinks=False)
        command: list[str | Path] = [
            *as_user, "env", *(f"{name}={value}" for name, value in environment.items()),
            home / "root/usr/sbin/sshd", "-D", "-e", "-f", home / "config", "-o",
        ]  # fmt: skip
        with servers.serve(
            lambda ports: [*command, f"ListenAddress=127.0.0.1:{ports[0]}"], _greets, ports=1, log=folder / "sshd.log"
        ) as (port,):
            known = folder / "known_hosts"
            known.write_text(f"[127.0.0.1]:{port} {(home / 'host.pub').read_text()}")
            yield Ssh(f"ssh://git@127.0.0.1:{port}{home}/models.git", home / "models.git", key, known)


def _greets(ports: list[int]) -> bool:
    with socket.create_connection(("127.0.0.1", ports[0]), 10) as found:
        return found.recv(8).startswith(b"SSH-2.0")


@dataclass
class Http:
    """git over HTTP, for whoever has the token: piece by piece with a pause between; `dead` after one."""

    remote: Path
    port: int = 0
    token: str = TOKEN
    accepts: Callable[[str], bool] | None = None  # which tokens, where it is not one
    piece: int = 1 << 20
    pause: float = 0.0
    dead: bool = False
    redirect: str = ""
    reads: bool = False
    """Whether nobody may push."""
    users: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where the repository is."""
        return f"http://127.0.0.1:{self.port}/models.git"


@contextlib.contextmanager
def http(remote: Path) -> Iterator[Http]:
    """`git http-backend` on 127.0.0.1 for the length of the `with`."""
    found, stop = Http(remote), threading.Event()
    core = subprocess.run(["git", "--exec-path"], capture_output=True, text=True, check=True).stdout.strip()

    class Handler(servers.Quiet):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if found.redirect:
                self.send_response(302)
                self.send_header("Location", f"{found.redirect}{self.path}")
                self.end_headers()
                return
            name, _, given = self._credentials().partition(":")
            if not (found.accepts(given) if found.accepts is not None else given == found.token):
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="git"')
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            if found.reads and "receive-pack" in self.path:
                self.send_response(403)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            found.users.append(name)
            self._git(core, body)

        def _credentials(self) -> str:
            kind, _, value = self.headers.get("Authorization", "").partition(" ")
            return base64.b64decode(value).decode() if kind == "Basic" else ""

        def _git(self, core: str, body: bytes) -> None:
            parts = urlsplit(self.path)
            environment = {
                "PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": str(found.remote), "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": parts.path.removeprefix("/models.git"), "QUERY_STRING": parts.query,
                "REQUEST_METHOD": self.command, "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)), "REMOTE_USER": "mrc", "GIT_CONFIG_GLOBAL": os.devnull,
                "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*",
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            }  # fmt: skip
            command = [f"{core}/git-http-backend"]
            done = subprocess.run(command, input=body, env=environment, capture_output=True, check=True)
            head, _, data = done.stdout.partition(b"\r\n\r\n")
            lines = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
            self.send_response(int(lines.pop("Status", "200").split()[0]))
            for name, value in lines.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            for at in range(0, len(data), found.piece):
                if found.dead and at:
                    stop.wait(600)
                    return
                self.wfile.write(data[at : at + found.piece])
                self.wfile.flush()
                stop.wait(found.pause)

        do_GET = do_POST = _answer  # noqa: N815

    with servers.answering(Handler) as found.port:
        try:
            yield found
        finally:
            stop.set()
