"""A manifest is hostile until it is parsed: a bad one must be refused clearly, whatever is in it."""

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples import examples
from fetch_helpers import manifest, remote, rendered
from mrc.fetch import InvalidUseError, Manifest, parse_manifest
from mrc.fetch.layout import lay_out
from mrc.fetch.manifest import MAX_MANIFEST

FILE = remote("fraud/42/model.onnx", "s3://models/fraud/42/model.onnx", b"weights")
CONFIG = rendered("fraud/config.pbtxt", "fraud.config.pbtxt", b"name: 'fraud'")
GOOD = manifest(FILE, configs=[CONFIG], directories=["ensemble/42"])


def parse(content: Any) -> Manifest:
    return parse_manifest(json.dumps(content).encode())


def refusal(content: Any) -> str:
    with pytest.raises(InvalidUseError) as caught:
        parse(content)
    return str(caught.value)


def test_what_the_renderer_writes_is_read() -> None:
    parsed = parse(GOOD)
    assert parsed.version == 42
    assert parsed.files[0].uri == "s3://models/fraud/42/model.onnx"
    assert parsed.configs[0].source == "fraud.config.pbtxt"
    assert parsed.directories == ("ensemble/42",)


@pytest.mark.parametrize(
    "path",
    [
        "../fraud/42/model.onnx",
        "fraud/../../etc/passwd",
        "/etc/passwd",
        "fraud//42",
        "fraud/42/",
        "fraud/.hidden/x",
        "fraud/42/..data",
        "fraud/42/a\\b",
        "fraud/42/a\n",
        "fraud/42/\x00",
        "fraud/42/ä",
        "model.onnx",
        "",
        "fraud/" + "x" * 256,
        "fraud/" + "x/" * 600 + "x",
        "fraud/44-tmp/model.onnx",  # Triton reads it as version 44
        "fraud/042/model.onnx",
        "fraud/43",  # a file where a version would be
    ],
)
def test_a_path_that_leaves_the_repository_or_that_triton_misreads_is_refused(path: str) -> None:
    message = refusal(manifest(FILE | {"path": path}))
    assert "files[0].path" in message
    assert "expected:" in message


@pytest.mark.parametrize(
    "uri",
    [
        "http://host/model.onnx",
        "ftp://host/model.onnx",
        "s3://bucket",
        "s3:///key",
        "s3://bucket/key?versionId=1",
        "https:///path",
        "https://host:port/path",
        "https://[::1/path",
        "file://host/path",
        "file:relative",
        "file:///a%00b",
        "https://host/a b",
        "https://host/a\nb",
        "https://user:hunter2@host/path",
        "/etc/passwd",
        "",
    ],
)
def test_an_address_that_is_not_whole_or_not_safe_is_refused(uri: str) -> None:
    message = refusal(manifest(FILE | {"uri": uri}))
    assert "files[0].uri" in message
    assert "hunter2" not in message


@pytest.mark.parametrize(
    "changed",
    [
        {"size": -1},
        {"size": 2**41},
        {"size": "7"},
        {"size": 7.5},
        {"size": True},
        {"size": 10**100},
        {"sha256": "abc"},
        {"sha256": "A" * 64},
        {"sha256": "0" * 64 + "\n"},
        {"sha256": None},
    ],
)
def test_a_size_or_digest_out_of_shape_is_refused(changed: dict[str, Any]) -> None:
    assert f"files[0].{next(iter(changed))}" in refusal(manifest(FILE | changed))


def test_a_number_of_five_thousand_digits_is_refused() -> None:
    data = json.dumps(manifest(FILE)).replace('"size": 7', '"size": 1' + "0" * 5000)
    with pytest.raises(InvalidUseError, match="out of range"):
        parse_manifest(data.encode())


def test_a_misspelt_key_is_named_and_a_secret_in_it_is_not_shown() -> None:
    message = refusal(manifest(FILE | {"pasword": "hunter2"}))
    assert "files[0].pasword" in message
    assert "hunter2" not in message


def test_a_config_comes_from_beside_the_manifest_only() -> None:
    assert "configs[0].from" in refusal(manifest(configs=[CONFIG | {"from": "../secret"}]))


@pytest.mark.parametrize(
    ("paths", "directories"),
    [
        (["fraud/42/a", "fraud/42/a"], []),
        (["fraud/42/a", "fraud/42/a/b"], []),
        (["fraud/42/a", "fraud/42/a-b", "fraud/42/a/b"], []),  # not neighbours when sorted as text
        (["fraud/42/a"], ["fraud/42"]),
    ],
)
def test_two_entries_for_one_place_are_refused(paths: list[str], directories: list[str]) -> None:
    files = [FILE | {"path": path} for path in paths]
    assert "stands beside" in refusal(manifest(*files, directories=directories))


def test_a_key_written_twice_is_refused() -> None:
    text = json.dumps(GOOD).replace('"version": 42', '"version": 41, "version": 42')
    with pytest.raises(InvalidUseError, match="written twice"):
        parse_manifest(text.encode())


def test_all_problems_are_told_at_once() -> None:
    message = refusal(manifest(FILE | {"size": -1}, FILE | {"path": "../x", "sha256": "0"}))
    assert message.count("error:") == 3


def test_a_manifest_larger_than_a_configmap_is_not_even_parsed() -> None:
    with pytest.raises(InvalidUseError, match="at most 1048576 bytes"):
        parse_manifest(b" " * (MAX_MANIFEST + 1))


def test_a_thousand_problems_do_not_fill_the_log() -> None:
    message = refusal(manifest(*[{"path": "x"}] * 1000))
    assert len(message.splitlines()) < 300
    assert "more" in message.splitlines()[-1]


def test_versions_are_placed_before_the_configurations_that_name_them() -> None:
    labels = FILE | {"path": "fraud/labels.txt"}
    layout = lay_out(parse(manifest(FILE, labels, configs=[CONFIG], directories=["ensemble/42"])))
    assert set(layout.trees) == {"fraud/42", "ensemble/42"}
    assert layout.loose == ("fraud/labels.txt", "fraud/config.pbtxt")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
KEYS = st.sampled_from(["model", "version", "files", "configs", "directories"])
ENTRY = st.sampled_from(["path", "uri", "from", "size", "sha256"])


@settings(max_examples=examples(200))
@given(
    st.binary()
    | VALUES.map(lambda value: json.dumps(value).encode())
    | st.builds(lambda key, value: json.dumps(GOOD | {key: value}).encode(), KEYS, VALUES)
    | st.builds(lambda key, value: json.dumps(manifest(FILE | {key: value})).encode(), ENTRY, VALUES)
    | st.builds(lambda uri: json.dumps(manifest(FILE | {"uri": "https://" + uri})).encode(), st.text())
)
def test_whatever_is_mounted_is_parsed_or_refused_clearly(data: bytes) -> None:
    try:
        message = "to do: " + parse_manifest(data).model
    except InvalidUseError as error:
        message = str(error)
    assert "to do:" in message
    assert message.replace("\n", "").isprintable()


def test_nesting_without_end_is_refused() -> None:
    for data in (b"[" * 500_000, b'{"model": ' * 100_000, b'{"model":' + b"[" * 5000 + b"]" * 5000 + b"}"):
        with pytest.raises(InvalidUseError):
            parse_manifest(data)


def test_a_pod_does_not_pay_for_what_it_does_not_use() -> None:
    code = (
        "import sys, mrc.cli.fetch, mrc.fetch; "
        "print([name for name in ('httpx', 'boto3', 'git', 'ruamel', 'jinja2') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
