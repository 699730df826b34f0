"""How the reconciler reaches its remote: by keys and hosts that it knows, patient with what is slow, and discreet."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from conftest import mrc
from mrc.reconcile.credentials import CredentialsError, askpass, from_file
from mrc.reconcile.git import Git, GitError
from mrc.reconcile.ledger import Identity, Ledger
from mrc.reconcile.transport import AddressError, transport
from reconciling import BEGIN, TOKEN, git
from reconciling.remotes import Http, http, keygen, ssh


def bare(folder: Path, *, size: int = 10) -> Path:
    """A remote with one commit, with a file that cannot be compressed."""
    remote, tree = folder / "remote.git", folder / "tree"
    git("init", "-q", "--bare", "-b", "main", remote, cwd=folder)
    git("init", "-q", "-b", "main", tree, cwd=folder)
    (tree / "weights").write_bytes(os.urandom(size))
    git("add", ".", cwd=tree)
    git("commit", "-q", "-m", "Begin", cwd=tree)
    git("push", "-q", remote, "main", cwd=tree)
    return remote


def by_http(folder: Path, server: Http, *, token: str = TOKEN, idle: float = 60.0) -> Ledger:
    (folder / "token").write_text(f"{token}\n")
    credentials = askpass(folder, from_file(folder / "token"))
    return Ledger(Git(folder / "state", credentials, transport(server.url)), server.url, "main", Identity(),
                  seconds=idle)  # fmt: skip


def pushed(ledger: Ledger, text: bytes = b"hello\n") -> str:
    commit = ledger.commit(ledger.fetch(), {"README.md": text}, "Say hello", BEGIN)
    assert commit is not None
    done = ledger.push(commit)
    assert done.state == "done", done
    return commit


def test_a_commit_goes_by_ssh_to_a_host_that_is_known_and_is_signed(tmp_path: Path) -> None:
    signing = keygen(tmp_path / "signing")
    with ssh(bare(tmp_path), tmp_path) as server:
        way = transport(server.url, server.key, server.known_hosts)
        ledger = Ledger(
            Git(tmp_path / "state", way=way), server.url, "main", Identity("mrc", "mrc@example.com", signing)
        )
        assert ledger.may_push().state == "done"
        commit = pushed(ledger)
        assert ledger.signed(commit)
        for other in (None, server.key):  # nobody's signature, and somebody else's
            ledger.identity = Identity("mrc", "mrc@example.com", other)
            forged = ledger.commit(commit, {"README.md": b"forged\n"}, "Say hello", BEGIN)
            ledger.identity = Identity("mrc", "mrc@example.com", signing)
            assert forged is not None
            assert not ledger.signed(forged)
        # Somebody else answers at the same place.
        (tmp_path / "others").write_text(f"[127.0.0.1]:1 {(tmp_path / 'signing.pub').read_text()}")
        stranger = Ledger(Git(tmp_path / "other", way=transport(server.url, server.key, tmp_path / "others")),
                          server.url, "main", Identity())  # fmt: skip
        with pytest.raises(GitError, match="Host key verification failed"):
            stranger.fetch()
        # A key that the host does not know.
        wrong = transport(server.url, signing, server.known_hosts)
        with pytest.raises(GitError, match="Permission denied"):
            Ledger(Git(tmp_path / "third", way=wrong), server.url, "main", Identity()).fetch()
        allowed = tmp_path / "allowed"
        allowed.write_text(f"mrc@example.com {(tmp_path / 'signing.pub').read_text()}")
        own = {"gpg.format": "ssh", "gpg.ssh.allowedSignersFile": allowed, "safe.directory": server.remote}
        options = [part for name, value in own.items() for part in ("-c", f"{name}={value}")]
        said = subprocess.run(
            ["git", *options, "verify-commit", commit], cwd=server.remote, capture_output=True, text=True, check=False
        )
    assert said.returncode == 0, said.stderr
    assert 'Good "git" signature for mrc@example.com' in said.stderr


def test_a_commit_goes_by_http_with_a_token_that_nobody_is_told(tmp_path: Path) -> None:
    with http(bare(tmp_path)) as server:
        ledger = by_http(tmp_path, server)
        commit = pushed(ledger)
        assert git("rev-parse", "main", cwd=server.remote) == commit
        assert set(server.users) == {"x-access-token"}
        # A token that was exchanged is read again.
        server.token = "an0ther"
        with pytest.raises(GitError) as fault:
            ledger.fetch()
        assert TOKEN not in str(fault.value)
        (tmp_path / "token").write_text("an0ther\n")
        pushed(ledger, b"hello again\n")
    kept = [path for path in (tmp_path / "state").rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]
    assert kept == []


HOOKS = {
    "takes everything": ("update", "exit 0", "done"),
    "guards the branch": ("update", "[ $1 != refs/heads/main ]", "refused"),
    "declines all that changes the branch": (
        "pre-receive", "! grep -q refs/heads/main$ || { echo main is protected >&2; exit 1; }", "refused"),
    "wants it signed": ("pre-receive",
        "while read _ new _; do for one in $(git rev-list $new --not --all); do "
        "git cat-file commit $one | grep -q ^gpgsig || exit 1; done; done", "refused"),
    "lets nobody make branches": ("pre-receive", "! grep -q ^0000000", "unreachable"),
    "knows no atomic push": ("", "receive.advertiseAtomic false", "unreachable"),
}  # fmt: skip


@pytest.mark.parametrize("what", HOOKS)
def test_what_the_branch_would_refuse_is_found_without_a_push(tmp_path: Path, what: str) -> None:
    kind, does, expected = HOOKS[what]
    with http(bare(tmp_path)) as server:
        if kind:
            hook = server.remote / "hooks" / kind
            hook.write_text(f"#!/bin/sh\n{does}\n")
            hook.chmod(0o755)
        else:
            git("config", *does.split(), cwd=server.remote)
        before = git("for-each-ref", cwd=server.remote)
        found = by_http(tmp_path, server).would_take(BEGIN)
        assert found.state == expected, found
        if kind == "pre-receive" and "protected" in does:
            assert "main is protected" in found.text
        assert git("for-each-ref", cwd=server.remote) == before


def test_a_token_follows_no_redirect(tmp_path: Path) -> None:
    with http(bare(tmp_path)) as there, http(there.remote) as server:
        server.redirect = f"http://127.0.0.1:{there.port}"
        with pytest.raises(GitError):
            by_http(tmp_path, server).fetch()
        assert there.users == []


def test_a_slow_remote_has_all_the_time_and_a_silent_one_has_not(tmp_path: Path) -> None:
    with http(bare(tmp_path, size=200_000)) as server:
        server.piece, server.pause = 8_000, 0.25
        begin = time.monotonic()
        by_http(tmp_path, server, idle=5).fetch()
        assert time.monotonic() - begin > 5, "it was not slow at all"

        server.dead = True
        again = Ledger(Git(tmp_path / "other", askpass(tmp_path, lambda: TOKEN), transport(server.url)), server.url,
                       "main", Identity(), seconds=5)  # fmt: skip
        begin = time.monotonic()
        with pytest.raises(GitError, match="said nothing for 5 s") as fault:
            again.fetch()
        assert fault.value.status is None
        assert time.monotonic() - begin < 120

        # It answers again. The git that was stopped has left its locks, which it alone takes off.
        server.dead, server.pause = False, 0.0
        assert again.fetch() == git("rev-parse", "main", cwd=server.remote)


@pytest.mark.parametrize("left", ["shallow.lock", "refs/remotes/origin/main", "HEAD"])
def test_what_a_killed_process_left_in_its_folder_is_not_in_the_way(tmp_path: Path, left: str) -> None:
    """A container that is started again finds its volume as it was."""
    remote = bare(tmp_path)
    first = Ledger(Git(tmp_path / "state"), str(remote), "main", Identity())
    tip = first.fetch()
    (tmp_path / "state" / left).write_bytes(b"")
    assert Ledger(Git(tmp_path / "state"), str(remote), "main", Identity()).fetch() == tip


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://git.example.com/models.git", "in the clear"),
        ("http://127.0.0.1.example.com/models.git", "in the clear"),
        ("https://mrc:t0ken@git.example.com/models.git", "--token-file"),
        ("https://t0ken@git.example.com/models.git", "--token-file"),
        ("https://git.example.com/models.git?private_token=t0ken", "--token-file"),
        ("ext::sh -c touch% /tmp/x", "remote helper"),
        ("git://git.example.com/models.git", "not by git"),
        ("--upload-pack=touch /tmp/x", "no address"),
        ("https://git.example.com/\nmodels.git", "no address"),
    ],
)
def test_a_remote_that_would_give_something_away_is_refused(url: str, why: str, tmp_path: Path) -> None:
    done = mrc("reconcile", "-e", "production", "--", url, cwd=tmp_path)
    assert done.returncode == 2
    assert why in done.stderr
    assert "t0ken" not in done.stderr
    with pytest.raises(AddressError):
        transport(url)


@pytest.mark.parametrize(
    "url", ["https://git.example.com/m.git", "ssh://git@git.example.com/m.git", "git@example.com:m.git", "/srv/m.git"]
)
def test_http_is_for_this_machine_alone(url: str) -> None:
    assert transport(url).protocols == "file:https:ssh"
    assert transport("http://127.0.0.1:8080/m.git").protocols == "file:https:ssh:http"


def test_a_file_that_has_no_token_is_told_without_what_it_has(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("two words\n")
    with pytest.raises(CredentialsError, match="no token") as fault:
        from_file(tmp_path / "token")()
    assert "two" not in str(fault.value)
