"""What an editor says of a document while it is written: the same as mrc, wherever JSON Schema can say it."""

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from typing import Any, ClassVar

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from conftest import TOP
from mrc.init import files
from mrc.parse import parse
from mrc.read import Document, Path, read
from mrc.schema import KINDS
from mrc.schema.jsonschema import json_schema


class CoreLoader(yaml.SafeLoader):
    """YAML 1.2's core schema, as editors load it: `no` is text, an instant is text, 1.10 is a number."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}


for tag, pattern, first in (
    ("null", r"~|null|Null|NULL|", [*"~nN", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", [*"tTfF"]),
    ("int", r"[-+]?[0-9]+", [*"-+0123456789"]),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", [*"-+.0123456789"]),
):
    CoreLoader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(rf"(?:{pattern})$"), first)
CoreLoader.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(node.value))
CoreLoader.add_constructor("tag:yaml.org,2002:float", lambda loader, node: float(node.value))


@cache
def validator(kind: str) -> jsonschema.protocols.Validator:
    schema = json.loads(json_schema(kind))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


HOLD = """
apiVersion: mrc.dev/v1alpha1
kind: Hold
metadata: {environment: production, model: sentiment}
spec:
  serve: {version: 12, fallback: 11}
  by: mrc
  at: 2026-10-04T09:12:02Z
  reason: two rollbacks within a day
  cleared: {by: ana@example.com, at: 2026-10-05T10:00:00Z, reason: 14 fixes the scaler}
"""
INCIDENT = """
apiVersion: mrc.dev/v1alpha1
kind: Incident
metadata: {environment: production, model: sentiment, id: 20261004-091200-1f0c33aa}
spec:
  cause:
    kind: analysis
    id: analysisrun/6dd3fd1c-3b69-4d52-8a2e-1f1ab9dcb3f4
    version: 13
    message: the analysis failed
    evidence: [{guardrail: errors, found: "Failed, 3 of 3 measurements"}]
  action: rollback
  verdict: rejected
  before: {version: 13, fallback: 12}
  after: {version: 12, fallback: 11}
  held: false
  reasons: [{gate: cooldown, passed: true, saw: no rollback before}]
  times: {onset: 2026-10-04T09:12:00Z, detected: 2026-10-04T09:12:01Z, decided: 2026-10-04T09:12:01Z}
  outcome: {state: recovered, at: 2026-10-04T09:14:00Z, message: version 12 has all traffic}
"""


def documents() -> Iterator[tuple[str, bytes]]:
    """The documents of the example fleet and of a fresh repository, by path."""
    for file in [TOP / "mrc.yaml", *(TOP / "environments").glob("*.yaml"), *(TOP / "policies").rglob("*.yaml")]:
        yield file.relative_to(TOP).as_posix(), file.read_bytes()
    for path, data in files().items():
        if path.endswith(".yaml") and b"\nkind: " in data:
            yield f"init/{path}", data
    # What the reconciler writes is in no fresh repository.
    yield "holds/production/sentiment.yaml", HOLD.encode()
    yield "incidents/production/sentiment/20261004-091200-1f0c33aa.yaml", INCIDENT.encode()


DOCUMENTS = dict(sorted(documents()))


@pytest.mark.parametrize("path", DOCUMENTS)
def test_an_editor_finds_nothing_wrong(path: str) -> None:
    data = yaml.load(DOCUMENTS[path], CoreLoader)
    assert [error.message for error in validator(data["kind"]).iter_errors(data)] == []


def one_of_each_kind() -> dict[str, str]:
    """The path of the largest document of each kind."""
    by_size = sorted(DOCUMENTS, key=lambda path: len(DOCUMENTS[path]))
    return {yaml.load(DOCUMENTS[path], CoreLoader)["kind"]: path for path in by_size}


def places(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every value in the document with its path, but for what is Triton's own."""
    yield path, value
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in entries:
        if step != "config":
            yield from places(inner, (*path, step))


def changed(data: Any, path: Path, value: Any) -> Any:
    """A copy of the document with another value at the path."""
    if not path:
        return value
    copy = deepcopy(data)
    holder = copy
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    return copy


def mrc_refuses(document: Document, data: Any) -> bool:
    return isinstance(parse(Document(document.file, document.text, data), str(data["kind"])), list)


def editor_refuses(data: Any) -> bool:
    return not validator(data["kind"]).is_valid(data)


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_key_and_a_wrong_type_are_refused_while_one_types(kind: str) -> None:
    path = one_of_each_kind()[kind]
    document, typed = read(path, DOCUMENTS[path]), yaml.load(DOCUMENTS[path], CoreLoader)
    assert isinstance(document, Document)
    differ = []
    wrong: list[Any] = [{"unknownKey": "1"}, [["1"]], True, "not a value\nof anything"]
    for place, value in list(places(document.data)):
        for other in ([{**value, "unknownKey": "1"}] if isinstance(value, dict) else []) + wrong:
            if place in ((), ("kind",)) and other in wrong:
                continue
            refused = mrc_refuses(document, changed(document.data, place, other))
            said = editor_refuses(changed(typed, place, other))
            if said != refused:
                differ.append((place, other, "the editor refuses it" if said else "mrc refuses it"))
    assert differ == []


@given(st.sampled_from(sorted(one_of_each_kind().items())), st.data())
def test_an_editor_is_never_stricter_than_mrc(chosen: tuple[str, str], data: st.DataObject) -> None:
    """A document that mrc takes must not be red: people would write around the editor, then turn it off."""
    _, path = chosen
    document, typed = read(path, DOCUMENTS[path]), yaml.load(DOCUMENTS[path], CoreLoader)
    assert isinstance(document, Document)
    scalars = [place for place, value in places(document.data) if not isinstance(value, dict | list)]
    place = data.draw(st.sampled_from([place for place in scalars if place != ("kind",)]))
    text = data.draw(
        st.from_regex(
            r"[0-9a-z.%+/-]{1,8}|[0-9]{1,3}(\.[0-9]{1,2})?(e[0-9]{1,2}|%|m?s|m|h|d|/s|[KMG]i)?", fullmatch=True
        )
        | st.sampled_from(["1.10", "no", "12e45", "0", "2026-10-04T09:12:00Z", "5%", "0.1", "a", "true", "null"])
    )
    line = read("scalar.yaml", f"value: {text}".encode())
    if isinstance(line, Document):
        value = yaml.load(f"value: {text}", CoreLoader)["value"]
        if not mrc_refuses(document, changed(document.data, place, line.data["value"])):
            assert not editor_refuses(changed(typed, place, value)), (place, text)
