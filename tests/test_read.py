"""Hostile and odd YAML: a document, or one diagnostic."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrc.diagnostics import Diagnostic
from mrc.read import Document, read
from mrc.render.engine import yaml_block, yaml_scalar


def test_plain_scalars_stay_text() -> None:
    document = read("a.yaml", b"a: 1.10\nb: no\nc: 12e45\nd: 010\ne: true\nf: null\ng: 'true'")
    assert isinstance(document, Document)
    assert document.data == {"a": "1.10", "b": "no", "c": "12e45", "d": "010", "e": True, "f": None, "g": "true"}


@pytest.mark.parametrize(
    "text",
    [
        "a: &x 1\nb: *x", "a: 1\na: 2", "<<: {a: 1}", "a: !!str 1", "a: 1\n---\nb: 2", "[" * 50_000, "{a: [}",
        "a: \0", "", "- 1", "? [a]\n: 1", 'a: "1\n',
    ],
)  # fmt: skip
def test_what_could_mislead_is_refused(text: str) -> None:
    found = read("a.yaml", text.encode())
    assert isinstance(found, Diagnostic)
    assert found.hint


def test_the_place_of_a_value_is_where_it_stands() -> None:
    document = read("a.yaml", b"a:\n  b: [x, {c: y}]\n")
    assert isinstance(document, Document)
    assert document.position(("a", "b", 1, "c")) == (2, 14)
    assert document.key_position(("a", "b")) == (2, 3)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_document_or_a_diagnostic(data: bytes) -> None:
    assert isinstance(read("a.yaml", data), Document | Diagnostic)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_any_text_comes_back_out_of_yaml(text: str) -> None:
    import ruamel.yaml
    import yaml

    for written in (f"a: {yaml_scalar(text)}\n", f"a: {yaml_block(text, 2)}\n"):
        assert yaml.safe_load(written) == {"a": text}
        assert ruamel.yaml.YAML(typ="safe", pure=True).load(written) == {"a": text}
