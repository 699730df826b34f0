"""Artifacts over a real HTTPS server that misbehaves the way servers, proxies and attackers do."""

import signal
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
import trustme

from fetch_helpers import (
    Server,
    broken_off,
    first,
    manifest,
    ranged,
    remote,
    start_fetch,
    status,
    tree,
    web_server,
    whole,
    write_manifest,
)
from mrc.fetch import FetchError, Problem, fetch_repository, verify

DATA = bytes(range(256)) * 4096  # 1 MiB
TOKEN = "s3cr3t-t0ken"
DELAYS = (0.01, 0.01)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path_factory.mktemp("authority") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))


@pytest.fixture
def server(authority: trustme.CA, trusted: None) -> Iterator[Server]:
    with web_server(authority) as running:
        yield running


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    monkeypatch.setenv("MRC_FETCH_TOKEN_FILE", str(path))
    return path


def one_file(folder: Path, uri: str) -> tuple[Path, Path]:
    path = write_manifest(folder / "mounted", manifest(remote("fraud/42/model.onnx", uri, DATA)))
    (folder / "volume").mkdir(exist_ok=True)
    return path, folder / "volume" / "repository"


def fetched(folder: Path, uri: str) -> Problem | None:
    """The problem with the one file at `uri`, or None when it has landed."""
    path, repository = one_file(folder, uri)
    try:
        fetch_repository(path, repository, lambda _: None, DELAYS)
    except FetchError as error:
        assert not repository.exists()
        (problem,) = error.problems
        return problem
    assert (repository / "fraud/42/model.onnx").read_bytes() == DATA
    return None


def refused(folder: Path, uri: str) -> Problem:
    problem = fetched(folder, uri)
    assert problem is not None
    return problem


def test_an_artifact_and_an_empty_one_land(server: Server, tmp_path: Path) -> None:
    server.routes["/model"] = whole(DATA)
    assert fetched(tmp_path, f"{server.url}/model") is None
    server.routes["/empty"] = whole(b"")
    path = write_manifest(tmp_path, manifest(remote("fraud/42/empty", f"{server.url}/empty", b"")))
    fetch_repository(path, tmp_path / "other", lambda _: None, DELAYS)
    assert (tmp_path / "other/fraud/42/empty").read_bytes() == b""


@pytest.mark.parametrize("busy", [408, 429, 500, 502, 503])
def test_a_server_that_is_busy_for_a_moment_does_not_fail_a_pod(server: Server, tmp_path: Path, busy: int) -> None:
    server.routes["/model"] = first(status(busy), whole(DATA))
    assert fetched(tmp_path, f"{server.url}/model") is None


def test_a_server_that_stays_broken_is_given_up_on(server: Server, tmp_path: Path) -> None:
    server.routes["/model"] = status(503)
    problem = refused(tmp_path, f"{server.url}/model")
    assert "HTTP status 503" in problem.found
    assert problem.temporary
    assert len(server.hits("/model")) == 1 + len(DELAYS)


@pytest.mark.parametrize("code", [400, 401, 403, 404, 410])
def test_what_will_not_change_is_asked_once(server: Server, tmp_path: Path, code: int) -> None:
    server.routes["/model"] = status(code)
    problem = refused(tmp_path, f"{server.url}/model")
    assert f"HTTP status {code}" in problem.found
    assert not problem.temporary
    assert len(server.hits("/model")) == 1


def test_a_broken_download_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    server.routes["/model"] = first(broken_off(DATA, 700_000), ranged(DATA))
    assert fetched(tmp_path, f"{server.url}/model") is None
    assert "Range" not in server.hits("/model")[0]
    assert 0 < int(server.hits("/model")[1]["Range"].removeprefix("bytes=").removesuffix("-")) <= 700_000


def test_a_server_without_ranges_is_asked_for_the_whole_again(server: Server, tmp_path: Path) -> None:
    server.routes["/model"] = first(broken_off(DATA, 700_000), whole(DATA))
    assert fetched(tmp_path, f"{server.url}/model") is None


