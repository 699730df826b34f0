"""A real Prometheus with a real Alertmanager; the rules are those of the cluster, as the operator would load them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from judges import servers, tools
from judges.prometheus import Prometheus
from world.background import Restartable
from world.control_plane import REMEMBERED, ApiError, ControlPlane


@dataclass
class Monitoring:
    """The two servers of one namespace."""

    plane: ControlPlane
    namespace: str
    folder: Path
    prometheus: Prometheus
    alertmanager: str
    servers: dict[str, Restartable]
    """`prometheus` and `alertmanager`, to be stopped and started."""
    _loaded: list[tuple[str, str]] = field(default_factory=list)

    def load(self) -> None:
        """Let Prometheus have the PrometheusRules of the namespace, when they changed."""
        with contextlib.suppress(OSError, ApiError):
            path = f"/apis/monitoring.coreos.com/v1/namespaces/{self.namespace}/prometheusrules"
            seen = self.plane.revisions(f"{path}?{REMEMBERED}")
            if seen == self._loaded:
                return
            groups = [group for each in self.plane.items(path) for group in each["spec"]["groups"]]
            (self.folder / "rules.yaml").write_text(json.dumps({"groups": groups}))
            status, answer = servers.request(f"{self.prometheus.url}/-/reload", {})
            assert status == 200, answer
            self._loaded = seen

    def alerts(self) -> list[dict[str, Any]]:
        """The active alerts, as Alertmanager tells them."""
        status, text = servers.request(f"{self.alertmanager}/api/v2/alerts?active=true")
        assert status == 200, text
        found: list[dict[str, Any]] = json.loads(text)
        return found


@contextlib.contextmanager
def serve(plane: ControlPlane, namespace: str, folder: Path, target: str, ports: Sequence[int]) -> Iterator[Monitoring]:
    """Both servers for the length of the `with`, Prometheus on the first of the ports; it scrapes `target`."""
    folder.mkdir(parents=True, exist_ok=True)
    port, other = ports
    alertmanager = f"http://127.0.0.1:{other}"
    with (
        Restartable(lambda: _alertmanager(folder, other)) as first,
        Restartable(lambda: _prometheus(folder, target, alertmanager, port)) as second,
    ):
        prometheus = Prometheus(f"http://127.0.0.1:{port}")
        yield Monitoring(
            plane, namespace, folder, prometheus, alertmanager, {"alertmanager": first, "prometheus": second}
        )


@contextlib.contextmanager
def _alertmanager(folder: Path, port: int) -> Iterator[None]:
    config = folder / "alertmanager.yml"
    route = {"receiver": "nobody", "group_wait": "1s", "group_interval": "1s", "group_by": ["..."]}
    config.write_text(json.dumps({"route": route, "receivers": [{"name": "nobody"}]}))

    def command(_: list[int]) -> servers.Command:
        return [
            tools.alertmanager(), f"--config.file={config}", f"--storage.path={folder / 'alertmanager'}",
            f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=", "--log.level=warn",
        ]  # fmt: skip

    def ready(_: list[int]) -> bool:
        return servers.request(f"http://127.0.0.1:{port}/-/ready")[0] == 200

    with servers.serve(command, ready, ports=0, log=folder / "alertmanager.log"):
        yield


@contextlib.contextmanager
def _prometheus(folder: Path, target: str, alertmanager: str, port: int) -> Iterator[None]:
    config = folder / "prometheus.yml"
    often = dict.fromkeys(("evaluation_interval", "scrape_interval", "scrape_timeout"), "1s")
    content = {
        "global": often,
        "rule_files": [str(folder / "rules.yaml")],
        "scrape_configs": [{"job_name": "mesh", "static_configs": [{"targets": [target]}]}],
        "alerting": {
            "alertmanagers": [{"static_configs": [{"targets": [alertmanager.removeprefix("http://")]}]}],
        },
    }
    config.write_text(json.dumps(content))
    if not (folder / "rules.yaml").exists():
        (folder / "rules.yaml").write_text('{"groups": []}')

    def command(_: list[int]) -> servers.Command:
        return [
            tools.prometheus(), f"--config.file={config}", f"--storage.tsdb.path={folder / 'prometheus'}",
            f"--web.listen-address=127.0.0.1:{port}", "--web.enable-lifecycle", "--log.level=warn",
        ]  # fmt: skip

    def ready(_: list[int]) -> bool:
        return servers.request(f"http://127.0.0.1:{port}/-/ready")[0] == 200

    with servers.serve(command, ready, ports=0, log=folder / "prometheus.log"):
        yield
