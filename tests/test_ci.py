"""What runs in CI: the GitHub Action against an API that forgets nothing, the GitLab template, the pre-commit hooks."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic_sarif.model import StaticAnalysisResultsFormatSarifVersion210JsonSchema as Sarif

from conftest import TOP, mrc
from test_cases import commit
from test_commands import edit, git

BIN = Path(sys.executable).parent
TOKEN = "ghs_verySecret"
MARK = "<!-- mrc plan -->"


class Api(ThreadingHTTPServer):
    """GitHub's API, as far as comments of one pull request go."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.comments: list[dict[str, Any]] = []
        self.calls: list[str] = []
        self.tokens: set[str | None] = set()
        self.writable = True

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def say(self, body: str, login: str = "github-actions[bot]", kind: str = "Bot") -> None:
        self.comments.append(
            {"id": len(self.comments) + 1, "body": body, "user": {"login": login, "type": kind}},
        )


class Handler(BaseHTTPRequestHandler):
    server: Api

    def _answer(self, code: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _handle(self) -> None:
        api = self.server
        api.calls.append(f"{self.command} {self.path}")
        api.tokens.add(self.headers["Authorization"])
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"] or 0)) or "{}")
        if self.path == "/user":
            return self._answer(403, {"message": "Resource not accessible by integration"})
        if self.command == "GET":
            page = int(re.search(r"[?&]page=(\d+)", self.path)[1])  # type: ignore[index]
            return self._answer(200, api.comments[(page - 1) * 100 : page * 100])
        if not api.writable:
            return self._answer(403, {"message": "Resource not accessible by integration"})
        if len(body["body"]) > 65_536:
            return self._answer(422, {"message": "Body is too long"})
        if self.command == "POST":
            api.say(body["body"])
        else:
            api.comments[int(self.path.rpartition("/")[2]) - 1]["body"] = body["body"]
        return self._answer(200, {})

    do_GET = do_POST = do_PATCH = _handle  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def api() -> Iterator[Api]:
    server = Api()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def pull_request(fleet: Path) -> Path:
    """The example fleet with what is rendered, and one promotion on top of main."""
    shutil.copytree(TOP / "rendered", fleet / "rendered")
    commit(fleet)
    git(fleet, "checkout", "-q", "-b", "promote")
    mrc("promote", "sentiment", "13", "-e", "production", cwd=fleet)
    assert mrc("render", cwd=fleet).returncode == 0
    git(fleet, "commit", "-qam", "Promote sentiment 13")
    return fleet


def action(root: Path, api: Api, **more: str) -> subprocess.CompletedProcess[str]:
    """What `run` of action.yml starts, with the environment of a runner."""
    runner = root.parent / f"{root.name}-runner"
    runner.mkdir(exist_ok=True)
    (runner / "event.json").write_text('{"pull_request": {"number": 7}}')
    environment = {
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(runner),
        "RUNNER_TEMP": str(runner),
        "GITHUB_ACTION_PATH": str(TOP),
        "GITHUB_API_URL": api.address,
        "GITHUB_REPOSITORY": "acme/models",
        "GITHUB_EVENT_PATH": str(runner / "event.json"),
        "GITHUB_OUTPUT": str(runner / "output"),
        "GITHUB_STEP_SUMMARY": str(runner / "summary"),
        "MRC_DIRECTORY": ".",
        "MRC_BASE": "main",
        "MRC_COMMENT": "true",
        "MRC_TOKEN": TOKEN,
        **more,
    }
    command = yaml.safe_load((TOP / "action.yml").read_text())["runs"]["steps"][0]["run"]
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", command],
        cwd=root, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def test_one_comment_is_written_and_then_updated_in_place(pull_request: Path, api: Api) -> None:
    for index in range(120):  # a long discussion: ours is on the second page
        api.say(f"{MARK} planted" if index == 3 else "looks good", login="someone", kind="User")
    first = action(pull_request, api)
    assert first.returncode == 0, first.stdout + first.stderr
    assert len(api.comments) == 121
    assert "12 → 13, falls back to 12" in api.comments[-1]["body"]
    edit(pull_request, "policies/sentiment/policy.yaml", "replicas: 4", "replicas: 6")
    assert mrc("render", cwd=pull_request).returncode == 0
    assert action(pull_request, api).returncode == 0
    assert len(api.comments) == 121
    assert "replicas: 4 → 6" in api.comments[-1]["body"]
    assert api.comments[3]["body"] == f"{MARK} planted"
    runner = pull_request.parent / f"{pull_request.name}-runner"
    assert "changes=true" in (runner / "output").read_text()
    assert "## mrc plan" in (runner / "summary").read_text()
    assert "<svg" in (runner / "mrc-plan/plan.html").read_text()
    assert api.tokens == {f"Bearer {TOKEN}"}
    assert TOKEN not in first.stdout + first.stderr


def test_nothing_to_say_is_not_said(pull_request: Path, api: Api) -> None:
    git(pull_request, "checkout", "-q", "main")
    assert action(pull_request, api).returncode == 0
    assert api.comments == []


def test_a_pull_request_from_a_fork_is_checked_all_the_same(pull_request: Path, api: Api) -> None:
    api.writable = False
    done = action(pull_request, api)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "may not comment" in done.stdout


def test_an_error_fails_the_job_and_is_in_the_comment(pull_request: Path, api: Api) -> None:
    edit(pull_request, "policies/sentiment/policy.yaml", "max: 250ms", "max: 250")
    done = action(pull_request, api)
    assert done.returncode == 1
    assert "::error file=policies/sentiment/policy.yaml" in done.stdout
    assert "MRC205" in api.comments[-1]["body"]


@pytest.mark.parametrize(("name", "said"), [("MRC_BASE", "git does not know"), ("MRC_DIRECTORY", "does not exist")])
def test_what_cannot_be_compared_is_said_once_and_beside_the_job(
    pull_request: Path, api: Api, name: str, said: str
) -> None:
    """No page is uploaded that says nothing."""
    done = action(pull_request, api, **{name: "nowhere"})
    assert done.returncode == 1
    assert re.fullmatch(rf"::error title=mrc::Error: .*{said}.*\n", done.stdout)
    assert done.stderr.count(said) == 1
    assert not (pull_request.parent / f"{pull_request.name}-runner/output").exists()


@pytest.mark.parametrize("name", ["MRC_BASE", "GITHUB_BASE_REF", "MRC_DIRECTORY"])
def test_names_are_never_read_by_a_shell(pull_request: Path, api: Api, name: str) -> None:
    hostile = '$(touch pwned)`touch pwned`"; touch pwned; "'
    more = {name: hostile} if name != "GITHUB_BASE_REF" else {name: hostile, "MRC_BASE": ""}
    done = action(pull_request, api, **more)
    assert done.returncode == 1
    assert not list(pull_request.rglob("pwned"))


def test_what_a_pull_request_is_compared_with_is_not_its_own_to_say() -> None:
    """Its mrc.yaml could name its own branch: no version would count as edited, no limit as lifted."""
    workflow = (TOP / "templates/init/.github/workflows/mrc.yaml").read_text()
    template = (TOP / "ci/gitlab/mrc.gitlab-ci.yml").read_text()
    called = re.findall(r"(?:- |run: )(mrc (?:check|plan) .*)", workflow + template)
    assert len(called) == 5
    assert [command for command in called if not re.search(r"--base \"\$\w+\"", command)] == []


def test_no_module_of_the_pull_request_is_run() -> None:
    """`python3 -m NAME` takes NAME.py of the folder that it is called in: what a stranger has written."""
    steps = (TOP / "ci/github/run").read_text()
    assert re.findall(r"python3 (\S+)", steps) == ["-I", '"$here/comment.py"']


def test_ci_installs_no_stranger() -> None:
    """In the public index the name is another project's: whoever has it there would run with what CI may do."""
    for file in ("templates/init/.github/workflows/mrc.yaml", "ci/gitlab/mrc.gitlab-ci.yml"):
        installed = re.findall(r"pip install (?:--\S+ )*'(.*)'", (TOP / file).read_text())
        assert len(installed) == 1
        assert re.fullmatch(r"mrc @ git\+https://git\.example\.com/mrc@v[0-9.]+", installed[0])


def test_the_action_and_the_template_are_what_their_platforms_take() -> None:
    check = [BIN / "check-jsonschema", "--builtin-schema"]
    for schema, file in (("github-actions", "action.yml"), ("gitlab-ci", "ci/gitlab/mrc.gitlab-ci.yml")):
        subprocess.run([*check, f"vendor.{schema}", TOP / file], check=True, capture_output=True)
    workflow = TOP / "templates/init/.github/workflows/mrc.yaml"
    subprocess.run([*check, "vendor.github-workflows", workflow], check=True, capture_output=True)
    for step in yaml.safe_load((TOP / "action.yml").read_text())["runs"]["steps"]:
        assert "${{" not in step["run"]


@pytest.mark.parametrize(("where", "stale"), [("main", 0), ("promote", 1)])
def test_the_pre_commit_hooks_stop_what_was_not_rendered(
    pull_request: Path, tmp_path_factory: pytest.TempPathFactory, where: str, stale: int
) -> None:
    hooks, home = tmp_path_factory.mktemp("hooks"), tmp_path_factory.mktemp("home")
    shutil.copy(TOP / ".pre-commit-hooks.yaml", hooks)
    revision = commit(hooks)
    # As it is published, but for the installation: the mrc of this environment is run.
    names = [hook["id"] for hook in yaml.safe_load((hooks / ".pre-commit-hooks.yaml").read_text())]
    configured = [{"id": name, "language": "system", "stages": ["pre-commit"]} for name in names]
    config = {"repos": [{"repo": str(hooks), "rev": revision, "hooks": configured}]}
    git(pull_request, "checkout", "-q", where)
    if stale:
        edit(pull_request, "policies/sentiment/policy.yaml", "replicas: 4", "replicas: 6")
    (pull_request / ".pre-commit-config.yaml").write_text(yaml.safe_dump(config))
    git(pull_request, "add", ".pre-commit-config.yaml", "policies")
    edit_base = pull_request / "mrc.yaml"
    edit_base.write_text(edit_base.read_text().replace("origin/main", "main"))
    git(pull_request, "add", "mrc.yaml")
    done = subprocess.run(
        [BIN / "pre-commit", "run", "--all-files"],
        cwd=pull_request,
        env={**os.environ, "PRE_COMMIT_HOME": str(home), "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == stale, done.stdout + done.stderr
    said = dict(re.findall(r"^(mrc \w+)\.+(Passed|Failed)", done.stdout, flags=re.M))
    assert said == {"mrc check": "Passed", "mrc render": "Failed" if stale else "Passed", "mrc plan": "Passed"}
    assert ("sentiment in production: 12 → 13" in done.stdout) == bool(stale)


def test_findings_are_sarif_with_paths_from_the_checkout(tmp_path: Path) -> None:
    root = tmp_path / "deploy"
    for name in ("policies", "environments"):
        shutil.copytree(TOP / name, root / name)
    shutil.copy(TOP / "mrc.yaml", root)
    edit(root, "policies/sentiment/policy.yaml", "max: 250ms", "max: 250")
    edit(root, "policies/ranker/policy.yaml", "replicas: 8", "replica: 8")
    done = mrc("check", "--format", "sarif", "-C", "deploy", cwd=tmp_path)
    log = Sarif.model_validate_json(done.stdout)
    run = log.runs[0]
    rules = [rule.id for rule in run.tool.driver.rules or []]
    found = {(result.ruleId, result.locations[0].physicalLocation.artifactLocation.uri) for result in run.results or []}  # type: ignore[index, union-attr]
    assert ("MRC205", "deploy/policies/sentiment/policy.yaml") in found
    assert {code for code, _ in found} == set(rules)
    assert all(rules[result.ruleIndex or 0] == result.ruleId for result in run.results or [])
