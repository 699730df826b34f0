"""The reconciler's numbers, on real git and a real HTTP server that speaks the API's list and watch.

    benchmarks/reconciler.py [--models 10000] [--failures 100] [--at-once 1000] [--hours 24]

"Failure seen to commit pushed" is one pass: from what the cluster says to the answer to the push, on a remote of the
same machine. Beside the seconds stand those of the processor, git's included: they do not depend on what else the
machine does. The clock of the hours is simulated, git is not.
"""

import argparse
import http.server
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock
from urllib.parse import parse_qs, urlsplit

import crowd
import fleet
import yaml

from mrc.reconcile.failure import Failure, Running
from mrc.reconcile.git import Git
from mrc.reconcile.ledger import Identity, Ledger
from mrc.reconcile.reconciler import Reconciler, Seen
from mrc.reconcile.telemetry import Telemetry

BEGIN = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)


class Monitored:
    """A healthy environment, in which every fallback is well."""

    def __init__(self) -> None:
        self.pages = 0

    def problems(self, healthy: Any) -> tuple[str, ...]:
        return ()

    def worse(self, environment: str, model: str, guardrail: str, version: int) -> str | None:
        return None

    def verdicts(self, environment: str, model: str, version: int) -> dict[str, bool]:
        return {"errors": False}

    def page(self, alerts: Any) -> None:
        self.pages += len(list(alerts))


class World:
    """One reconciler of a remote, and a clock that the benchmark moves."""

    def __init__(self, remote: Path, folder: Path) -> None:
        self.now, self.remote, self.monitored = BEGIN, remote, Monitored()
        ledger = Ledger(Git(folder), str(remote), "main", Identity(), seconds=600)
        self.log = (folder / "log").open("w")
        self.reconciler = Reconciler(ledger, crowd.ENVIRONMENT, self.monitored, Telemetry(self.log), lambda: self.now)

    def pushes(self) -> int:
        said = subprocess.run(["git", "rev-list", "--count", "main"], cwd=self.remote, capture_output=True, check=True)
        return int(said.stdout) - 1


def failure(number: int, kind: Any, at: datetime, version: int = 12) -> Failure:
    name = fleet.name_of(number)
    return Failure(f"{kind}/{name}/{at:%H%M%S}", kind, name, version, at, "worse", blamed=True,
                   evidence=(("errors", "is 0.07, the limit is 0.01"),))  # fmt: skip


def processor() -> float:
    """Seconds of the processor, those of finished children included."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def memory(field: str, process: str = "self") -> float:
    """MiB of a process: VmRSS, or VmHWM for the most that it ever had."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) / 1024


def disk(folder: Path) -> float:
    """MiB that the files of a folder take."""
    return sum(path.lstat().st_blocks for path in folder.rglob("*")) * 512 / (1 << 20)


def shown(what: str, seconds: float, used: float, more: str = "") -> None:
    """A line of the table."""
    print(f"  {what:44} {seconds:8.2f} s  {used:8.2f} s of the processor  {more}", flush=True)


def started(remote: Path, folder: Path) -> World:
    """A reconciler that has cloned the repository."""
    world = World(remote, folder)
    begin, used = time.perf_counter(), processor()
    world.reconciler.start()
    shown("start", time.perf_counter() - begin, processor() - used)
    return world


def latency(world: World, first: int, failures: int, what: str, *, others: bool = False) -> None:
    """Failures one after another, each alone: many within an hour would be a failing environment.

    With `others`, somebody else has pushed just before each of them.
    """
    took, cost = [], []
    before = world.pushes()
    for number in range(first, first + failures):
        name = fleet.name_of(number)
        world.now += timedelta(hours=1)
        if others:
            somebody_pushes(world.remote, number)
        found = Seen([failure(number, "alert", world.now - timedelta(seconds=30))])
        begin, used = time.perf_counter(), processor()
        world.reconciler.step(found)
        took.append(time.perf_counter() - begin)
        cost.append(processor() - used)
        world.reconciler.step(Seen([], {name: Running(name, 11, "stable")}))
    assert world.pushes() == before + (3 if others else 2) * failures
    for part, at in (("p50", 0.5), ("p99", 0.99)):
        shown(f"{what}, {part}", *(sorted(each)[int(at * len(each))] for each in (took, cost)))


