"""The hooks of a policy, called after a rollback: what each is told, and how.

A call may be made again after a crash: it has the same body and the same key, so that its effect is once.
"""

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from mrc import __version__
from mrc.reconcile import bounded
from mrc.schema import Incident
from mrc.schema.incident import HookName, Told
from mrc.schema.policy import Hook, Hooks
from mrc.schema.units import Timestamp

AT_ONCE = 8
_TIMEOUT = httpx.Timeout(10.0, connect=5.0)
WHOLE = 20.0  # seconds for a call; nothing is read but the head
_AGAIN = frozenset((408, 425, 429))  # and every 5xx: the same call may be taken later
_LARGEST_TOKEN = 1 << 16  # bytes


@dataclass(frozen=True)
class Call:
    """One POST: the same incident and hook make the same one, whichever process makes it."""

    incident: str
    hook: HookName
    url: str
    body: bytes


def declared(hooks: Hooks) -> dict[HookName, str]:
    """The addresses of a policy's hooks, in the order in which they are called."""
    both: dict[HookName, Hook | None] = {"flushCache": hooks.flush_cache, "reprocess": hooks.reprocess}
    return {name: hook.url for name, hook in both.items() if hook is not None}


def calls(found: Incident, hooks: Hooks) -> list[Call]:
    """What is to be told of an incident; nothing before git says whom it affected."""
    affected = found.spec.affected
    if affected is None:
        return []
    body = {
        "incident": found.metadata.id, "model": found.metadata.model, "environment": found.metadata.environment,
        "version": int(found.spec.cause.version), "verdict": found.spec.verdict,
        "from": str(affected.from_), "until": str(affected.until),
    }  # fmt: skip
    data = json.dumps(body).encode()
    return [Call(found.metadata.id, name, url, data) for name, url in declared(hooks).items()]


@dataclass
class _State:
    """What came of a call so far."""

    running: bool = False
    told: Told | None = None
    final: bool = False
    tries: int = 0
    next: float = 0.0  # by the monotonic clock


@dataclass
class Caller:
    """Makes calls, in threads of their own: no failure waits for somebody else's server.

    `secrets` is a folder with a file for each host that wants a bearer token, named as the host. Plain HTTP goes to
    `plain` hosts only. Neither redirects nor proxies are followed, and of an answer only the status is read.
    """

    clock: Callable[[], datetime]
    plain: Iterable[str] = ()
    secrets: Path | None = None
    pause: float = 2.0
    """Seconds before the second try of a call; it doubles, up to a minute."""
    _states: dict[tuple[str, HookName], _State] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, call: Call) -> Told | None:
        """What came of a call, beginning it if it is due; None while nothing has come of it."""
        with self._lock:
            state = self._states.setdefault((call.incident, call.hook), _State())
            busy = sum(each.running for each in self._states.values())
            due = not state.running and not state.final and time.monotonic() >= state.next
            if due and busy < AT_ONCE:
                state.running = True
                threading.Thread(target=self._make, args=(call, state), daemon=True).start()
            return state.told

    def _make(self, call: Call, state: _State) -> None:
        status, said = self._post(call)
        accepted = status is not None and 200 <= status < 300
        told = Told(hook=call.hook, at=_stamp(self.clock()), accepted=accepted, found=said)
        with self._lock:
            state.tries += 1
            state.told, state.running = told, False
            state.final = accepted or (status is not None and status < 500 and status not in _AGAIN)
            state.next = time.monotonic() + min(60.0, self.pause * 2 ** (state.tries - 1))

    def _post(self, call: Call) -> tuple[int | None, str]:
        """The status and what it means in words; no status where nobody answered, 0 where nobody may be asked."""
        try:
            parts = urlsplit(call.url)
            host = parts.hostname or ""
        except ValueError:
            return 0, "the address cannot be read"
        if parts.scheme != "https" and host not in set(self.plain):
            return 0, f"not called: {host} is not among the hosts that may be called without TLS"
        try:
            headers = self._headers(call, host)
            with (
                bounded.client(WHOLE, _TIMEOUT) as client,
                client.stream("POST", call.url, content=call.body, headers=headers) as answer,
            ):
                return answer.status_code, f"HTTP status {answer.status_code}"
        except (httpx.InvalidURL, ValueError):
            return 0, "the address or its token cannot be used"
        except (httpx.HTTPError, OSError) as problem:
            return None, f"nobody answered: {type(problem).__name__}"

    def _headers(self, call: Call, host: str) -> Mapping[str, str]:
        headers = {
            "Content-Type": "application/json", "Idempotency-Key": call.incident, "User-Agent": f"mrc/{__version__}",
        }  # fmt: skip
        token = self.secrets / host if self.secrets is not None and "/" not in host else None
        if token is not None and token.is_file():
            with token.open("rb") as file:
                headers["Authorization"] = f"Bearer {file.read(_LARGEST_TOKEN).decode('ascii').strip()}"
        return headers


def _stamp(at: datetime) -> Timestamp:
    return Timestamp.parse(f"{at:%Y-%m-%dT%H:%M:%S}Z")
