"""How a remote is reached: by which protocols and keys. What would give something away is refused first."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

PROTOCOLS = "file:https:ssh"
_LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))
_SSH = (
    "BatchMode=yes", "ConnectTimeout=10", "StrictHostKeyChecking=yes",
    # A connection that is gone is noticed within 20 s; what the remote does meanwhile is git.py's to watch.
    "ServerAliveInterval=5", "ServerAliveCountMax=4",
)  # fmt: skip


class AddressError(ValueError):
    """The remote is not one that mrc speaks to; the text says why, without the address."""


@dataclass(frozen=True)
class Transport:
    """What git is told of the way to a remote: the protocols that it may use, and its ssh command."""

    protocols: str = PROTOCOLS
    ssh: str = shlex.join(["ssh", *(part for option in _SSH for part in ("-o", option))])


def transport(url: str, key: Path | None = None, known_hosts: Path | None = None) -> Transport:
    """The way to a remote. Raises AddressError.

    With `key`, nothing of the machine's own ssh configuration is read. A host is known, or it is not spoken to.
    """
    return Transport(_protocols(url), _ssh(key, known_hosts))


def _protocols(url: str) -> str:
    if url.startswith("-") or not url.isprintable() or not url:
        raise AddressError("the repository is no address")
    if re.match(r"[A-Za-z0-9]+::", url):
        raise AddressError("the repository may be reached by https, ssh or a path, not by a remote helper")
    if "://" not in url:
        return PROTOCOLS  # a path, or git@example.com:models.git
    try:
        parts = urlsplit(url)
        scheme, host, password = parts.scheme, parts.hostname or "", parts.password
    except ValueError:
        raise AddressError("the repository is no address") from None
    if password is not None or (scheme.startswith("http") and parts.username is not None):
        raise AddressError("a token in the address is seen by whoever lists processes: give it by --token-file")
    if parts.query or parts.fragment:
        raise AddressError("the address ends with the path: a token in it is seen, so give it by --token-file")
    if scheme == "http" and host in _LOOPBACK:
        return f"{PROTOCOLS}:http"
    if scheme == "http":
        raise AddressError("http:// sends commits and the token in the clear: use https://")
    if scheme not in PROTOCOLS.split(":"):
        raise AddressError(f"the repository may be reached by https, ssh or a path, not by {scheme}")
    return PROTOCOLS


def _ssh(key: Path | None, known_hosts: Path | None) -> str:
    options = list(_SSH)
    command = ["ssh"]
    if key is not None:
        command += ["-F", "none", "-i", str(key.absolute())]
        options.append("IdentitiesOnly=yes")
    if known_hosts is not None:
        options += [f"UserKnownHostsFile={_quoted(known_hosts)}", "GlobalKnownHostsFile=none"]
    return shlex.join([*command, *(part for option in options for part in ("-o", option))])


def _quoted(path: Path) -> str:
    """A file name as a value of ssh's configuration, which may name several."""
    text = str(path.absolute())
    if '"' in text or "\\" in text or "%" in text:
        raise AddressError("the known hosts stand in a file whose name ssh cannot be told")
    return f'"{text}"'
