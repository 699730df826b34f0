"""One reconciler acts at a time: who holds the Lease. It saves duplicate work; safety comes from the push.

Times are of each candidate's own monotonic clock: clocks of two machines are never compared. The holder stops
`DEADLINE` after it began its last renewal, and nobody else begins before `DURATION` after having seen that renewal.
https://kubernetes.io/docs/concepts/architecture/leases/
"""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from mrc.reconcile.cluster import ClusterError
from mrc.reconcile.telemetry import Telemetry

DURATION = 15.0  # seconds for which a renewal holds
DEADLINE = 10.0  # seconds without a renewal after which the holder stops
RETRY = 2.0  # seconds between two tries
_LONGEST = 300.0  # seconds: what somebody else writes into a Lease keeps nobody out for longer
_REQUEST = 4.0  # seconds

Spec = Mapping[str, Any]


@dataclass(frozen=True)
class Candidate:
    """What one candidate knows. `seen` is the renewal of another holder that it saw last, and `since` when it first
    saw that; `renewed` is when it began its own last renewal, while it holds the Lease."""

    name: str
    seen: tuple[str, str] | None = None
    since: float = 0.0
    renewed: float | None = None

    def may_act(self, now: float) -> bool:
        """Whether it holds the Lease for certain."""
        return self.renewed is not None and now - self.renewed < DEADLINE


def look(me: Candidate, spec: Spec | None, now: float) -> tuple[Candidate, bool]:
    """What follows from the Lease as it is (None: there is none), and whether to write one's own name into it. Pure."""
    holder = str((spec or {}).get("holderIdentity") or "")
    if holder == me.name:
        return me, True
    me = replace(me, renewed=None)
    if not holder:
        return replace(me, seen=None), True
    renewal = (holder, str((spec or {}).get("renewTime")))
    if renewal != me.seen:
        return replace(me, seen=renewal, since=now), False
    return me, now - me.since > _length(spec)


def _length(spec: Spec | None) -> float:
    try:
        said = float(str((spec or {}).get("leaseDurationSeconds")))
    except ValueError:
        return DURATION
    return said if DURATION <= said <= _LONGEST else DURATION


def written(spec: Spec | None, name: str, now: datetime) -> dict[str, Any]:
    """The Lease with one's own name; an empty one releases it."""
    before = dict(spec or {})
    stamp = f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
    after = {**before, "holderIdentity": name, "renewTime": stamp, "leaseDurationSeconds": int(DURATION)}
    if name and before.get("holderIdentity") != name:
        after |= {"acquireTime": stamp, "leaseTransitions": int(before.get("leaseTransitions") or 0) + 1}
    return after


class Cluster(Protocol):
    """The API server."""

    def request(self, path: str, *, method: str = "GET", body: Any = None, seconds: float) -> Any: ...


class Lease:
    """A Lease on an API server, held by a thread."""

    def __init__(
        self, cluster: Cluster, namespace: str, name: str, who: str, telemetry: Telemetry, lost: Callable[[], None]
    ) -> None:
        self._cluster, self._telemetry, self._lost = cluster, telemetry, lost
        self._folder = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._name = name
        self._me = Candidate(who)
        self._held = threading.Event()

    @contextmanager
    def held(self, stop: threading.Event) -> Iterator[bool]:
        """Wait until it is held, then hold it for the length of the `with`; False when `stop` came first.

        `lost` is called when it cannot be held any longer, from another thread: the process has to end.
        """
        done = threading.Event()
        keeper = threading.Thread(target=self._keep, args=(done,), daemon=True)
        keeper.start()
        while not stop.is_set() and not self._held.wait(0.1):
            pass
        try:
            if self._held.is_set():
                threading.Thread(target=self._watch, args=(done,), daemon=True).start()
            yield self._held.is_set() and not stop.is_set()
        finally:
            done.set()
            keeper.join(2 * _REQUEST)
            if self._me.may_act(time.monotonic()):
                self._release()

    def _keep(self, done: threading.Event) -> None:
        while not done.is_set():
            try:
                self._try()
            except ClusterError as problem:
                self._telemetry.count("mrc_reconciler_errors_total", what="lease")
                self._telemetry.log("the Lease cannot be asked for", level="warning", error=str(problem))
            done.wait(RETRY)

    def _try(self) -> None:
        begun = time.monotonic()
        there = self._read()
        me, write = look(self._me, (there or {}).get("spec"), time.monotonic())
        if write and self._write(there, me.name):
            me = replace(me, renewed=begun)
        if me.renewed is not None and self._me.renewed is None and not self._held.is_set():
            self._telemetry.log("this process acts: it holds the Lease", lease=self._name, holder=me.name)
            self._held.set()
        elif me.seen is not None and me.seen[0] != (self._me.seen or ("",))[0]:
            self._telemetry.log("another process acts: this one waits", lease=self._name, holder=me.seen[0])
        self._me = me

    def _watch(self, done: threading.Event) -> None:
        while not done.wait(0.2):
            if not self._me.may_act(time.monotonic()):
                self._telemetry.log("the Lease is lost: ending", level="error", lease=self._name)
                self._lost()
                return

    def _read(self) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self._cluster.request(f"{self._folder}/{self._name}", seconds=_REQUEST)
        except ClusterError as problem:
            if problem.status == 404:
                return None
            raise
        return found

    def _write(self, there: dict[str, Any] | None, who: str) -> bool:
        """False when somebody was faster. Raises ClusterError."""
        spec = written((there or {}).get("spec"), who, datetime.now(UTC))
        try:
            if there is None:
                kind = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
                body = {**kind, "metadata": {"name": self._name}, "spec": spec}
                self._cluster.request(self._folder, method="POST", body=body, seconds=_REQUEST)
            else:
                # With the resourceVersion that was read: whoever writes second is refused.
                body = {**there, "spec": spec}
                self._cluster.request(f"{self._folder}/{self._name}", method="PUT", body=body, seconds=_REQUEST)
        except ClusterError as problem:
            if problem.status == 409:
                return False
            raise
        return True

    def _release(self) -> None:
        try:
            there = self._read()
            if there is not None and (there.get("spec") or {}).get("holderIdentity") == self._me.name:
                self._write(there, "")
                self._telemetry.log("the Lease is released", lease=self._name)
        except ClusterError as problem:
            self._telemetry.log("the Lease could not be released", level="warning", error=str(problem))


def ends() -> None:
    """End this process at once, whatever it is doing: what was not pushed did not happen."""
    os._exit(1)
