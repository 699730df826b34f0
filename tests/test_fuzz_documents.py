"""Whatever stands in a document, mrc says what is wrong with it, at its place; it never fails itself."""

import copy
import json
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from examples import examples
from mrc.compile import analyse, artifacts
from mrc.diagnostics import Diagnostic
from mrc.read import Document, read
from mrc.schema import units
from mrc.tree import MemoryTree

COMMON = Path(__file__).parent / "cases/common"
NOW = datetime(2026, 11, 1, tzinfo=UTC)

# --- bytes to documents ---

_TOKENS = ["[", "]", "{", "}", ":", ": ", ",", "-", "- ", "?", "? ", "&a", "*a", "!", "!!str ", "|", "|-\n", ">", "'",
           '"', "#", " #", "%", "@", "`", "\n", "\n  ", "\n    ", " ", "\t", "a", "b", "a: ", "<<", "~", "true",
           "---\n", "...\n", "\\", "\0", "\x85", "\u2028", "\ufeff", "é", "\U0001f600", "\r\n", "\r"]  # fmt: skip
YAMLISH = st.lists(st.sampled_from(_TOKENS), max_size=40).map("".join)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
DATA = st.recursive(
    st.one_of(TEXT, st.booleans(), st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXT, inner, max_size=4)),
    max_leaves=12,
)
MAPPING = st.dictionaries(TEXT.filter(lambda key: key != "<<"), DATA, max_size=4)


def judged(data: bytes) -> Document | Diagnostic:
    """The document, or a finding within the text."""
    found = read("a.yaml", data)
    lines = data.count(b"\n") + data.count(b"\r") + data.count(b"\xc2\x85") + data.count(b"\xe2\x80") + 2
    if isinstance(found, Diagnostic):
        assert found.message
        assert found.hint
        assert 0 <= found.line <= lines
    else:
        for path in paths(found.data):
            line, column = found.position(path)
            assert 1 <= line <= lines
            assert column >= 1
    return found