def somebody_pushes(remote: Path, number: int) -> None:
    """A commit that changes one file."""
    importer = ["git", "fast-import", "--quiet", "--force"]
    who = b"committer A Person <person@example.com> 1763600000 +0000"
    said = b"commit refs/heads/main\n%s\ndata 6\nChangefrom refs/heads/main^0\nM 100644 inline README.md\n" % who
    text = b"%d\n" % number
    subprocess.run(importer, cwd=remote, input=said + b"data %d\n%s\n" % (len(text), text), check=True)


def alerts_at_once(world: World, first: int, many: int) -> None:
    """Failures after the promotion that are seen in one pass, and one more an hour later."""
    before, pages = world.pushes(), world.monitored.pages
    found = [failure(first + number, "alert", world.now - timedelta(seconds=30)) for number in range(many)]
    begin, used = time.perf_counter(), processor()
    world.reconciler.step(Seen(found))
    took = time.perf_counter() - begin
    said = f"{world.pushes() - before} pushes, {world.monitored.pages - pages} pages"
    shown(f"{many} alerts at once", took, processor() - used, said)
    for what in ("the first alert after that", "the next one"):
        world.now += timedelta(hours=1)
        first -= 1
        begin, used = time.perf_counter(), processor()
        world.reconciler.step(Seen([failure(first, "alert", world.now - timedelta(seconds=30))]))
        shown(what, time.perf_counter() - begin, processor() - used)


def aborted_at_once(world: World, first: int, many: int) -> None:
    """Rollouts that are aborted at the same time: git follows each, a hundred in a commit, and everything is held."""
    before, world.now = world.pushes(), world.now + timedelta(days=1)
    found = [failure(first + number, "analysis", world.now - timedelta(seconds=30)) for number in range(many)]
    waiting = {one.model: one for one in found}
    begin, used, passes, soonest = time.perf_counter(), processor(), 0, 0.0
    while waiting:
        world.now += timedelta(seconds=2)
        world.reconciler.step(Seen(list(waiting.values())))
        passes += 1
        soonest = soonest or time.perf_counter() - begin
        for name in recorded(world.remote):
            waiting.pop(name, None)
        assert passes <= many
    took = time.perf_counter() - begin
    said = f"{world.pushes() - before} pushes, the first after {soonest:.1f} s"
    shown(f"{many} aborted rollouts at once", took, processor() - used, said)


def recorded(remote: Path) -> list[str]:
    """The models with an incident."""
    command = ["git", "ls-tree", "-d", "--name-only", f"main:incidents/{crowd.ENVIRONMENT}"]
    return subprocess.run(command, cwd=remote, capture_output=True, text=True, check=True).stdout.split()


