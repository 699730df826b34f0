"""Writes a plan as the one comment of a pull request: updated in place, made where something changes.

`comment.py PLAN.md true|false`. Standard library only. The place comes from the environment of GitHub Actions; the
token from MRC_TOKEN, and goes into the request's header only. A token that may not write (a pull request from a fork)
is said, and is no failure: the plan is in the job's summary as well.
"""

import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

MARK = "<!-- mrc plan -->"
PAGE = 100


def main(plan: Path, changes: bool) -> int:
    number = _pull_request()
    if number is None:
        print("not a pull request: no comment")
        return 0
    repository = f"/repos/{os.environ['GITHUB_REPOSITORY']}"
    body = {"body": f"{MARK}\n{plan.read_text()}"}
    try:
        there = _ours(f"{repository}/issues/{number}/comments")
        if there is not None:
            _ask("PATCH", f"{repository}/issues/comments/{there}", body)
        elif changes:
            _ask("POST", f"{repository}/issues/{number}/comments", body)
    except urllib.error.HTTPError as problem:
        if problem.code not in (401, 403, 404):
            print(f"::error::The plan could not be written as a comment: the API says {problem.code}")
            return 1
        print("::notice::This token may not comment; the plan is in the summary of the job")
    except (urllib.error.URLError, TimeoutError) as problem:
        print(f"::error::The plan could not be written as a comment: {type(problem).__name__}")
        return 1
    return 0


def _pull_request() -> int | None:
    event = json.loads(Path(os.environ["GITHUB_EVENT_PATH"]).read_text())
    number = event.get("pull_request", {}).get("number")
    return int(number) if number is not None else None


def _ours(path: str) -> int | None:
    """The comment that an earlier run wrote. Anybody may write the mark; whose comment it is, nobody can choose."""
    try:
        login = _ask("GET", "/user")["login"]
    except urllib.error.HTTPError:
        login = None  # the token of a workflow is no user
    page = 1
    while True:
        comments = _ask("GET", f"{path}?per_page={PAGE}&page={page}")
        for comment in comments:
            user = comment.get("user") or {}
            own = user.get("login") == login if login else user.get("type") == "Bot"
            if own and comment["body"].startswith(MARK):
                return int(comment["id"])
        if len(comments) < PAGE:
            return None
        page += 1


def _ask(method: str, path: str, body: dict[str, str] | None = None) -> Any:
    request = urllib.request.Request(  # noqa: S310  the address is GitHub's own, from its environment
        os.environ.get("GITHUB_API_URL", "https://api.github.com") + path,
        method=method,
        data=json.dumps(body).encode() if body is not None else None,
        headers={
            "Authorization": f"Bearer {os.environ.get('MRC_TOKEN', '')}",
            "Accept": "application/vnd.github+json",
            "Content-Type": "application/json",
            "X-GitHub-Api-Version": "2022-11-28",
            "User-Agent": "mrc",
        },
    )
    with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
        return json.loads(response.read())


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2] == "true"))
