"""What a pull request is compared with: any git repository, however odd, is compared with or said to be the matter."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mrc import cores, revert, revision
from mrc.compile import analyse
from mrc.examine import examine
from mrc.link import LinkedModel
from mrc.tree import MemoryTree, WorkTree
from test_hostile import COMMON, POLICY, VERSION, calm, forked

IDENTITY = ["-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "protocol.file.allow=always"]


def git(root: Path, *arguments: str, stdin: str = "") -> str:
    done = subprocess.run(
        ["git", *IDENTITY, *arguments], cwd=root, check=True, capture_output=True, text=True, input=stdin
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """The common tree, committed on main."""
    root = Path(shutil.copytree(COMMON, tmp_path / "repository"))
    git(root, "init", "-q", "-b", "main")
    commit(root, "Begin")
    return root


def commit(root: Path, message: str) -> None:
    git(root, "add", "-A")
    git(root, "commit", "-q", "--allow-empty", "-m", message)


def change(root: Path, file: str = POLICY, old: str = "replicas: 2", new: str = "replicas: 3") -> None:
    text = (root / file).read_text()
    assert old in text
    (root / file).write_text(text.replace(old, new, 1))


@pytest.mark.parametrize("verb", ["check", "plan"])
def test_a_clone_of_depth_one_says_what_to_fetch(repository: Path, tmp_path: Path, verb: str) -> None:
    """CI clones so by default: comparing with nothing would let an edited version through."""
    git(repository, "checkout", "-q", "-b", "feature")
    change(repository)
    commit(repository, "More replicas")
    git(repository, "checkout", "-q", "main")
    change(repository, old="team: hello", new="team: other")
    commit(repository, "Another team")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", "--depth", "1", "--branch", "feature", f"file://{repository}", "clone")
    said = calm(forked(verb, "--base", "origin/main", cwd=clone), 2 if verb == "check" else 1)
    assert "this shallow clone does not reach origin/main: fetch the history (in CI, fetch-depth: 0)" in said
    assert "shallow clone" in calm(forked("check", cwd=clone), 2), "the base of mrc.yaml is asked for too"
    git(clone, "fetch", "-q", "--depth", "1", "origin", "main:refs/remotes/origin/main")
    assert "shallow clone" in calm(forked("check", "--base", "origin/main", cwd=clone), 2), "no common history"
    git(clone, "fetch", "-q", "--unshallow", "origin")
    assert "no problems" in calm(forked("check", "--base", "origin/main", cwd=clone), 0)


@pytest.mark.parametrize(
    "base", ["nowhere", "--help", "--upload-pack=/bin/sh", "HEAD~99", "main:mrc.yaml", "a b", "é", "@{u}"]
)
def test_a_base_that_git_does_not_know_is_wrong_use(repository: Path, base: str) -> None:
    said = calm(forked("check", f"--base={base}", cwd=repository), 2)
    assert "git does not know" in said or "share" in said


def test_a_base_in_mrc_yaml_cannot_be_an_option(repository: Path) -> None:
    change(repository, "mrc.yaml", "base: origin/main", "base: --output=stolen")
    calm(forked("check", cwd=repository), 0, 1, 2)
    assert not (repository / "stolen").exists()


def test_a_repository_without_a_commit(tmp_path: Path) -> None:
    root = Path(shutil.copytree(COMMON, tmp_path / "repository"))
    git(root, "init", "-q", "-b", "main")
    assert "not compared with a base" in calm(forked("check", cwd=root), 0)
    calm(forked("check", "--base", "HEAD", cwd=root), 2)


def test_a_base_without_mrc_yaml_is_an_empty_one(tmp_path: Path) -> None:
    """The pull request that brings mrc into a repository."""
    root = tmp_path / "repository"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    (root / "README.md").write_text("hello")
    commit(root, "Begin")
    shutil.copytree(COMMON, root, dirs_exist_ok=True)
    assert "no problems" in calm(forked("check", "--base", "main", cwd=root), 0)
    calm(forked("plan", "--base", "main", cwd=root), 2)


def test_an_environment_that_is_removed(repository: Path) -> None:
    (repository / "environments/staging.yaml").unlink()
    assert "MRC202" in calm(forked("check", "--base", "main", cwd=repository), 1)
    calm(forked("plan", "--base", "main", cwd=repository), 1)
    text = (repository / POLICY).read_text()
    start, end = text.index("    staging:"), text.index("    production:")
    (repository / POLICY).write_text(text[:start] + text[end:])
    calm(forked("check", "--base", "main", cwd=repository), 0, 1)
    calm(forked("plan", "--base", "main", cwd=repository), 2)


def test_a_model_that_is_removed_or_renamed(repository: Path) -> None:
    (repository / "policies/hello-model").rename(repository / "policies/other")
    for path in (repository / "policies/other").rglob("*.yaml"):
        path.write_text(path.read_text().replace("name: hello-model", "name: other"))
    calm(forked("check", "--base", "main", cwd=repository), 0, 1)
    calm(forked("plan", "--base", "main", cwd=repository), 1, 2)


@pytest.mark.parametrize(
    ("mode", "path"),
    [("120000", POLICY), ("120000", "policies"), ("160000", "policies/hello-model"), ("160000", "environments"),
     ("120000", "mrc.yaml"), ("160000", "rendered"), ("120000", "policies/\udcff\x1b[31m/policy.yaml")],
)  # fmt: skip
def test_links_and_submodules_of_the_base_are_not_followed(repository: Path, mode: str, path: str) -> None:
    """A blob of a link is a path; following it would read the machine's own files."""
    main = git(repository, "rev-parse", "HEAD")
    name = main if mode == "160000" else git(repository, "hash-object", "-w", "--stdin", stdin="/etc/passwd")
    git(repository, "rm", "-rq", "--cached", "--ignore-unmatch", "--", os.fsencode(path))  # type: ignore[arg-type]
    entry = f"{mode},{name},".encode() + os.fsencode(path)
    git(repository, "update-index", "--add", "--cacheinfo", entry)  # type: ignore[arg-type]
    git(repository, "commit", "-q", "-m", "Odd")
    git(repository, "add", "-A", ":/")
    for command in (["check", "--base", "HEAD"], ["check", "--base", "HEAD", "--format", "json"]):
        said = calm(forked(*command, cwd=repository), 0, 1)
        assert "root:" not in said
    calm(forked("plan", "--base", "HEAD", cwd=repository), 0, 1, 2)


