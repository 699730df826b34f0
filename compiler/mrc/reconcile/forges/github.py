"""Pull requests on GitHub. https://docs.github.com/en/rest/pulls/pulls

Auto-merge is GraphQL's alone: https://docs.github.com/en/graphql/reference/mutations#enablepullrequestautomerge
"""

import json
from collections.abc import Callable
from typing import Any

from mrc.reconcile.forges.client import Client, ForgeError, Request, understood
from mrc.schema.reconcile import GitHub as Settings

VERSION = "2022-11-28"
_METHODS = {"allow_merge_commit": "merge", "allow_squash_merge": "squash", "allow_rebase_merge": "rebase"}
# What of the branch's protection is enforced on who asks; nothing for who may go round it.
_RULE = """query($owner: String!, $name: String!, $ref: String!) {
  repository(owner: $owner, name: $name) {
    ref(qualifiedName: $ref) {
      refUpdateRule { viewerCanPush requiredApprovingReviewCount requiredStatusCheckContexts }
    }
  }
}"""
_AUTO = """mutation($id: ID!, $method: PullRequestMergeMethod!, $head: GitObjectID!) {
  enablePullRequestAutoMerge(input: {pullRequestId: $id, mergeMethod: $method, expectedHeadOid: $head}) {
    pullRequest { number }
  }
}"""


class GitHub:
    """One repository, and the requests to one of its branches."""

    def __init__(self, settings: Settings, base: str, token: Callable[[], str]) -> None:
        self._path, self._base = f"/repos/{settings.repository}", base
        self._owner = settings.repository.partition("/")[0]
        self._client = Client(settings.api, lambda: headers(token()), token)
        api = self._client.api
        self._graphql = f"{api.removesuffix('/v3')}/graphql" if api.endswith("/api/v3") else f"{api}/graphql"
        self._method: str | None = None

    @understood
    def prove(self) -> None:
        self._learn()
        self._client.may_request(f"{self._path}/pulls", {"title": "mrc", "head": self._base, "base": self._base})

    @understood
    def takes(self) -> bool:
        owner, _, name = self._path.removeprefix("/repos/").partition("/")
        variables = {"owner": owner, "name": name, "ref": f"refs/heads/{self._base}"}
        _, answer = self._client.ask("POST", self._graphql, body={"query": _RULE, "variables": variables})
        found = answer.get("data") or {}
        for key in ("repository", "ref", "refUpdateRule"):
            found = found.get(key) or {}
        asks = found.get("requiredApprovingReviewCount") or found.get("requiredStatusCheckContexts")
        return found.get("viewerCanPush") is not False and not asks

    def _learn(self) -> None:
        _, found = self._client.ask("GET", self._path)
        # A token of an app is not told its permissions; the dry push says whether it may write.
        if (found.get("permissions") or {"push": True}).get("push") is not True:
            raise ForgeError(f"the token may read {self._path}, and not push to it", temporary=False)
        self._method = next((name for key, name in _METHODS.items() if found.get(key)), "merge")

    @understood
    def find(self, branch: str) -> Request | None:
        query = {"head": f"{self._owner}:{branch}", "base": self._base, "state": "all", "per_page": "100"}
        _, found = self._client.ask("GET", f"{self._path}/pulls", query=query)
        requests = [_request(each) for each in found if each["head"]["ref"] == branch]
        return max(requests, key=lambda one: (one.state == "open", one.number), default=None)

    @understood
    def open(self, branch: str, title: str, body: str) -> Request:
        asked = {"title": title, "head": branch, "base": self._base, "body": body}
        try:
            _, made = self._client.ask("POST", f"{self._path}/pulls", body=asked, expect=(201,))
        except ForgeError as problem:
            there = self.find(branch) if problem.status == 422 else None
            if there is None:
                raise
            return there
        return _request(made)

    @understood
    def merge(self, request: Request) -> str | None:
        if self._method is None:
            self._learn()
        assert self._method is not None
        variables = {"id": request.node, "method": self._method.upper(), "head": request.commit}
        body = {"query": _AUTO, "variables": variables}
        _, answer = self._client.ask("POST", self._graphql, body=body)
        if not answer.get("errors"):
            return None
        # What waits for nothing cannot be told to wait: it is merged, if the branch's rules let it.
        now = {"sha": request.commit, "merge_method": self._method}
        path = f"{self._path}/pulls/{request.number}/merge"
        status, _ = self._client.ask("PUT", path, body=now, expect=(200, 403, 405, 409, 422))
        return None if status == 200 else self._client.said(json.dumps(answer).encode())

    @understood
    def close(self, request: Request, why: str) -> None:
        self._client.ask("POST", f"{self._path}/issues/{request.number}/comments", body={"body": why}, expect=(201,))
        self._client.ask("PATCH", f"{self._path}/pulls/{request.number}", body={"state": "closed"})


def headers(token: str) -> dict[str, str]:
    """What GitHub's API is sent with every request."""
    return {
        "Authorization": f"Bearer {token}", "Accept": "application/vnd.github+json", "X-GitHub-Api-Version": VERSION,
    }  # fmt: skip


def _request(found: Any) -> Request:
    state: Any = "merged" if found.get("merged_at") else found["state"]
    return Request(int(found["number"]), state, found["head"]["sha"], found["html_url"], found["node_id"])
