"""Pull requests on Gitea and Forgejo. https://docs.gitea.com/api/ and https://forgejo.org/docs/latest/user/api-usage/"""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from mrc.reconcile.forges.client import Client, ForgeError, Request, understood
from mrc.schema.reconcile import Gitea as Settings

_STYLES = {"allow_merge_commits": "merge", "allow_squash_merge": "squash", "allow_rebase": "rebase"}


class Gitea:
    """One repository, and the requests to one of its branches."""

    def __init__(self, settings: Settings, base: str, token: Callable[[], str]) -> None:
        self._path, self._base = f"/repos/{settings.repository}", base
        self._client = Client(settings.api, lambda: {"Authorization": f"token {token()}"}, token)
        self._style: str | None = None

    @understood
    def prove(self) -> None:
        self._learn()
        self._client.may_request(f"{self._path}/pulls", {"title": "mrc", "head": self._base, "base": self._base})
        self._may_comment()

    def _may_comment(self) -> None:
        """A request is closed with a word why, which is another scope. A comment without one is refused in any case;
        but who may not comment is told so first."""
        try:
            self._client.ask("POST", f"{self._path}/issues/1/comments", body={}, expect=(422,))
        except ForgeError as problem:
            if problem.temporary:
                raise
            said = f"the token may not comment on pull requests, which needs the scope write:issue: {problem}"
            raise ForgeError(said, temporary=False, status=problem.status) from None

    @understood
    def takes(self) -> bool:
        _, found = self._client.ask("GET", f"{self._path}/branches/{quote(self._base, safe='')}")
        return found.get("user_can_push") is not False

    def _learn(self) -> None:
        _, found = self._client.ask("GET", self._path)
        if (found.get("permissions") or {}).get("push") is not True:
            raise ForgeError(f"the token may read {self._path}, and not push to it", temporary=False)
        self._style = next((name for key, name in _STYLES.items() if found.get(key)), "merge")

    @understood
    def find(self, branch: str) -> Request | None:
        path = f"{self._path}/pulls/{quote(self._base, safe='')}/{branch}"
        status, found = self._client.ask("GET", path, expect=(200, 404))
        return _request(found) if status == 200 else None

    @understood
    def open(self, branch: str, title: str, body: str) -> Request:
        asked = {"title": title, "head": branch, "base": self._base, "body": body}
        status, made = self._client.ask("POST", f"{self._path}/pulls", body=asked, expect=(201, 409))
        if status == 201:
            return _request(made)
        there = self.find(branch)
        if there is None:
            raise ForgeError(f"there is a pull request of {branch}, and it cannot be found", temporary=True)
        return there

    @understood
    def merge(self, request: Request) -> str | None:
        if self._style is None:
            self._learn()
        body = {
            "Do": self._style, "merge_when_checks_succeed": True, "head_commit_id": request.commit,
            "delete_branch_after_merge": True,
        }  # fmt: skip
        path = f"{self._path}/pulls/{request.number}/merge"
        # 201: scheduled. 405: not mergeable yet. 409: scheduled already, or the head moved.
        status, answer = self._client.ask("POST", path, body=body, expect=(200, 201, 405, 409))
        said = self._client.said(json.dumps(answer).encode()) or f"HTTP status {status}"
        return None if status in (200, 201) or "already scheduled" in said else said

    @understood
    def close(self, request: Request, why: str) -> None:
        self._client.ask("POST", f"{self._path}/issues/{request.number}/comments", body={"body": why}, expect=(201,))
        # 201 is what Gitea answers here.
        self._client.ask("PATCH", f"{self._path}/pulls/{request.number}", body={"state": "closed"}, expect=(200, 201))


def _request(found: Any) -> Request:
    state: Any = "merged" if found["merged"] else found["state"]
    return Request(int(found["number"]), state, found["head"]["sha"], found["html_url"])
