"""A strict server in front of a real bare remote, written from the published descriptions of the forges' APIs.

It is not the real GitHub, GitLab or Gitea: paths, methods, parameters, headers and status codes are those that their
documentation gives (https://docs.github.com/en/rest, https://docs.gitlab.com/api/, https://docs.gitea.com/api/), and
whatever is not among them is refused and remembered in `strange`. A merge is a merge commit on the remote.
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from judges import servers
from reconciling import TOKEN, git
from reconciling.github_app import Installations

Answer = tuple[int, Any]


@dataclass
class Pull:
    """A pull request."""

    number: int
    branch: str
    base: str
    title: str
    body: str
    state: str = "open"
    merged: bool = False
    automatic: str | None = None  # the head that it is merged at, once the rules let it
    comments: list[str] = field(default_factory=list)
    fork: bool = False
    """Whether the branch is one of somebody's copy of the repository."""


@dataclass
class Forge:
    """One forge with one repository, example/models. `rules`: a merge needs a check that has not run."""

    kind: str
    remote: Path
    port: int = 0
    rules: bool = True
    push: bool = True
    scope: bool = True
    """Whether the token may ask for pull requests."""
    comments: bool = True
    """Whether the token may comment, where that is a scope of its own."""
    guarded: bool = False
    """Whether the rules of the branch take no push."""
    pulls: list[Pull] = field(default_factory=list)
    faults: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    lost: int = 0
    """How many creations are done, and answered with 502 all the same."""
    asked: list[str] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)
    app: Installations | None = None
    """Who gives tokens, where a GitHub App is who asks; otherwise there is one token."""
    moment: Callable[[str, str], object] = lambda when, request: None
    """Told of each request: `before` it is done, and it is not when this says so; `after`, when nobody was answered."""

    @property
    def api(self) -> str:
        """Where the API is."""
        paths = {"github": "/api/v3", "gitlab": "/api/v4", "gitea": "/api/v1"}
        return f"http://127.0.0.1:{self.port}{paths[self.kind]}"

    @property
    def settings(self) -> str:
        """`reconcile.forge` of an environment."""
        key = "project" if self.kind == "gitlab" else "repository"
        return f"forge: {{{self.kind}: {{{key}: example/models, api: {self.api}}}}}"

    def head(self, branch: str) -> str | None:
        """The commit of a branch."""
        found = git("for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}", cwd=self.remote)
        return found or None

    def pass_checks(self) -> None:
        """The check of every request is green, and what was to be merged is."""
        self.rules = False
        for pull in self.pulls:
            if pull.state == "open" and pull.automatic is not None:
                assert self.merge(pull, pull.automatic)

    def merge(self, pull: Pull, at: str) -> bool:
        """Whether a merge commit could be made, with the head at that commit."""
        head, main = self.head(pull.branch), self.head(pull.base)
        assert main is not None
        if head != at or head is None or self.rules:
            return False
        merged = subprocess.run(
            ["git", "merge-tree", "--write-tree", main, head], cwd=self.remote, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        if merged.returncode != 0:
            return False
        tree = merged.stdout.split("\n")[0]
        made = git("commit-tree", tree, "-p", main, "-p", head, "-m", f"Merge {pull.branch}", cwd=self.remote)
        git("update-ref", f"refs/heads/{pull.base}", made, main, cwd=self.remote)
        pull.state, pull.merged = "closed", True
        return True

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        """The status and the JSON."""
        parts = urlsplit(target)
        self.asked.append(f"{method} {parts.path}")
        if self.app is not None and parts.path.startswith("/api/v3/app/"):
            return self.app.answer(parts.path.removeprefix("/api/v3"), headers)
        own = {"github": ("authorization", "Bearer "), "gitlab": ("private-token", ""),
               "gitea": ("authorization", "token ")}  # fmt: skip
        name, prefix = own[self.kind]
        token = headers.get(name, "").removeprefix(prefix)
        known = token == TOKEN if self.app is None else self.app.accepts(token)
        if not known or not headers.get(name, "").startswith(prefix):
            return 401, {"message": f"401 Unauthorized {headers.get(name)}"}
        if self.kind == "github" and headers.get("x-github-api-version") != "2022-11-28":
            return self.refuse(400, "no version of the API")
        query = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
        data = json.loads(body) if body else {}
        if body and headers.get("content-type") != "application/json":
            return self.refuse(415, "no JSON")
        for verb, pattern, allowed, required, does in ROUTES[self.kind]:
            found = re.fullmatch(pattern, parts.path)
            if verb != method or found is None:
                continue
            given = query if method == "GET" else data
            if strange := (set(query) if method != "GET" else set()) | (set(given) - set(allowed)):
                return self.refuse(400, f"{method} {parts.path} has no {sorted(strange)}")
            if missing := set(required) - set(given):
                return self.refuse(422, f"{method} {parts.path} needs {sorted(missing)}")
            return does(self, *found.groups(), given)
        return self.refuse(404, f"no {method} {parts.path}")

    def refuse(self, status: int, text: str) -> Answer:
        """What no forge would answer to a client that keeps to its description."""
        self.strange.append(text)
        return status, {"message": text}

    def one(self, number: str) -> Pull:
        """A request by its number."""
        return self.pulls[int(number) - 1]

    def find(self, branch: str, base: str) -> list[Pull]:
        """The requests of a branch."""
        return [pull for pull in self.pulls if (pull.branch, pull.base) == (branch, base)]

    def create(self, branch: str, base: str, title: str, body: str, exists: int, shown: Callable[..., Any]) -> Answer:
        """A new request; `exists` where there is an open one."""
        if not self.scope:
            return 403, {"message": "Resource not accessible by personal access token"}
        if branch == base:
            return 422, {
                "message": "Validation Failed",
                "errors": [{"message": f"No commits between {base} and {base}"}],
            }
        if self.head(branch) is None:
            return 422 if self.kind == "github" else 404, {"message": "Validation Failed", "errors": ["no such head"]}
        if any(pull.state == "open" and not pull.fork for pull in self.find(branch, base)):
            text = f"A pull request already exists for example:{branch}."
            return exists, {"message": "Validation Failed", "errors": [{"message": text}]}
        pull = Pull(len(self.pulls) + 1, branch, base, title, body)
        self.pulls.append(pull)
        if self.lost:
            self.lost -= 1
            return 502, None
        return 201, shown(self, pull)


def _hub(forge: Forge, pull: Pull) -> dict[str, Any]:
    return {
        "number": pull.number, "state": pull.state, "merged_at": "2026-11-20T09:05:00Z" if pull.merged else None,
        "head": {"ref": pull.branch, "sha": forge.head(pull.branch) or "0" * 40}, "node_id": f"PR_{pull.number}",
        "html_url": f"http://127.0.0.1/example/models/pull/{pull.number}",
    }  # fmt: skip


def _hub_list(forge: Forge, query: dict[str, str]) -> Answer:
    owner, _, branch = query["head"].partition(":")
    assert owner == "example"
    assert query["state"] == "all"
    return 200, [_hub(forge, pull) for pull in forge.find(branch, query["base"]) if not pull.fork]


def _hub_auto(forge: Forge, data: dict[str, Any]) -> Answer:
    if "refUpdateRule" in data["query"]:
        assert data["variables"] == {"owner": "example", "name": "models", "ref": "refs/heads/main"}
        rule = {"viewerCanPush": not forge.guarded, "requiredApprovingReviewCount": None,
                "requiredStatusCheckContexts": None}  # fmt: skip
        return 200, {"data": {"repository": {"ref": {"refUpdateRule": rule}}}}
    if not re.search(r"enablePullRequestAutoMerge\(input: ", data["query"]):
        return forge.refuse(400, "an unknown mutation")
    variables = data["variables"]
    pull = forge.one(variables["id"].removeprefix("PR_"))
    assert variables["method"] in ("MERGE", "SQUASH", "REBASE")
    if not forge.rules:
        text = "Pull request Pull request is in clean status"
        return 200, {"data": {"enablePullRequestAutoMerge": None}, "errors": [{"message": text}]}
    if variables["head"] != forge.head(pull.branch):
        return 200, {"errors": [{"message": "Head sha didn't match"}]}
    pull.automatic = variables["head"]
    return 200, {"data": {"enablePullRequestAutoMerge": {"pullRequest": {"number": pull.number}}}}


def _hub_merge(forge: Forge, number: str, data: dict[str, Any]) -> Answer:
    done = forge.merge(forge.one(number), data["sha"])
    return (200, {"merged": True}) if done else (405, {"message": "Pull Request is not mergeable"})


def _hub_close(forge: Forge, number: str, data: dict[str, Any]) -> Answer:
    forge.one(number).state = data["state"]
    return 200, _hub(forge, forge.one(number))


def _comment(forge: Forge, number: str, data: dict[str, Any]) -> Answer:
    forge.one(number).comments.append(data["body"])
    return 201, {}


def _tea_comment(forge: Forge, number: str, data: dict[str, Any]) -> Answer:
    # https://docs.gitea.com/development/oauth2-provider#scopes: asked before the body is looked at.
    if not forge.comments:
        return 403, {"message": "token does not have at least one of required scope(s): [write:issue]"}
    if not data.get("body"):
        return 422, {"message": "[Body]: Required"}
    return _comment(forge, number, data)


def _lab(forge: Forge, pull: Pull) -> dict[str, Any]:
    state = "merged" if pull.merged else {"open": "opened"}.get(pull.state, pull.state)
    url = f"http://127.0.0.1/example/models/-/merge_requests/{pull.number}"
    projects = {"source_project_id": 8 if pull.fork else 7, "target_project_id": 7}
    return {"iid": pull.number, "state": state, "sha": forge.head(pull.branch), "web_url": url, **projects}


def _lab_list(forge: Forge, query: dict[str, str]) -> Answer:
    return 200, [_lab(forge, pull) for pull in forge.find(query["source_branch"], query["target_branch"])]


def _lab_merge(forge: Forge, number: str, data: dict[str, Any]) -> Answer:
    pull = forge.one(number)
    if data["sha"] != forge.head(pull.branch):
        return 409, {"message": "SHA does not match HEAD of source branch"}
    if not forge.rules and not forge.merge(pull, data["sha"]):
        return 422, {"message": "Branch cannot be merged"}
    pull.automatic = data["sha"]
    return 200, _lab(forge, pull)


def _lab_close(forge: Forge, number: str, data: dict[str, Any]) -> Answer:
    assert data["state_event"] == "close"
    forge.one(number).state = "closed"
    return 200, _lab(forge, forge.one(number))


def _tea(forge: Forge, pull: Pull) -> dict[str, Any]:
    return {
        "number": pull.number, "state": pull.state, "merged": pull.merged,
        "head": {"ref": pull.branch, "sha": forge.head(pull.branch) or "0" * 40},
        "html_url": f"http://127.0.0.1/example/models/pulls/{pull.number}",
    }  # fmt: skip


def _tea_find(forge: Forge, base: str, branch: str, query: dict[str, str]) -> Answer:
    found = [pull for pull in forge.find(unquote(branch), base) if not pull.fork]
    return (200, _tea(forge, found[0])) if found else (404, {"message": "not found"})


def _tea_merge(forge: Forge, number: str, data: dict[str, Any]) -> Answer:
    pull = forge.one(number)
    assert data["Do"] in ("merge", "squash", "rebase")
    if pull.automatic == data["head_commit_id"]:
        return 409, {"message": "auto merge is already scheduled for this pull request"}
    if forge.rules:
        pull.automatic = data["head_commit_id"]
        return 201, None
    return (200, None) if forge.merge(pull, data["head_commit_id"]) else (405, {"message": "Please try again later"})


def _tea_close(forge: Forge, number: str, data: dict[str, Any]) -> Answer:
    forge.one(number).state = data["state"]
    return 201, _tea(forge, forge.one(number))


_HUB = r"/api/v3/repos/example/models"
_LAB = r"/api/v4/projects/example%2Fmodels"
_TEA = r"/api/v1/repos/example/models"
_NEW = ("title", "head", "base", "body")
_LAB_NEW = ("source_branch", "target_branch", "title")
# Method, path, parameters, those that are required, and what it does.
ROUTES: dict[str, list[tuple[str, str, tuple[str, ...], tuple[str, ...], Callable[..., Answer]]]] = {
    "github": [
        ("GET", _HUB, (), (), lambda forge, query: (200, {"permissions": {"push": forge.push}, "allow_merge_commit":
         False, "allow_squash_merge": True, "allow_rebase_merge": True})),
        ("GET", f"{_HUB}/pulls", ("head", "base", "state", "per_page", "page", "sort", "direction"), ("head", "base"),
         _hub_list),
        ("POST", f"{_HUB}/pulls", (*_NEW, "draft", "maintainer_can_modify"), ("title", "head", "base"),
         lambda forge, data: forge.create(data["head"], data["base"], data["title"], data.get("body", ""), 422, _hub)),
        ("PATCH", rf"{_HUB}/pulls/(\d+)", ("title", "body", "state", "base"), (), _hub_close),
        ("PUT", rf"{_HUB}/pulls/(\d+)/merge", ("commit_title", "commit_message", "sha", "merge_method"), ("sha",),
         _hub_merge),
        ("POST", rf"{_HUB}/issues/(\d+)/comments", ("body",), ("body",), _comment),
        ("POST", "/api/graphql", ("query", "variables"), ("query",), _hub_auto),
    ],
    "gitlab": [
        ("GET", _LAB, (), (), lambda forge, query: (200, {"permissions": {"project_access":
         {"access_level": 40 if forge.push else 20}, "group_access": None}})),
        ("GET", f"{_LAB}/merge_requests", ("source_branch", "target_branch", "state", "per_page"), (), _lab_list),
        ("GET", f"{_LAB}/repository/branches/main", (), (),
         lambda forge, query: (200, {"can_push": not forge.guarded})),
        ("POST", f"{_LAB}/merge_requests", (*_LAB_NEW, "description", "remove_source_branch"), _LAB_NEW,
         lambda forge, data: forge.create(data["source_branch"], data["target_branch"], data["title"],
                                          data.get("description", ""), 409, _lab)),
        ("PUT", rf"{_LAB}/merge_requests/(\d+)/merge", ("auto_merge", "sha", "should_remove_source_branch"), (),
         _lab_merge),
        ("PUT", rf"{_LAB}/merge_requests/(\d+)", ("state_event",), (), _lab_close),
        ("POST", rf"{_LAB}/merge_requests/(\d+)/notes", ("body",), ("body",), _comment),
    ],
    "gitea": [
        ("GET", _TEA, (), (), lambda forge, query: (200, {"permissions": {"pull": True, "push": forge.push},
         "allow_merge_commits": True})),
        ("GET", f"{_TEA}/branches/main", (), (), lambda forge, query: (200, {"user_can_push": not forge.guarded})),
        ("GET", rf"{_TEA}/pulls/([^/]+)/(.+)", (), (), _tea_find),
        ("POST", f"{_TEA}/pulls", _NEW, ("title", "head", "base"),
         lambda forge, data: forge.create(data["head"], data["base"], data["title"], data.get("body", ""), 409, _tea)),
        ("POST", rf"{_TEA}/pulls/(\d+)/merge", ("Do", "merge_when_checks_succeed", "head_commit_id",
         "delete_branch_after_merge"), ("Do",), _tea_merge),
        ("PATCH", rf"{_TEA}/pulls/(\d+)", ("title", "body", "state", "base"), (), _tea_close),
        ("POST", rf"{_TEA}/issues/(\d+)/comments", ("body",), (), _tea_comment),
    ],
}  # fmt: skip


@contextlib.contextmanager
def serve(kind: str, remote: Path) -> Iterator[Forge]:
    """A forge on 127.0.0.1 for the length of the `with`."""
    forge, lock = Forge(kind, remote), threading.Lock()

    class Handler(servers.Quiet):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            with lock:
                if forge.faults:
                    (status, more), data = forge.faults.pop(0), None
                else:
                    more = {}
                    if forge.moment("before", f"{self.command} {self.path}"):
                        return
                    status, data = forge.answer(self.command, self.path, headers, body)
                    forge.moment("after", f"{self.command} {self.path}")
            text = json.dumps(data).encode() if data is not None else b""
            self.send_response(status)
            for name, value in more.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            with contextlib.suppress(OSError):  # who asked is gone
                self.wfile.write(text)

        do_GET = do_POST = do_PUT = do_PATCH = _answer  # noqa: N815

    with servers.answering(Handler) as forge.port:
        yield forge
