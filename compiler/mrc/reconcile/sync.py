"""Whoever applies git is asked to do it now. It is a favour: what fails is told, and the rollback waits for the poll.

Argo CD: https://argo-cd.readthedocs.io/en/stable/operator-manual/annotations-and-labels/
Flux: https://fluxcd.io/flux/components/source/gitrepositories/#triggering-a-reconcile
"""

import threading
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import httpx

from mrc.reconcile import bounded
from mrc.reconcile.telemetry import Telemetry
from mrc.schema.reconcile import ArgoCD, Flux, Sync

REFRESH = "argocd.argoproj.io/refresh"
REQUESTED = "reconcile.fluxcd.io/requestedAt"
_SECONDS = 10
_LARGEST_TOKEN = 1 << 16  # bytes


class SyncError(Exception):
    """The syncer could not be asked; the text says why, without credentials."""


class Cluster(Protocol):
    """The API server of the environment."""

    def request(self, path: str, *, method: str, body: Any, content: str) -> Any: ...


class Syncer:
    """Asks in a thread of its own, so that nothing waits for it."""

    def __init__(self, cluster: Cluster, settings: Sync, token: Path | None, telemetry: Telemetry) -> None:
        self._cluster, self._settings, self._token, self._telemetry = cluster, settings, token, telemetry

    def __call__(self, commit: str, now: datetime) -> threading.Thread:
        """Begin to ask; the thread ends when it is done."""
        thread = threading.Thread(target=self._told, args=(commit, now), daemon=True)
        thread.start()
        return thread

    def _told(self, commit: str, now: datetime) -> None:
        try:
            self.ask(now)
            self._telemetry.log("the syncer was asked to sync", commit=commit)
        except Exception as problem:  # a favour never ends the process
            self._telemetry.count("mrc_reconciler_errors_total", what="sync")
            self._telemetry.log("the syncer could not be asked", level="warning", commit=commit, error=str(problem))

    def ask(self, now: datetime) -> None:
        """Raises SyncError, or what the cluster raises."""
        argo_cd, flux = self._settings.argo_cd, self._settings.flux
        if argo_cd is not None and argo_cd.server is not None:
            self._by_api(argo_cd, argo_cd.server)
        elif argo_cd is not None:
            self._annotate(_application(argo_cd), REFRESH, "normal")
        elif flux is not None:
            self._annotate(_repository(flux), REQUESTED, f"{now:%Y-%m-%dT%H:%M:%S.%fZ}")

    def _annotate(self, path: str, annotation: str, value: str) -> None:
        body = {"metadata": {"annotations": {annotation: value}}}
        self._cluster.request(path, method="PATCH", body=body, content="application/merge-patch+json")

    def _by_api(self, wanted: ArgoCD, server: str) -> None:
        if self._token is None:
            raise SyncError("Argo CD's API needs a token: --argocd-token-file")
        url = f"{server.rstrip('/')}/api/v1/applications/{quote(wanted.application, safe='')}"
        query = {"refresh": "normal", "appNamespace": wanted.namespace}
        try:
            with self._token.open("rb") as file:
                token = file.read(_LARGEST_TOKEN).decode("ascii").strip()
            with (
                bounded.client(_SECONDS, _SECONDS) as client,
                client.stream("GET", url, params=query, headers={"Authorization": f"Bearer {token}"}) as answer,
            ):
                status = answer.status_code
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as problem:
            raise SyncError(f"Argo CD did not answer: {type(problem).__name__}") from None
        if not 200 <= status < 300:
            raise SyncError(f"Argo CD answered with HTTP status {status}")


def _application(wanted: ArgoCD) -> str:
    return f"/apis/argoproj.io/v1alpha1/namespaces/{wanted.namespace}/applications/{wanted.application}"


def _repository(wanted: Flux) -> str:
    return f"/apis/source.toolkit.fluxcd.io/v1/namespaces/{wanted.namespace}/gitrepositories/{wanted.git_repository}"