@pytest.mark.parametrize("data", [b"{", b"\xff\xfe", b"a: &a [*a]", b"[" * 50_000, b"a: 1\n" * 300_000, b""])
def test_a_base_that_cannot_be_read_is_not_the_end(repository: Path, data: bytes) -> None:
    """Somebody merged it; the pull request that repairs it must pass."""
    good = (repository / POLICY).read_bytes()
    (repository / POLICY).write_bytes(data)
    commit(repository, "Break")
    (repository / POLICY).write_bytes(good)
    calm(forked("check", "--base", "HEAD", cwd=repository), 0)
    calm(forked("plan", "--base", "HEAD", cwd=repository), 2)


def test_a_policy_repository_below_the_top(tmp_path: Path) -> None:
    root = tmp_path / "repository"
    shutil.copytree(COMMON, root / "teams/ml")
    git(tmp_path, "init", "-q", "-b", "main", "repository")
    commit(root, "Begin")
    change(root / "teams/ml", VERSION, "cpu: 4", "cpu: 8")
    assert "MRC331" in calm(forked("check", "--base", "main", cwd=root / "teams/ml"), 1)
    assert "MRC331" in calm(forked("check", "--base", "main", "-C", "teams/ml", cwd=root), 1)


def test_a_broken_git_folder_is_said(repository: Path) -> None:
    shutil.rmtree(repository / ".git/objects")
    calm(forked("check", "--base", "main", cwd=repository), 0, 2)
    (repository / ".git/HEAD").write_text("nothing")
    calm(forked("check", "--base", "main", cwd=repository), 2)


