"""A GitHub App pushes and asks for pull requests, and neither its key nor a token of it is ever told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from conftest import mrc
from mrc.reconcile import githubapp
from mrc.reconcile.credentials import CredentialsError, askpass
from mrc.reconcile.forges import ForgeError, forge
from mrc.reconcile.forges import client as forge_client
from mrc.reconcile.git import Git, GitError
from mrc.reconcile.githubapp import App, AppToken
from mrc.reconcile.ledger import Identity, Ledger
from mrc.reconcile.transport import transport
from mrc.schema.reconcile import Forge as Settings
from reconciling import BEGIN, git
from reconciling.github_app import INSTALLATION, NAME, Installations, pem, private_key
from reconciling.pull_requests import Forge, serve
from reconciling.remotes import Http, http

WHOLE = ["--github-app", NAME, "--github-installation", "1", "--github-key", "key"]


@pytest.fixture(scope="module")
def installations() -> Installations:
    return Installations()


@pytest.fixture
def hub(installations: Installations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Forge]:
    """A GitHub Enterprise Server with one App."""
    monkeypatch.setattr(forge_client.time, "sleep", lambda seconds: None)
    fresh = Installations(installations.key)
    git("init", "-q", "--bare", "-b", "main", tmp_path / "remote.git", cwd=tmp_path)
    with serve("github", tmp_path / "remote.git") as found:
        found.app = fresh
        yield found


def token(hub: Forge, folder: Path, clock: Callable[[], float] = time.time, **own: object) -> AppToken:
    assert hub.app is not None
    key = folder / "app.pem"
    if not key.exists():
        pem(hub.app.key, key)
    wanted = {"name": NAME, "installation": INSTALLATION, "key": key, "api": hub.api}
    return AppToken(App(**{**wanted, **own}), clock)  # type: ignore[arg-type]


def app(hub: Forge) -> Installations:
    assert hub.app is not None
    return hub.app


@pytest.fixture
def remote(hub: Forge, tmp_path: Path) -> Iterator[Http]:
    """git over HTTP, for whoever has a token of the App."""
    tree = tmp_path / "tree"
    git("init", "-q", "-b", "main", tree, cwd=tmp_path)
    (tree / "README.md").write_text("hello\n")
    git("add", ".", cwd=tree)
    git("commit", "-q", "-m", "Begin", cwd=tree)
    git("push", "-q", hub.remote, "main", cwd=tree)
    with http(hub.remote) as found:
        found.accepts = app(hub).accepts
        yield found


def test_git_and_the_api_get_the_same_token_until_shortly_before_it_ends(
    hub: Forge, remote: Http, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = token(hub, tmp_path)
    ledger = Ledger(Git(tmp_path / "state", askpass(tmp_path, found), transport(remote.url)), remote.url, "main",
                    Identity())  # fmt: skip
    settings = Settings.model_validate({"github": {"repository": "example/models", "api": hub.api}})
    asked = forge(settings, "main", found)
    asked.prove()
    commit = ledger.commit(ledger.fetch(), {"README.md": b"hello again\n"}, "Say it again", BEGIN)
    assert commit is not None
    assert ledger.push(commit).state == "done"
    assert git("rev-parse", "main", cwd=hub.remote) == commit
    assert set(remote.users) == {"x-access-token"}
    assert len(app(hub).given) == 1, "it was kept"

    later = time.monotonic() + 3600 - githubapp.EARLY + 1
    monkeypatch.setattr(githubapp.time, "monotonic", lambda: later)
    app(hub).ends.clear()  # the old one has ended
    ledger.fetch()
    asked.prove()
    assert len(app(hub).given) == 2

    # A request that is refused, with everything that was sent in its answer.
    app(hub).ends.clear()
    with pytest.raises(ForgeError) as refused:
        asked.prove()
    with pytest.raises(GitError) as git_refused:
        ledger.fetch()
    secrets = [*app(hub).given, (tmp_path / "app.pem").read_text().split("\n")[1]]
    for secret in secrets:
        assert secret not in f"{refused.value} {git_refused.value}"
        assert not [path for path in (tmp_path / "state").rglob("*") if path.is_file()
                    and secret.encode() in path.read_bytes()]  # fmt: skip


@pytest.mark.parametrize("ahead", [-55, 0, 240], ids="{}s".format)
def test_two_clocks_may_differ(hub: Forge, tmp_path: Path, ahead: float) -> None:
    app(hub).ahead = ahead
    assert app(hub).accepts(token(hub, tmp_path)())


def test_a_token_is_not_kept_for_longer_than_it_lives_whatever_this_clock_says(
    hub: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app(hub).lives = 9000  # as it looks to a clock that is behind
    found = token(hub, tmp_path)
    found()
    later = time.monotonic() + 3600
    monkeypatch.setattr(githubapp.time, "monotonic", lambda: later)
    found()
    assert len(app(hub).given) == 2


def test_what_was_refused_is_not_used_again(hub: Forge, tmp_path: Path) -> None:
    found = token(hub, tmp_path)
    first = found()
    found.forget()
    assert found() != first


def test_while_github_is_away_the_token_that_still_holds_is_used(
    hub: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = token(hub, tmp_path)
    first = found()
    now = time.monotonic()
    for minutes, status, same in ((56, 503, True), (57, 401, False), (61, 503, False)):
        later = now + 60 * minutes
        monkeypatch.setattr(githubapp.time, "monotonic", lambda later=later: later)
        app(hub).faults = [(status, None)] * forge_client.TRIES
        if same:
            assert found() == first
            continue
        with pytest.raises(CredentialsError) as fault:
            found()
        assert fault.value.temporary == (status == 503)


@pytest.mark.parametrize(
    ("own", "why", "hint"),
    [
        ({"installation": 1}, "HTTP status 404", "no such installation"),
        ({"name": "123456"}, "HTTP status 401", "the key one of this App's"),
    ],
)
def test_what_will_not_work_later_is_told_at_once(
    hub: Forge, tmp_path: Path, own: dict[str, object], why: str, hint: str
) -> None:
    with pytest.raises(CredentialsError, match=why) as fault:
        token(hub, tmp_path, **own)()
    assert not fault.value.temporary
    assert hint in str(fault.value)
    assert app(hub).asked == 1, "it was asked again"
    assert "eyJ" not in str(fault.value), "what was signed is told"


@pytest.mark.parametrize("answer", [(201, None), (201, {"token": ""}), (201, {"token": "x", "expires_at": "soon"}),
                                    (201, ["x"])])  # fmt: skip
def test_an_answer_without_a_token_is_told(hub: Forge, tmp_path: Path, answer: tuple[int, object]) -> None:
    app(hub).faults = [answer]
    with pytest.raises(CredentialsError, match="has no token"):
        token(hub, tmp_path)()


def test_a_key_that_is_none_of_the_apps_or_everybodys_is_told_by_its_name(hub: Forge, tmp_path: Path) -> None:
    key = app(hub).key
    wrong = pem(private_key(), tmp_path / "wrong.pem")
    with pytest.raises(CredentialsError, match="HTTP status 401"):
        token(hub, tmp_path, key=wrong)()
    (tmp_path / "text.pem").write_text("ghp_this is something else\n")
    (tmp_path / "text.pem").chmod(0o600)
    for path, why in (
        (pem(key, tmp_path / "open.pem", mode=0o644), "may be read by everybody"),
        (pem(key, tmp_path / "closed.pem", password=b"x"), "no RSA private key"),
        (pem(ec.generate_private_key(ec.SECP256R1()), tmp_path / "curve.pem"), "no RSA private key"),
        (tmp_path / "text.pem", "no RSA private key"),
        (tmp_path / "missing.pem", "cannot be read: FileNotFoundError"),
    ):
        count = app(hub).asked
        with pytest.raises(CredentialsError, match=why) as fault:
            token(hub, tmp_path, key=path)()
        assert path.name in str(fault.value)
        assert "ghp_" not in str(fault.value)
        assert app(hub).asked == count
    assert token(hub, tmp_path, key=pem(key, tmp_path / "group.pem", mode=0o440))(), "as a Secret's volume has it"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--github-app", NAME], "--github-installation and --github-key"),
        (["--github-app", "../x", "--github-installation", "1", "--github-key", "key"], "client id"),
        ([*WHOLE, "--token-file", "key"], "not both"),
        ([*WHOLE, "--github-api", "http://github.example.com/api/v3"], "https://"),
    ],
)  # fmt: skip
def test_half_an_app_is_none(options: list[str], why: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("t0ken\n")
    done = mrc("reconcile", "-e", "production", *options, "https://git.example.com/m.git", cwd=tmp_path)
    assert done.returncode == 2
    assert why in done.stderr
    assert "t0ken" not in done.stderr