def hours(remote: Path, folder: Path, length: int, models: int) -> None:
    """A pass a minute, a failure every half hour, on a clock that jumps; the memory of this process."""
    world = World(remote, folder)
    world.reconciler.start()
    elapsed = [0.0]
    rss = {}
    clock = mock.patch("mrc.reconcile.reconciler.time", SimpleNamespace(monotonic=lambda: elapsed[0]))
    with clock:
        for minute in range(length * 60):
            world.now += timedelta(minutes=1)
            elapsed[0] += 60
            number = minute // 30 % models
            name = fleet.name_of(number)
            fails = minute % 30 == 5
            found = [failure(number, "alert", world.now - timedelta(seconds=30))] if fails else []
            running = {name: Running(name, 11 if minute % 30 >= 5 else 12, "stable")}
            world.reconciler.step(Seen(found, running))
            if (minute + 1) % 60 == 0:
                rss[(minute + 1) // 60] = memory("VmRSS")
    points = sorted({1, (length + 1) // 2, length})
    said = ", ".join(f"{rss[each]:.0f}" for each in points)
    print(f"  memory after {', '.join(map(str, points))} hours: {said} MiB; {world.pushes()} commits", flush=True)


def rollouts(models: int) -> list[bytes]:
    """Rollouts as the API server has them, with the managed fields that make half of their size."""
    manifest = yaml.safe_load(crowd.rendered()[f"rendered/{crowd.ENVIRONMENT}/{fleet.name_of(0)}/rollout.yaml"])
    fields = {"f:spec": {f"f:{number}": {"f:value": {}} for number in range(150)}}
    found = []
    for number in range(models):
        name = fleet.name_of(number)
        manifest["metadata"] |= {
            "name": name, "uid": f"uid-{name}", "resourceVersion": str(number + 1), "generation": 4,
            "managedFields": [{"manager": "mrc", "operation": "Apply", "fieldsV1": fields}],
        }  # fmt: skip
        manifest["metadata"]["labels"]["mrc.dev/model"] = name
        manifest["status"] = {
            "observedGeneration": "4", "phase": "Healthy", "currentPodHash": "6c9f", "stableRS": "6c9f",
            "conditions": [{"type": "Healthy", "status": "True", "message": "Rollout is healthy"}],
        }  # fmt: skip
        found.append(json.dumps(manifest).encode())
    return found


def serve(items: list[bytes]) -> http.server.ThreadingHTTPServer:
    """List in pages, and watch in chunks: an event every millisecond, and bookmarks."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            query = {key: value[0] for key, value in parse_qs(urlsplit(self.path).query).items()}
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            if "watch" in query:
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                self._watch()
                return
            first = int(query.get("continue") or 0)
            last = min(len(items), first + int(query["limit"]))
            more = str(last) if last < len(items) else ""
            metadata = json.dumps({"resourceVersion": str(len(items)), "continue": more}).encode()
            data = b'{"kind":"RolloutList","metadata":%s,"items":[%s]}' % (metadata, b",".join(items[first:last]))
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def _watch(self) -> None:
            try:
                for number in range(10**9):
                    line = b'{"type":"MODIFIED","object":%s}\n' % items[number * 7 % len(items)]
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
                    time.sleep(0.001)
            except OSError:
                return

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
            """Requests are not news."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


_WATCHER = """
import sys, threading, time
from pathlib import Path
from mrc.reconcile import service
from mrc.reconcile.cluster import Api, Rollouts
from mrc.reconcile.signals import running
import reconciler as benchmark
world = benchmark.World(Path(sys.argv[2]), Path(sys.argv[3]))
world.reconciler.start()
table = Rollouts(Api(Path(sys.argv[1])), "models", benchmark.crowd.ENVIRONMENT, lambda *a, **k: None)
threading.Thread(target=table.follow, args=(threading.Event(),), daemon=True).start()
begin = time.monotonic()
while table.listed is None: time.sleep(0.05)
listed = time.monotonic() - begin
until = time.monotonic() + float(sys.argv[4])
while time.monotonic() < until:
    seen = benchmark.Seen([], {one.model: one for each in table.all() if (one := running(each, "production"))})
    world.reconciler.step(seen)
    time.sleep(1)
print(len(seen.running), listed, benchmark.memory("VmRSS"), benchmark.memory("VmHWM"))
"""


def watch(remote: Path, folder: Path, models: int, seconds: float) -> None:
    """The memory of one process that watches all of them."""
    folder.mkdir()
    server = serve(rollouts(models))
    config = {
        "apiVersion": "v1", "kind": "Config", "current-context": "it", "users": [{"name": "it", "user": {}}],
        "clusters": [{"name": "it", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
    }  # fmt: skip
    (folder / "kubeconfig").write_text(yaml.safe_dump(config))
    command = [sys.executable, "-c", _WATCHER, folder / "kubeconfig", remote, folder / "state", seconds]
    own = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    said = subprocess.run([*map(str, command)], env=own, capture_output=True, text=True, check=True).stdout.split()
    server.shutdown()
    assert int(said[0]) == models
    print(f"  {models} Rollouts watched: listed in {float(said[1]):.1f} s; {float(said[2]):.0f} MiB, at most "
          f"{float(said[3]):.0f} MiB", flush=True)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=10000)
    parser.add_argument("--failures", type=int, default=100)
    parser.add_argument("--at-once", type=int, default=1000)
    parser.add_argument("--hours", type=int, default=24)
    options = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {options.models} models, "
          f"load {os.getloadavg()[0]:.0f}\n")  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="mrc-benchmark-") as temporary:
        folder = Path(temporary)
        remote, small = folder / "remote.git", folder / "small.git"
        crowd.make(small, 100)
        watch(small, folder / "watch", options.models, 20)
        begin = time.perf_counter()
        print(f"  {crowd.make(remote, options.models)} files, made in {time.perf_counter() - begin:.0f} s", flush=True)
        number = options.failures
        world = started(remote, folder / "state")
        cloned = disk(folder / "state")
        latency(world, 0, number, "failure seen to commit pushed")
        latency(world, number, max(1, number // 4), "the same, just after somebody's push", others=True)
        shutil.copytree(remote, folder / "copy.git")
        aborted_at_once(world, 2 * number, options.at_once)
        print(
            f"  its folder: {cloned:.0f} MiB after the clone, {disk(folder / 'state'):.0f} MiB after that", flush=True
        )
        alerts_at_once(started(folder / "copy.git", folder / "other"), 2 * number, options.at_once)
        hours(small, folder / "hours", options.hours, 100)


if __name__ == "__main__":
    main()
