"""Artifacts over the S3 API, spoken to a real server of it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
import trustme
from moto.server import ThreadedMotoServer

from fetch_helpers import broken_off, first, manifest, ranged, remote, status, web_server, write_manifest
from mrc.fetch import FetchError, Problem, RemoteFile, Sources, fetch_repository, verify_artifact

DATA = b"0123456789" * 300_000  # several chunks


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(autouse=True)
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    client = boto3.session.Session().client("s3")
    if "models" not in [found["Name"] for found in client.list_buckets()["Buckets"]]:
        region = {"LocationConstraint": "eu-central-1"}
        client.create_bucket(Bucket="models", CreateBucketConfiguration=region)
    client.put_object(Bucket="models", Key="fraud/42/model.onnx", Body=DATA)


def file(key: str = "fraud/42/model.onnx", data: bytes = DATA) -> RemoteFile:
    return RemoteFile(**remote("fraud/42/model.onnx", f"s3://models/{key}", data))


def problem_with(wanted: RemoteFile) -> Problem:
    with Sources() as sources:
        problem = verify_artifact(wanted, sources, (0.01, 0.01))
    assert problem is not None
    assert "hunter2" not in str(problem)
    return problem


def test_artifacts_land_from_a_bucket(tmp_path: Path) -> None:
    files = [remote(f"fraud/42/part{n}", "s3://models/fraud/42/model.onnx", DATA) for n in range(6)]
    path = write_manifest(tmp_path / "mounted", manifest(*files))
    fetch_repository(path, tmp_path / "repository", lambda _: None)
    for n in range(6):
        assert (tmp_path / f"repository/fraud/42/part{n}").read_bytes() == DATA


def test_an_overwritten_object_is_refused(tmp_path: Path) -> None:
    path = write_manifest(tmp_path / "mounted", manifest(file(data=DATA[::-1]).model_dump()))
    with pytest.raises(FetchError, match="found:    sha256"):
        fetch_repository(path, tmp_path / "repository", lambda _: None)
    assert problem_with(file(data=DATA + b"x")).found == f"{len(DATA)} bytes"


def test_an_object_can_be_read_from_the_middle() -> None:
    with Sources() as sources, sources.opener(file().uri)(2_000_000) as body:
        assert body.offset == 2_000_000
        assert body.length == len(DATA) - 2_000_000
        assert b"".join(body.chunks) == DATA[2_000_000:]


def test_a_missing_object_or_bucket_is_told_as_such() -> None:
    missing = problem_with(file("gone"))
    assert "404 NoSuchKey" in missing.found
    assert not missing.temporary
    other = file().model_copy(update={"uri": "s3://no-such-bucket/key"})
    assert "404 NoSuchBucket" in problem_with(other).found


def test_a_store_that_is_down_is_a_temporary_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://user:hunter2@127.0.0.1:1")
    problem = problem_with(file())
    assert problem.found == "EndpointConnectionError"
    assert problem.temporary


def test_a_store_that_is_busy_and_then_breaks_off_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with web_server() as store, Sources() as sources:
        monkeypatch.setenv("AWS_ENDPOINT_URL", store.url)
        store.routes["/models/fraud/42/model.onnx"] = first(status(503), broken_off(DATA, 2_000_000), ranged(DATA))
        assert verify_artifact(file(), sources, (0.01, 0.01)) is None


@pytest.mark.parametrize(("code", "words"), [(403, "s3:GetObject"), (400, "check the bucket")])
def test_a_refusal_is_asked_once(monkeypatch: pytest.MonkeyPatch, code: int, words: str) -> None:
    with web_server() as store:
        monkeypatch.setenv("AWS_ENDPOINT_URL", store.url)
        store.routes["/models/fraud/42/model.onnx"] = status(code)
        problem = problem_with(file())
    assert words in problem.action
    assert not problem.temporary
    assert len(store.requests) == 1


def test_a_store_that_nobody_vouches_for_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with web_server(trustme.CA()) as stranger:
        monkeypatch.setenv("AWS_ENDPOINT_URL", stranger.url)
        problem = problem_with(file())
    assert "AWS_CA_BUNDLE" in problem.action
    assert not problem.temporary


def test_missing_credentials_are_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    problem = problem_with(file())
    assert "credentials" in problem.action
    assert not problem.temporary


def test_a_bucket_name_or_profile_that_cannot_be_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not problem_with(file().model_copy(update={"uri": "s3://no_such_bucket!/key"})).temporary
    monkeypatch.setenv("AWS_PROFILE", "absent")
    assert problem_with(file()).found == "ProfileNotFound"


def test_without_boto3_the_extra_is_named(tmp_path: Path) -> None:
    path = write_manifest(tmp_path / "mounted", manifest(remote("a/1/x", "s3://models/x", b"x")))
    code = "import sys; sys.modules['boto3'] = None; from mrc.cli.fetch import fetch; fetch()"
    arguments = [sys.executable, "-c", code, str(path), "--to", str(tmp_path / "repository")]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "mrc[s3]" in done.stderr
    assert "Traceback" not in done.stderr