def test_a_server_that_sends_another_range_is_refused(server: Server, tmp_path: Path) -> None:
    def other_part(handler: BaseHTTPRequestHandler, _: int) -> None:
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes 7-{len(DATA) - 1}/{len(DATA)}")
        handler.send_header("Content-Length", str(len(DATA) - 7))
        handler.end_headers()
        handler.wfile.write(DATA[7:])

    server.routes["/model"] = first(broken_off(DATA, 700_000), other_part)
    assert "another part" in refused(tmp_path, f"{server.url}/model").found


def test_a_long_download_may_break_more_often_than_a_short_one(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "ADVANCE", 150_000)  # bytes; 64 MiB would cost the tests too much time

    def some_more(handler: BaseHTTPRequestHandler, before: int) -> None:
        start = int(handler.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        handler.send_response(206 if start else 200)
        handler.send_header("Content-Range", f"bytes {start}-{len(DATA) - 1}/{len(DATA)}")
        handler.send_header("Content-Length", str(len(DATA) - start))
        handler.end_headers()
        handler.wfile.write(DATA[start : start + 200_000])

    server.routes["/model"] = some_more
    assert fetched(tmp_path, f"{server.url}/model") is None
    assert len(server.hits("/model")) > 1 + len(DELAYS)


def test_a_body_that_never_comes_whole_is_given_up_on(server: Server, tmp_path: Path) -> None:
    server.routes["/model"] = broken_off(DATA, 100_000)
    problem = refused(tmp_path, f"{server.url}/model")
    assert "RemoteProtocolError" in problem.found or "ReadError" in problem.found
    assert problem.temporary


def test_a_shorter_artifact_is_refused_at_once(server: Server, tmp_path: Path) -> None:
    server.routes["/model"] = whole(DATA[:-1])
    problem = refused(tmp_path, f"{server.url}/model")
    assert (problem.expected, problem.found) == (f"{len(DATA)} bytes", f"{len(DATA) - 1} bytes")
    assert len(server.hits("/model")) == 1


def test_a_body_without_end_is_cut_off(server: Server, tmp_path: Path) -> None:
    sent = []

    def endless(handler: BaseHTTPRequestHandler, _: int) -> None:
        handler.send_response(200)
        handler.end_headers()
        for _ in range(500):
            handler.wfile.write(DATA)
            sent.append(len(DATA))

    server.routes["/model"] = endless
    assert refused(tmp_path, f"{server.url}/model").found == f"more than {len(DATA)} bytes"
    assert len(sent) < 100


def test_a_redirect_is_followed_to_https(server: Server, tmp_path: Path) -> None:
    server.routes["/model"] = status(302, Location="/moved?signature=abc")
    server.routes["/moved?signature=abc"] = whole(DATA)
    assert fetched(tmp_path, f"{server.url}/model") is None


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("http://127.0.0.1/model?signature=hunter2", "http://127.0.0.1/model?..."),
        ("file:///etc/passwd", "file:///etc/passwd"),
        ("https://user:hunter2@127.0.0.1/", "https://127.0.0.1/"),
        ("", "leads nowhere"),
    ],
)
def test_a_redirect_to_anything_else_is_refused(server: Server, tmp_path: Path, location: str, shown: str) -> None:
    server.routes["/model"] = status(302, Location=location)
    problem = refused(tmp_path, f"{server.url}/model")
    assert shown in problem.found
    assert "hunter2" not in str(problem)
    assert not problem.temporary


def test_redirects_in_a_circle_end(server: Server, tmp_path: Path) -> None:
    server.routes["/model"] = status(307, Location="/model")
    assert "redirects" in refused(tmp_path, f"{server.url}/model").found


def test_a_token_goes_to_the_named_host_and_to_no_other(
    server: Server, authority: trustme.CA, tmp_path: Path, token: Path
) -> None:
    with web_server(authority) as other:
        server.routes["/model"] = status(302, Location=f"{other.url}/blob")
        other.routes["/blob"] = whole(DATA)
        assert fetched(tmp_path, f"{server.url}/model") is None
        assert server.hits("/model")[0]["Authorization"] == f"Bearer {TOKEN}"
        assert "Authorization" not in other.hits("/blob")[0]


