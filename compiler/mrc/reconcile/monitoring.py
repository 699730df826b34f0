"""Alertmanager and Prometheus over HTTP: alerts that fire, pages that are sent, questions that are asked."""

import math
import time
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import httpx

from mrc import labels
from mrc.guardrail import LIMIT, VALUE, VERDICT
from mrc.promql import selector
from mrc.reconcile import bounded

LARGEST = 8 << 20  # bytes of an answer
WHOLE = 20.0  # seconds for an answer, however it comes
SILENT = 10.0
"""Seconds for which a server that let somebody wait in vain is not asked: what waits for it does not wait for each."""
PAGED_FOR = timedelta(hours=4)
"""How long a page stays, unless it is taken back."""


class MonitoringError(Exception):
    """A server did not answer, or not what it should; the text says which."""


class Monitoring:
    """The Prometheus of an environment, and its Alertmanager if it names one. Never through a proxy by chance."""

    def __init__(self, prometheus: str, alertmanager: str | None, *, seconds: float = 5) -> None:
        self.prometheus, self.alertmanager = prometheus.rstrip("/"), alertmanager.rstrip("/") if alertmanager else None
        self._client = bounded.client(WHOLE, seconds)
        self._silent: dict[str, float] = {}  # by server: until when, by the monotonic clock

    def alerts(self, environment: str) -> list[Mapping[str, Any]]:
        """Active alerts that ask for a rollback; silenced and inhibited ones do not count. Raises MonitoringError.

        Those of another environment in the same Alertmanager must not fill the answer.
        """
        if self.alertmanager is None:
            return []
        wanted = {labels.ALERT_ACTION: "rollback", labels.SERIES_ENVIRONMENT: environment}
        query = {"active": "true", "silenced": "false", "inhibited": "false", "unprocessed": "false",
                 "filter": [f'{name}="{value}"' for name, value in wanted.items()]}  # fmt: skip
        found = self._json("GET", f"{self.alertmanager}/api/v2/alerts", params=query)
        if not isinstance(found, list):
            raise MonitoringError("Alertmanager did not answer with a list")
        return [each for each in found if isinstance(each, dict)]

    def page(self, alerts: Iterable[Mapping[str, Any]]) -> None:
        """Send alerts to Alertmanager, which routes them. Raises MonitoringError."""
        if self.alertmanager is not None:
            self._json("POST", f"{self.alertmanager}/api/v2/alerts", json=list(alerts))

    def value(self, expression: str) -> float | None:
        """The first value of an expression; None where it has none. Raises MonitoringError."""
        answer = self._json("GET", f"{self.prometheus}/api/v1/query", params={"query": expression})
        try:
            if answer["status"] != "success":
                raise MonitoringError("Prometheus could not evaluate the query")
            data = answer["data"]
            result = [data["result"]] if data["resultType"] == "scalar" else [each["value"] for each in data["result"]]
            return float(result[0][1]) if result else None
        except (KeyError, TypeError, ValueError, IndexError):
            raise MonitoringError("Prometheus answered with something else") from None

    def problems(self, healthy: Mapping[str, str]) -> tuple[str, ...]:
        """What is wrong with the environment, in words; a Prometheus that does not answer is one."""
        found: list[str] = []
        for name, expression in {"prometheus": "vector(1)", **healthy}.items():
            try:
                value = self.value(expression)
            except MonitoringError as problem:
                return (*found, f"Prometheus cannot be asked: {problem}")
            if value is None or value == 0 or math.isnan(value):
                shown = "has no value" if value is None else f"is {value:g}"
                found.append(f"{name} {shown}: {expression}")
        return tuple(found)

    def worse(self, environment: str, model: str, guardrail: str, version: int) -> str | None:
        """What a guardrail saw of a version that it finds worse; None where it does not. Raises MonitoringError."""
        identity = {
            labels.SERIES_ENVIRONMENT: environment, labels.SERIES_GUARDRAIL: guardrail, labels.SERIES_MODEL: model,
            labels.SERIES_VERSION: str(version),
        }  # fmt: skip
        if self.value(selector(VERDICT, identity)) != 1:
            return None
        value, limit = self.value(selector(VALUE, identity)), self.value(selector(LIMIT, identity))
        shown = ["unknown" if each is None else f"{each:g}" for each in (value, limit)]
        return f"is {shown[0]}, the limit is {shown[1]}"

    def verdicts(self, environment: str, model: str, version: int) -> dict[str, bool]:
        """Whether a version is worse, by guardrail; those that cannot tell are left out. Raises MonitoringError."""
        identity = {labels.SERIES_ENVIRONMENT: environment, labels.SERIES_MODEL: model,
                    labels.SERIES_VERSION: str(version)}  # fmt: skip
        query = {"query": selector(VERDICT, identity)}
        answer = self._json("GET", f"{self.prometheus}/api/v1/query", params=query)
        try:
            found = [(str(each["metric"].get(labels.SERIES_GUARDRAIL)), each["value"][1])
                     for each in answer["data"]["result"]]  # fmt: skip
            return {name: any(float(value) == 1 for each, value in found if each == name) for name, _ in found}
        except (KeyError, TypeError, AttributeError, ValueError, IndexError):
            raise MonitoringError("Prometheus answered with something else") from None

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _json(self, method: str, url: str, **options: Any) -> Any:
        server = url.partition("/api/")[0]
        if time.monotonic() < self._silent.get(server, 0.0):
            raise MonitoringError(f"no answer a moment ago from {server}")
        try:
            with self._client.stream(method, url, **options) as answer:
                data = b""
                for chunk in answer.iter_bytes():
                    data += chunk
                    if len(data) > LARGEST:
                        raise MonitoringError(f"more than {LARGEST >> 20} MiB from {url}")
                if answer.status_code >= 300:
                    raise MonitoringError(f"HTTP status {answer.status_code} from {url}")
                return httpx.Response(200, content=data).json() if data else None
        except httpx.TimeoutException as problem:
            self._silent[server] = time.monotonic() + SILENT
            raise MonitoringError(f"{type(problem).__name__} from {url}") from None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, RecursionError) as problem:
            raise MonitoringError(f"{type(problem).__name__} from {url}") from None


def alert(name: str, own: Mapping[str, str], summary: str, description: str, now: datetime) -> dict[str, Any]:
    """An alert of mrc itself, as Alertmanager takes it."""
    return {
        "labels": {"alertname": name, labels.ALERT_ACTION: "page", **own},
        "annotations": {"summary": summary, "description": description},
        "startsAt": stamp(now),
        "endsAt": stamp(now + PAGED_FOR),
    }


def stamp(at: datetime) -> str:
    """An instant as Alertmanager takes it, in UTC; such texts sort by time."""
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
