"""Users, the mesh and kube-state-metrics, as the catalogue's metrics see them.

Requests go where the cluster says: by the weights of the VirtualService to Services, by their selectors to pods that
are ready, and are answered as the test says that the version of the pod answers. A mirror sends copies, whose answers
nobody gets; a preview is asked by those who test it.
"""

from __future__ import annotations

import contextlib
import http.server
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from world.background import repeated
from world.control_plane import REMEMBERED, ApiError, ControlPlane, Object

BUCKETS = (5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000)  # milliseconds


@dataclass
class Behaviour:
    """How the pods of a version answer."""

    errors: float = 0.0  # share of HTTP 500
    milliseconds: int = 20
    restarts: float = 0  # of each of its containers
    crashing: float = 0  # restarts a second from now on


@dataclass
class Cluster:
    """What the API server says of a namespace: pods that are not on their way out, Services, VirtualServices."""

    pods: list[Object]
    services: dict[str, Object]
    routes: dict[str, Object]

    @classmethod
    def seen(cls, plane: ControlPlane, namespace: str) -> Cluster:
        """As it is now. Raises OSError and ApiError."""
        core, istio = (f"/{group}/namespaces/{namespace}" for group in ("api/v1", "apis/networking.istio.io/v1"))
        pods, services, routes = (
            plane.items(f"{path}?{REMEMBERED}")
            for path in (f"{core}/pods", f"{core}/services", f"{istio}/virtualservices")
        )
        staying = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        return cls(staying, *({each["metadata"]["name"]: each for each in found} for found in (services, routes)))


@dataclass
class Mesh:
    """The traffic of one model in one namespace."""

    namespace: str
    model: str
    requests: float = 200  # a second
    versions: dict[int, Behaviour] = field(default_factory=dict)
    silent: bool = False  # the telemetry is gone, the traffic is not
    nodes: int = 1  # what nodes_ready says
    tests: float = 0  # requests a second to the preview
    shares: dict[int, float] = field(default_factory=dict)  # whose answers users got in the last moment
    _asked: dict[int, float] = field(default_factory=dict)  # requests a second, those without a user as well
    _counted: defaultdict[tuple[str, int, str], float] = field(default_factory=lambda: defaultdict(float))
    _pods: list[Object] = field(default_factory=list)
    _last: float = field(default_factory=time.monotonic)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def behaviour(self, version: int) -> Behaviour:
        """How a version answers; change it and it answers so from now on."""
        return self.versions.setdefault(version, Behaviour())

    def flow(self, cluster: Cluster | None) -> None:
        """The requests since the last call. What the API server does not tell any more stays as it was."""
        if cluster is not None:
            self._look(cluster)
        now = time.monotonic()
        seconds, self._last = now - self._last, now
        with self._lock:
            for behaviour in self.versions.values():
                behaviour.restarts += behaviour.crashing * seconds
            for version, rate in self._asked.items():
                count = rate * seconds
                behaviour = self.behaviour(version)
                for code, part in (("200", 1 - behaviour.errors), ("500", behaviour.errors)):
                    self._counted["requests", version, code] += count * part
                for bound in BUCKETS:
                    if behaviour.milliseconds <= bound:
                        self._counted["bucket", version, str(bound)] += count
                self._counted["bucket", version, "+Inf"] += count

    def _look(self, cluster: Cluster) -> None:
        pods = [pod for pod in cluster.pods if pod["metadata"]["labels"].get("mrc.dev/model") == self.model]

        def behind(host: str) -> list[int]:
            service = cluster.services.get(host.split(".")[0])
            return [_version(pod) for pod in pods if service and _selects(service, pod) and _ready(pod)]

        shares: defaultdict[int, float] = defaultdict(float)
        asked: defaultdict[int, float] = defaultdict(float)
        for host, part, answers in self._routes(cluster):
            ready = behind(host)
            for version in ready:
                asked[version] += part * self.requests / len(ready)
                if answers:
                    shares[version] += part / len(ready)
        tested = behind(f"{self.model}-preview")
        for version in tested:
            asked[version] += self.tests / len(tested)
        with self._lock:
            self.shares, self._asked, self._pods = dict(shares), dict(asked), pods

    def _routes(self, cluster: Cluster) -> Iterator[tuple[str, float, bool]]:
        """Service, part of the requests, and whether users get its answers."""
        found = cluster.routes.get(self.model)
        if found is None:
            yield self.model, 1, True
            return
        for destination in found["spec"]["http"][-1]["route"]:
            if weight := destination.get("weight", 100):
                yield destination["destination"]["host"], weight / 100, True
        for route in found["spec"]["http"]:
            if "mirror" in route:
                yield route["mirror"]["host"], route["mirrorPercentage"]["value"] / 100, False

    def metrics(self) -> str:
        """The series, in Prometheus' text format."""
        with self._lock:
            if self.silent:
                return ""
            return "".join(f"{name}{{{_labels(labels)}}} {value}\n" for name, labels, value in self._series())

    def _series(self) -> Iterator[tuple[str, dict[str, str], float]]:
        yield "nodes_ready", {"watched_by": self.model}, self.nodes
        for (kind, version, which), count in self._counted.items():
            served = {
                "reporter": "destination",
                "destination_workload_namespace": self.namespace,
                "destination_canonical_service": self.model,
                "destination_canonical_revision": str(version),
            }
            if kind == "requests":
                yield "istio_requests_total", served | {"response_code": which}, count
            else:
                yield "istio_request_duration_milliseconds_bucket", served | {"le": which}, count
                if which == "+Inf":
                    yield "istio_request_duration_milliseconds_count", served, count
        for pod in self._pods:
            labels = pod["metadata"]["labels"]
            it = {"namespace": self.namespace, "pod": pod["metadata"]["name"]}
            known = {f"label_{key.translate(_UNDERSCORED)}": value for key, value in labels.items()}
            yield "kube_pod_labels", it | known, 1
            for condition in ("true", "false"):
                yield (
                    "kube_pod_status_ready",
                    it | {"condition": condition},
                    float(_ready(pod) == (condition == "true")),
                )
            restarts = int(self.behaviour(_version(pod)).restarts)
            yield "kube_pod_container_status_restarts_total", it | {"container": "triton"}, restarts


_UNDERSCORED = str.maketrans("./-", "___")


def _labels(labels: dict[str, str]) -> str:
    return ",".join(f'{name}="{value}"' for name, value in labels.items())


def _selects(service: Object, pod: Object) -> bool:
    return bool(service["spec"]["selector"].items() <= pod["metadata"]["labels"].items())


def _ready(pod: Object) -> bool:
    return any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", ()))


def _version(pod: Object) -> int:
    return int(pod["metadata"]["labels"]["mrc.dev/version"])


@contextlib.contextmanager
def serve(plane: ControlPlane, namespace: str, meshes: Sequence[Mesh]) -> Iterator[str]:
    """Let the traffic flow, and serve its metrics, for the length of the `with`: the address to scrape."""

    def flow() -> None:
        cluster = None
        with contextlib.suppress(OSError, ApiError):
            cluster = Cluster.seen(plane, namespace)
        for each in meshes:
            each.flow(cluster)

    class Exporter(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):  # Prometheus did not wait
                self.wfile.write("".join(each.metrics() for each in meshes).encode())

        def log_message(self, *_: Any) -> None:
            """Nothing: it would stand between the results of the tests."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Exporter) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            with repeated(flow, seconds=0.7):
                yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
