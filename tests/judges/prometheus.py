"""A real Prometheus that evaluates rule files: some errors (many-to-many) show only when a rule runs."""

from __future__ import annotations

import contextlib
import json
import tempfile
import time
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from judges import servers, tools


@dataclass(frozen=True)
class Rule:
    """One rule as the server reports it."""

    group: str
    name: str
    health: str  # ok, err, unknown (not evaluated yet)
    error: str  # of the last evaluation, else empty
    state: str  # of an alert: inactive, pending, firing; else empty


@dataclass(frozen=True)
class Prometheus:
    """A running server."""

    url: str

    def rules(self, *, seconds: float = 120) -> list[Rule]:
        """All rules, once each has been evaluated. Raises servers.ServerError after `seconds`."""
        end = time.monotonic() + seconds
        while True:
            found = self._rules()
            if all(rule.health != "unknown" for rule in found):
                return found
            if time.monotonic() > end:
                raise servers.ServerError(f"not evaluated within {seconds} s: {found}")
            time.sleep(0.1)

    def problems(self, *, seconds: float = 120) -> list[str]:
        """The rules whose evaluation fails."""
        return [
            f"{rule.group}/{rule.name}: {rule.error or rule.health}"
            for rule in self.rules(seconds=seconds)
            if rule.health != "ok"
        ]

    def query(self, expr: str) -> list[tuple[dict[str, str], float]]:
        """An instant query that answers with a vector: labels and value of each element.

        Raises ValueError with Prometheus' own words when it refuses the expression.
        """
        answer = self._get(f"/api/v1/query?{urllib.parse.urlencode({'query': expr})}")
        return [(each["metric"], float(each["value"][1])) for each in answer["result"]]

    def _rules(self) -> list[Rule]:
        return [
            Rule(
                group=group["name"],
                name=rule["name"],
                health=rule["health"],
                error=rule.get("lastError", ""),
                state=rule.get("state", ""),
            )
            for group in self._get("/api/v1/rules")["groups"]
            for rule in group["rules"]
        ]

    def _get(self, path: str) -> Any:
        status, text = servers.request(self.url + path)
        if status != 200:
            raise ValueError(f"{path}: {text}")
        return json.loads(text)["data"]


@contextlib.contextmanager
def serve(
    rule_files: Iterable[Path],
    *,
    scrape_configs: Sequence[Mapping[str, Any]] = (),
    interval: str = "1s",
) -> Iterator[Prometheus]:
    """A Prometheus with these rule files, on a free port of 127.0.0.1, for the length of the `with`.

    Every group is evaluated each `interval`, whatever it says itself, so that nobody waits for the first
    evaluation. `scrape_configs` are Prometheus' own. Raises servers.ServerError when it does not start.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        config = folder / "prometheus.yml"
        often = dict.fromkeys(("evaluation_interval", "scrape_interval", "scrape_timeout"), interval)
        copies = [_without_intervals(file, folder / f"{i}.yaml") for i, file in enumerate(rule_files)]
        content = {"global": often, "rule_files": copies, "scrape_configs": list(scrape_configs)}
        config.write_text(json.dumps(content))

        def command(ports: list[int]) -> servers.Command:
            return [
                tools.prometheus(),
                f"--config.file={config}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{ports[0]}",
                "--log.level=warn",
            ]

        def ready(ports: list[int]) -> bool:
            return servers.request(f"http://127.0.0.1:{ports[0]}/-/ready")[0] == 200

        with servers.serve(command, ready, ports=1, log=folder / "log") as (port,):
            yield Prometheus(f"http://127.0.0.1:{port}")


def _without_intervals(file: Path, copy: Path) -> str:
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    for group in content["groups"]:
        group.pop("interval", None)
    copy.write_text(yaml.safe_dump(content, sort_keys=False))
    return str(copy)