@pytest.mark.parametrize("content", ["", "two words", f"{TOKEN}\r\nX-Injected: 1", "\x00", None])
def test_a_token_that_cannot_be_one_is_refused_and_not_shown(
    server: Server, tmp_path: Path, token: Path, content: str | None
) -> None:
    token.unlink() if content is None else token.write_text(content)
    problem = refused(tmp_path, f"{server.url}/model")
    assert "MRC_FETCH_TOKEN_FILE" in problem.found
    assert TOKEN not in str(problem)
    assert server.requests == []


def test_no_secret_reaches_the_log(server: Server, tmp_path: Path, token: Path) -> None:
    path, repository = one_file(tmp_path, f"{server.url}/absent?X-Signature=hunter2")
    process = start_fetch(path, repository)
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 1
    assert f"{server.url}/absent?..." in stderr
    assert "hunter2" not in stdout + stderr
    assert TOKEN not in stdout + stderr


def test_a_server_that_nobody_vouches_for_is_refused(tmp_path: Path, trusted: None) -> None:
    with web_server(trustme.CA()) as stranger:
        stranger.routes["/model"] = whole(DATA)
        problem = refused(tmp_path, f"{stranger.url}/model")
    assert "certificate verify failed" in problem.found
    assert "SSL_CERT_FILE" in problem.action
    assert not problem.temporary


def test_a_server_that_is_down_is_told(server: Server, tmp_path: Path) -> None:
    problem = refused(tmp_path, "https://127.0.0.1:1/model")
    assert "ConnectError" in problem.found
    assert problem.temporary


def test_a_proxy_that_cannot_be_read_is_told_without_its_password(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "gopher://user:hunter2@proxy:1")
    problem = refused(tmp_path, f"{server.url}/model")
    assert "proxy" in problem.found
    assert "hunter2" not in str(problem)


class Stall:
    """Sends half, tells so, and waits: what a kill in the middle needs."""

    def __init__(self) -> None:
        self.half_sent, self.go_on = threading.Event(), threading.Event()

    def __call__(self, handler: BaseHTTPRequestHandler, _: int) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(DATA)))
        handler.end_headers()
        handler.wfile.write(DATA[: len(DATA) // 2])
        self.half_sent.set()
        self.go_on.wait(600)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_pod_killed_in_the_middle_starts_clean_the_next_time(
    server: Server, tmp_path: Path, how: signal.Signals
) -> None:
    stall = Stall()
    server.routes["/model"] = first(stall, whole(DATA))
    path, repository = one_file(tmp_path, f"{server.url}/model")
    process = start_fetch(path, repository)
    assert stall.half_sent.wait(120)
    partial = repository.with_name(".repository.partial") / "fraud/42/model.onnx"
    while not partial.exists():
        time.sleep(0.01)
    process.send_signal(how)
    process.communicate(timeout=120)
    stall.go_on.set()
    assert process.returncode in (-signal.SIGKILL, 128 + how)
    assert not repository.exists()
    again = start_fetch(path, repository)
    again.communicate(timeout=120)
    assert again.returncode == 0
    assert set(tree(repository.parent)) == {
        ".repository.lock",
        "repository",
        "repository/fraud",
        "repository/fraud/42",
        "repository/fraud/42/model.onnx",
    }


def test_a_second_run_at_the_same_time_is_turned_away_and_does_no_harm(server: Server, tmp_path: Path) -> None:
    stall = Stall()
    server.routes["/model"] = first(stall, ranged(DATA))
    path, repository = one_file(tmp_path, f"{server.url}/model")
    process = start_fetch(path, repository)
    assert stall.half_sent.wait(120)
    second = start_fetch(path, repository)
    assert "another mrc fetch" in second.communicate(timeout=120)[1]
    assert second.returncode == 1
    stall.go_on.set()  # hangs up; the first run goes on with a range
    process.communicate(timeout=120)
    assert process.returncode == 0
    assert (repository / "fraud/42/model.onnx").read_bytes() == DATA