def paths(data: Any, above: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The path of everything in the data, itself first."""
    entries = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else []
    return [above, *(path for key, value in entries for path in paths(value, (*above, key)))]


@given(st.binary(max_size=300))
def test_any_bytes_are_a_document_or_a_finding(data: bytes) -> None:
    judged(data)


@given(st.one_of(YAMLISH, YAMLISH.map("a: ".__add__)), st.sampled_from(["utf-8", "utf-16", "utf-8-sig", "latin-1"]))
def test_what_looks_like_yaml_is_read_as_pyyaml_does_or_refused(text: str, encoding: str) -> None:
    found = judged(text.encode(encoding, errors="replace"))
    if isinstance(found, Document):
        assert yaml.load(found.text, yaml.CBaseLoader) == as_text(found.data)


def as_text(data: Any) -> Any:
    """As a loader has it that types nothing; mrc types null, true and false alone."""
    if isinstance(data, dict):
        return {key: as_text(value) for key, value in data.items()}
    if isinstance(data, list):
        return [as_text(value) for value in data]
    return Constant(data) if not isinstance(data, str) else data


class Constant:
    """Equal to any way of writing it."""

    def __init__(self, value: object) -> None:
        self.ways = {None: ("null", "~", ""), True: ("true",), False: ("false",)}[value]  # type: ignore[index]

    def __eq__(self, other: object) -> bool:
        return other in self.ways

    __hash__ = None  # type: ignore[assignment]


@example({"<<": "no merge key, where it is quoted"})
@given(MAPPING)
def test_data_comes_back_out_of_what_others_write(data: dict[str, Any]) -> None:
    dumped = yaml.dump(data, Dumper=yaml.CSafeDumper, allow_unicode=True)
    if "&id" not in dumped:
        found = judged(dumped.encode())
        assert isinstance(found, Document) or "makes editors show something else" in found.message
        assert not isinstance(found, Document) or found.data == data
    # JSON is YAML, but for what YAML does not allow to stand in a text, and for keys too long for one line.
    found = judged(json.dumps(data).encode())
    if isinstance(found, Document):
        assert found.data == data


# --- values with a unit ---

SCALARS = [kind for kind in vars(units).values() if isinstance(kind, type) and issubclass(kind, units.Scalar)
           and kind is not units.Scalar]  # fmt: skip


@pytest.mark.parametrize("kind", SCALARS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_a_value_reads_as_it_is_written(kind: Any, data: st.DataObject) -> None:
    """What an editor accepts by the JSON Schema is read, or refused with words; what is printed can be pasted back."""
    pattern = kind.json_schema.get("pattern")
    written = st.from_regex(pattern, fullmatch=True) if pattern else st.nothing()
    if kind is units.Timestamp:
        written = st.datetimes(timezones=st.just(UTC)).map(lambda at: at.isoformat().replace("+00:00", "Z"))
    edges = st.sampled_from(
        ["999999d999999h", "\u0665m", "0", "-0", "00", "0.0000001%", "1.50", "0001-01-01T00:00:00+14:00"]
    )
    text = data.draw(st.one_of(written, edges, st.integers(-5, 10**20).map(str), TEXT))
    try:
        value = kind.parse(text)
    except ValueError:
        return
    assert kind.parse(str(value)) == value, text
    assert str(value).isascii()


# --- documents to findings, or to files ---


@cache
def tree() -> dict[str, bytes]:
    return {str(path.relative_to(COMMON)): path.read_bytes() for path in COMMON.rglob("*") if path.is_file()}


@cache
def parsed(file: str) -> dict[str, Any]:
    found = read(file, tree()[file])
    assert isinstance(found, Document)
    return found.data


HOSTILE = st.one_of(
    st.sampled_from([
        None, True, False, "", "0", "-1", "1e999", "9" * 40, "NaN", "100%", "0%", "101%", "0s", "0/s", "999999d",
        "1ms", "é", "\x1b[31m", "{{ 7 * 7 }}", "${HOME}", "'; drop", "../../etc/passwd", "a\nb: c", "]]>", "`id`",
        "$(id)", "%s",
        {}, [], [None], {"": None}, {"a": {"b": ["c"]}}, [[[[]]]], "x" * 2000, "1", "2", "99",
    ]),
    DATA,
).map(copy.deepcopy)  # fmt: skip
# A copy: what is mutated must not be what the next example begins with.


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A file of the tree with some of its keys and values dropped, replaced, renamed, copied or put elsewhere."""
    file = draw(st.sampled_from(sorted(tree())))
    data = copy.deepcopy(parsed(file))
    for _ in range(draw(st.integers(1, 3))):
        inner = [path for path in paths(data) if path]
        if not inner:
            break
        path = draw(st.sampled_from(inner))
        above: Any = data
        for step in path[:-1]:
            above = above[step]
        match draw(st.sampled_from(["drop", "replace", "replace", "insert", "rename", "move"])):
            case "drop":
                del above[path[-1]]
            case "replace":
                above[path[-1]] = draw(HOSTILE)
            case "insert" if isinstance(above, list):
                above.insert(0, draw(HOSTILE))
            case "insert":
                above[draw(TEXT)] = draw(HOSTILE)
            case "rename" if isinstance(above, dict):
                above[draw(st.one_of(TEXT, st.just(str(path[-1]).upper())))] = above.pop(path[-1])
            case _:
                source: Any = data
                for step in draw(st.sampled_from([one for one in paths(data) if one])):
                    source = source[step]
                above[path[-1]] = copy.deepcopy(source)
    return file, data


@settings(max_examples=examples(250))
@given(mutated())
def test_a_mutated_fleet_is_a_list_of_findings_or_a_list_of_files(change: tuple[str, dict[str, Any]]) -> None:
    file, data = change
    text = json.dumps(data, indent=1, ensure_ascii=False, default=str)
    compiled = analyse(MemoryTree({**tree(), file: text.encode(errors="surrogatepass")}), now=NOW)
    for item in compiled.diagnostics:
        assert item.file
        assert item.message
        assert item.hint or item.code, item
        assert item.line == item.column == 0 or (0 < item.line <= text.count("\n") + 200 and item.column > 0), item
    if not compiled.failed:
        for folder, files in artifacts(compiled.fleet).items():
            assert files, folder
            for artifact in files:
                assert artifact.path.startswith(f"{folder}/")
                artifact.text.encode()
                if artifact.path.endswith(".yaml"):
                    list(yaml.load_all(artifact.text, yaml.CSafeLoader))