def test_a_repository_of_another_user_is_said(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In containers the checkout often belongs to somebody else, and git refuses to read it."""
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    for command in (["check"], ["check", "--base", "main"]):
        assert "safe.directory" in calm(forked(*command, cwd=repository), 2)


def test_a_repository_without_git_on_the_machine_is_said(repository: Path) -> None:
    """Nothing is compared in silence."""
    done = subprocess.run(
        [sys.executable, "-c", "from mrc.cli import run; run()", "check"], cwd=repository, timeout=60, text=True,
        capture_output=True, check=False, env={**os.environ, "PATH": "/nowhere"},
    )  # fmt: skip
    assert "git is not installed" in calm(done, 2)


@pytest.mark.parametrize("verb", ["check", "plan"])
def test_nothing_that_a_repository_names_runs(repository: Path, verb: str) -> None:
    """Checking somebody's branch must not run somebody's program: filters, drivers, hooks, monitors, servers."""
    ran = repository.parent / "ran"
    program = repository / ".git/evil"
    program.write_text(f"#!/bin/sh\ntouch {ran}\ncat\n")
    program.chmod(0o755)
    shutil.copy(program, repository / ".git/hooks/post-index-change")
    shutil.copy(program, repository / ".git/hooks/fsmonitor-watchman")
    # Written by hand: git config would start the monitor itself.
    with (repository / ".git/config").open("a") as config:
        config.write(f"""
[core]
    fsmonitor = {program}
    untrackedCache = true
    pager = {program}
    sshCommand = {program}
[filter "evil"]
    clean = {program}
    smudge = {program}
    process = {program}
    required = true
[diff]
    external = {program}
[diff "evil"]
    textconv = {program}
    command = {program}
[remote "evil"]
    url = file://{repository}
    uploadpack = {program}
    promisor = true
    partialCloneFilter = blob:none
[extensions]
    partialClone = evil
""")
    (repository / ".gitattributes").write_text("* filter=evil diff=evil\n")
    change(repository)
    (repository / VERSION).touch()  # another time, the same bytes
    said = calm(forked(verb, "--base", "main", cwd=repository), 0 if verb == "check" else 2)
    assert not ran.exists()
    assert ("hello-model" in said) == (verb == "plan")
    blob = git(repository, "-c", "core.fsmonitor=false", "rev-parse", f"HEAD:{POLICY}")
    (repository / ".git/objects" / blob[:2] / blob[2:]).unlink()
    said = calm(forked(verb, "--base", "main", cwd=repository), 2 if verb == "check" else 1)
    assert not ran.exists()
    assert "fetch it whole, without --filter" in said


def test_a_file_that_was_only_touched_has_not_changed(repository: Path) -> None:
    (repository / POLICY).touch()
    assert "Nothing changes" in calm(forked("plan", "--base", "main", cwd=repository), 0)


def test_only_what_a_change_touches_is_reverted_on_trial(fleet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fleet of a thousand models is checked in every pull request."""
    files = {str(path.relative_to(fleet)): path.read_bytes() for path in fleet.rglob("*.yaml")}
    policy, rollout = "policies/ranker/policy.yaml", "rendered/staging/sentiment/rollout.yaml"
    tried: list[str] = []
    promote = revert.promote

    def counted(model: LinkedModel, environment: str, version: int) -> str:
        tried.append(f"{model.name} in {environment}")
        return promote(model, environment, version)

    monkeypatch.setattr(revert, "promote", counted)
    base = MemoryTree({**files, rollout: b"as it was"})
    analyse(MemoryTree({**files, rollout: b"as it was"}), base=base)
    assert tried == []
    analyse(MemoryTree({**files, rollout: b"as another mrc has it", policy: files[policy] + b"# changed\n"}), base=base)
    assert set(tried) == {"ranker in production", "ranker in staging", "sentiment in staging"}


def test_models_checked_one_by_one_on_every_core_have_the_faults_of_the_fleet(
    fleet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Faults within a model, between two, in what all share, and in what only the base knows."""
    shutil.copytree(fleet / "policies/ranker", fleet / "policies/ranker-canary")
    for file in (fleet / "policies/ranker-canary").rglob("*.yaml"):
        file.write_text(file.read_text().replace("name: ranker", "name: ranker-canary"))
    git(fleet, "init", "-q", "-b", "main")
    commit(fleet, "Begin")
    change(fleet, "policies/chat/policy.yaml", "replicas: 6", "replicas: many")
    change(fleet, "policies/sentiment/policy.yaml", "replicas: ", "replica: ")
    change(fleet, "environments/production.yaml", "scrape: 15s", "scrape: 1m")
    version = next((fleet / "policies/sentiment/versions").iterdir())
    version.write_text(version.read_text() + "# edited\n")
    (fleet / "policies/stray.yaml").write_text("kind: RolloutPolicy\n")
    (fleet / "policies/elsewhere").symlink_to(fleet)
    repo = revision.repository(fleet)
    assert repo is not None
    tree, base = WorkTree(fleet), revision.base_tree(repo, fleet, "main")
    whole = analyse(tree, base=base)
    monkeypatch.setattr(cores, "_WORTH_PROCESSES", 2)
    monkeypatch.setattr(cores, "_AT_ONCE", 1)
    releases, found = examine(tree, base)
    assert found == whole.diagnostics
    assert releases == len(whole.fleet.releases)
    assert {"MRC001", "MRC011", "MRC101", "MRC103", "MRC331", "MRC391"} <= {item.code for item in found}
