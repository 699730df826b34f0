"""The Rollouts of a namespace, watched: a table of the few fields that are read, and what aborted them.

The official client gives the connection and its credentials; the watch is ours. It lists in pages, watches with
bookmarks, gives up a connection that is silent, lists again on 410 (as a status or as an event), and every ten minutes
in any case: what is decided rests on what was listed, never on an event alone.
"""

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import kubernetes
import urllib3
import yaml

from mrc import labels
from mrc.reconcile.signals import Object, remembering, slim

PAGE = 500
SERVER_SECONDS = 300
"""How long the server keeps a watch open."""
SILENT_SECONDS = 90
"""A watch that says nothing for so long, not even a bookmark (one a minute), is a connection that is gone."""
SHORTEST_SECONDS = 1
"""Who closes watches sooner, as some proxies do, is not asked more often than this."""
RELIST_SECONDS = 600
LONGEST_SECONDS = 8
"""An API server that was away is asked again after so long at most: what failed meanwhile waits for it."""
_REQUEST_SECONDS = 20


class ClusterError(Exception):
    """The API server refused or did not answer; the text says which, without credentials."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Api:
    """Requests to one API server. Tokens that rotate are read again by the client."""

    def __init__(self, kubeconfig: Path | None) -> None:
        """Raises ClusterError where nothing says how the API server is reached."""
        try:
            if kubeconfig is not None:
                self._client = kubernetes.config.new_client_from_config(str(kubeconfig))
            else:
                configuration = kubernetes.client.Configuration()
                kubernetes.config.load_incluster_config(client_configuration=configuration)
                self._client = kubernetes.client.ApiClient(configuration)
        except (kubernetes.config.ConfigException, yaml.YAMLError, LookupError, TypeError, ValueError) as problem:
            if kubeconfig is None:
                said = "this is no pod with a ServiceAccount: --kubeconfig FILE says how the cluster is reached"
                raise ClusterError(0, said) from None
            raise ClusterError(0, f"{kubeconfig} is no kubeconfig that can be used: {type(problem).__name__}") from None

    def request(self, path: str, query: dict[str, str] | None = None, *, method: str = "GET", body: Any = None,
                content: str = "application/json", seconds: float = _REQUEST_SECONDS) -> Any:  # fmt: skip
        """The JSON answer. Raises ClusterError."""
        answer = self._send(path, query, method, body, content, seconds)
        try:
            data = answer.read()
        except urllib3.exceptions.HTTPError as problem:
            raise ClusterError(0, type(problem).__name__) from None
        finally:
            answer.release_conn()
        if answer.status >= 300:
            raise ClusterError(answer.status, _message(data) or f"HTTP status {answer.status}")
        try:
            return json.loads(data)
        except (ValueError, RecursionError):
            raise ClusterError(0, "the answer is no JSON") from None

    def lines(self, path: str, query: dict[str, str]) -> Iterator[bytes]:
        """The lines of an answer that stays open. Raises ClusterError."""
        answer = self._send(path, query, "GET", None, "application/json", SILENT_SECONDS)
        try:
            if answer.status >= 300:
                raise ClusterError(answer.status, _message(answer.read()) or f"HTTP status {answer.status}")
            rest = b""
            for chunk in answer.stream(1 << 16):
                *whole, rest = (rest + chunk).split(b"\n")
                yield from whole
        except urllib3.exceptions.HTTPError as problem:
            raise ClusterError(0, type(problem).__name__) from None
        finally:
            answer.close()

    def _send(self, path: str, query: dict[str, str] | None, method: str, body: Any, content: str, read: float) -> Any:
        headers: dict[str, str] = {"Accept": "application/json"}
        # Asked for each request: the hook of the configuration reads a rotated token.
        self._client.update_params_for_auth(headers, [], ["BearerToken"])
        configuration = self._client.configuration
        url = f"{configuration.host}{path}" + (f"?{urlencode(query)}" if query else "")
        if body is not None:
            headers["Content-Type"] = content
        try:
            return self._client.rest_client.pool_manager.request(
                method, url, headers=headers, body=None if body is None else json.dumps(body).encode(),
                timeout=urllib3.Timeout(connect=min(10, read), read=read), preload_content=False, retries=False,
                redirect=False,
            )  # fmt: skip
        except urllib3.exceptions.HTTPError as problem:
            raise ClusterError(0, type(problem).__name__) from None


def _message(data: bytes) -> str:
    try:
        return str(json.loads(data).get("message", ""))[:300]
    except (ValueError, AttributeError, RecursionError):
        return ""


class Rollouts:
    """The table of an environment's Rollouts, kept by a thread. `changed` is set when something that is read did."""

    def __init__(self, api: Api, namespace: str, environment: str, log: Callable[..., None]) -> None:
        self._api, self._environment, self._log = api, environment, log
        self._path = f"/apis/argoproj.io/v1alpha1/namespaces/{quote(namespace)}/rollouts"
        self._runs = f"/apis/argoproj.io/v1alpha1/namespaces/{quote(namespace)}/analysisruns"
        self._events = f"/api/v1/namespaces/{quote(namespace)}/events"
        self._lock = threading.Lock()
        self._table: dict[str, Object] = {}
        self.changed = threading.Event()
        self.listed: float | None = None
        """When the last list was complete, by the monotonic clock."""
        self._heard = time.monotonic()

    def all(self) -> list[Object]:
        """Every Rollout as it was last seen."""
        with self._lock:
            return list(self._table.values())

    def silent(self) -> bool:
        """Whether the API server has said nothing for so long that the table may be old."""
        return time.monotonic() - self._heard > 2 * SILENT_SECONDS

    def pages(self) -> Iterator[Any]:
        """The Rollouts as they are now, in lists of the API server's. Raises ClusterError."""
        query = {"limit": str(PAGE), "labelSelector": self._selector()}
        while True:
            page = self._api.request(self._path, query)
            yield page
            query["continue"] = page["metadata"].get("continue", "")
            if not query["continue"]:
                return

    def runs(self, rollout: Object) -> list[Object]:
        """The AnalysisRuns of the version that a Rollout was asked for. Raises ClusterError."""
        query = {}
        template = rollout.get("status", {}).get("currentPodHash")
        if template:
            query["labelSelector"] = f"rollouts-pod-template-hash={template}"
        uid = rollout["metadata"]["uid"]
        return [run for run in self._every(self._runs, query)
                if uid in [each.get("uid") for each in run["metadata"].get("ownerReferences", ())]]  # fmt: skip

    def events(self, rollout: Object) -> list[Object]:
        """What Argo said when it aborted a Rollout; the API server keeps it for an hour. Raises ClusterError."""
        about = f"involvedObject.uid={rollout['metadata']['uid']},reason=RolloutAborted"
        return self._every(self._events, {"fieldSelector": about})

    def _every(self, path: str, query: dict[str, str]) -> list[Object]:
        found: list[Object] = []
        query = {**query, "limit": str(PAGE)}
        while True:
            page = self._api.request(path, query)
            found += page.get("items") or ()
            query["continue"] = page["metadata"].get("continue", "")
            if not query["continue"]:
                return found

    def follow(self, stop: threading.Event) -> None:
        """Keep the table until `stop`. Never raises: what fails is told, and tried again."""
        failures = 0
        while not stop.is_set():
            try:
                version = self._list()
                failures = 0
                self._watch(version, stop)
            except ClusterError as problem:
                failures += 1
                self._log("the Rollouts cannot be watched", level="warning", error=str(problem), status=problem.status)
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
                failures += 1
                self._log("the API server's answer is not understood", level="error", error=type(problem).__name__)
            if failures:
                stop.wait(random.uniform(0.5, 1) * min(LONGEST_SECONDS, 2**failures / 2))  # noqa: S311  spreads the load

    def _selector(self) -> str:
        return f"{labels.ENVIRONMENT}={self._environment}"

    def _list(self) -> str:
        table: dict[str, Object] = {}
        for page in self.pages():
            for rollout in page["items"]:
                name = rollout["metadata"]["name"]
                table[name] = remembering(self._table.get(name), slim(rollout))
        with self._lock:
            self._table = table
        self.listed = self._heard = time.monotonic()
        self.changed.set()
        return str(page["metadata"]["resourceVersion"])

    def _watch(self, version: str, stop: threading.Event) -> None:
        """Follow events; return when it is time to list again."""
        until = time.monotonic() + RELIST_SECONDS * random.uniform(0.8, 1.2)  # noqa: S311  spreads the load
        while not stop.is_set() and (begun := time.monotonic()) < until:
            query = {
                "watch": "1", "allowWatchBookmarks": "true", "resourceVersion": version,
                "timeoutSeconds": str(SERVER_SECONDS), "labelSelector": self._selector(),
            }  # fmt: skip
            try:
                for line in self._api.lines(self._path, query):
                    event = json.loads(line)
                    item = event["object"]
                    if event["type"] == "ERROR":
                        return  # 410 among others: list again
                    version = str(item["metadata"]["resourceVersion"])
                    self._heard = time.monotonic()
                    self._take(event["type"], item)
                    if stop.is_set() or time.monotonic() > until:
                        return
                stop.wait(max(0.0, SHORTEST_SECONDS - (time.monotonic() - begun)))
            except ClusterError as problem:
                if problem.status:
                    raise  # 410 among others: list again
                return

    def _take(self, kind: str, item: Object) -> None:
        name = item["metadata"].get("name")
        with self._lock:
            before = self._table.get(name)
            if kind in ("ADDED", "MODIFIED"):
                self._table[name] = remembering(before, slim(item))
            elif kind == "DELETED":
                self._table.pop(name, None)
            news = self._table.get(name) != before
        # Most events are of what is not read: they must not keep the reconciler awake.
        if news:
            self.changed.set()
