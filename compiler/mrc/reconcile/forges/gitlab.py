"""Merge requests on GitLab. https://docs.gitlab.com/api/merge_requests/"""

import json
from collections.abc import Callable
from typing import Any, Literal
from urllib.parse import quote

from mrc.reconcile.forges.client import Client, ForgeError, Request, understood
from mrc.schema.reconcile import GitLab as Settings

DEVELOPER = 30  # https://docs.gitlab.com/api/access_requests/#valid-access-levels
_STATES: dict[str, Literal["open", "closed", "merged"]] = {
    "opened": "open", "locked": "open", "closed": "closed", "merged": "merged",
}  # fmt: skip


class GitLab:
    """One project, and the requests to one of its branches."""

    def __init__(self, settings: Settings, base: str, token: Callable[[], str]) -> None:
        self._path, self._base = f"/projects/{quote(settings.project, safe='')}", base
        self._client = Client(settings.api, lambda: {"PRIVATE-TOKEN": token()}, token)

    @understood
    def prove(self) -> None:
        _, found = self._client.ask("GET", self._path)
        levels = [(each or {}).get("access_level") or 0 for each in (found.get("permissions") or {}).values()]
        if max(levels, default=0) < DEVELOPER:
            raise ForgeError("the token has no Developer role in the project, which pushing needs", temporary=False)
        to_itself = {"source_branch": self._base, "target_branch": self._base, "title": "mrc"}
        self._client.may_request(f"{self._path}/merge_requests", to_itself)

    @understood
    def takes(self) -> bool:
        # https://docs.gitlab.com/api/branches/#get-single-repository-branch
        _, found = self._client.ask("GET", f"{self._path}/repository/branches/{quote(self._base, safe='')}")
        return found.get("can_push") is not False

    @understood
    def find(self, branch: str) -> Request | None:
        query = {"source_branch": branch, "target_branch": self._base, "state": "all", "per_page": "100"}
        _, found = self._client.ask("GET", f"{self._path}/merge_requests", query=query)
        # Anybody's fork may have a branch of the same name.
        own = [each for each in found if each["source_project_id"] == each["target_project_id"]]
        requests = [_request(each) for each in own]
        return max(requests, key=lambda one: (one.state == "open", one.number), default=None)

    @understood
    def open(self, branch: str, title: str, body: str) -> Request:
        asked = {
            "source_branch": branch, "target_branch": self._base, "title": title, "description": body,
            "remove_source_branch": True,
        }  # fmt: skip
        status, made = self._client.ask("POST", f"{self._path}/merge_requests", body=asked, expect=(201, 409))
        if status == 201:
            return _request(made)
        there = self.find(branch)
        if there is None:
            raise ForgeError(f"there is a merge request of {branch}, and it cannot be found", temporary=True)
        return there

    @understood
    def merge(self, request: Request) -> str | None:
        body = {"auto_merge": True, "sha": request.commit, "should_remove_source_branch": True}
        path = f"{self._path}/merge_requests/{request.number}/merge"
        # 405 and 422: it is being prepared, or cannot be merged yet. 401: this user may not merge.
        status, answer = self._client.ask("PUT", path, body=body, expect=(200, 401, 405, 406, 409, 422))
        return None if status == 200 else self._client.said(json.dumps(answer).encode()) or f"HTTP status {status}"

    @understood
    def close(self, request: Request, why: str) -> None:
        path = f"{self._path}/merge_requests/{request.number}"
        self._client.ask("POST", f"{path}/notes", body={"body": why}, expect=(201,))
        self._client.ask("PUT", path, body={"state_event": "close"})


def _request(found: Any) -> Request:
    return Request(int(found["iid"]), _STATES[found["state"]], found["sha"] or "", found["web_url"])
