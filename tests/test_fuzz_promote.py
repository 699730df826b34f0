"""`mrc promote` on any way to write the serve line: that line and no other byte, or a refusal with what to write."""

import re
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrc.compile import analyse
from mrc.link import LinkedModel
from mrc.promote import PromotionError, promote
from mrc.read import Document, read
from mrc.tree import MemoryTree

COMMON = Path(__file__).parent / "cases/common"
POLICY = "policies/hello-model/policy.yaml"
WRITTEN = "serve: {version: 2, fallback: 1} # a promotion or a rollback is this line"


@cache
def tree() -> dict[str, bytes]:
    found = {str(path.relative_to(COMMON)): path.read_bytes() for path in COMMON.rglob("*") if path.is_file()}
    assert WRITTEN.encode() in found[POLICY]
    return found


def linked(serve: str, newline: str = "\n") -> LinkedModel | None:
    text = tree()[POLICY].decode().replace(WRITTEN, serve).replace("\n", newline)
    return analyse(MemoryTree({**tree(), POLICY: text.encode()})).fleet.models.get("hello-model")


NUMBER = st.sampled_from(["{}", '"{}"', "'{}'"])
SPACE = st.sampled_from(["", " ", "  ", "\n          ", " # why: {version: 9}\n          "])
COMMENT = st.sampled_from(["", " # version: 7", " #fallback: 8, 1", "  # é \U0001f600 2"])


@st.composite
def flow(draw: st.DrawFn) -> str:
    def pair(key: str, number: int) -> str:
        return f"{draw(SPACE)}{key}:{draw(SPACE) or ' '}{draw(NUMBER).format(number)}{draw(SPACE)}"

    pairs = draw(st.permutations([pair("version", 2), pair("fallback", 1)]))
    return f"serve: {{{','.join(pairs)}}}{draw(COMMENT)}"


@st.composite
def block(draw: st.DrawFn) -> str:
    indent = " " * draw(st.integers(7, 12))
    lines = [f"{indent}version: {draw(NUMBER).format(2)}{draw(COMMENT)}",
             f"{indent}fallback: {draw(NUMBER).format(1)}{draw(COMMENT)}"]  # fmt: skip
    lines = draw(st.permutations(lines))
    between = draw(st.sampled_from(["", "\n", f"{indent}# between\n"]))
    return f"serve:{draw(COMMENT)}\n{lines[0]}\n{between}{lines[1]}"


@given(st.one_of(flow(), block()), st.sampled_from(["\n", "\r\n"]))
def test_only_the_numbers_of_the_serve_line_change(serve: str, newline: str) -> None:
    model = linked(serve, newline)
    assert model is not None, serve
    before = model.policy_document.text
    after = promote(model, "production", 1)  # back to 1; what served becomes the fallback
    found = read(POLICY, after.encode())
    assert isinstance(found, Document)
    environments = found.data["spec"]["environments"]
    assert environments["production"].pop("serve") == {"version": "1", "fallback": "2"}
    old = read(POLICY, before.encode())
    assert isinstance(old, Document)
    old.data["spec"]["environments"]["production"].pop("serve")
    assert found.data == old.data
    # The two numbers have changed places; every other character stands where it stood.
    assert len(before) == len(after)
    changed = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
    assert sorted(changed) == [("1", "2"), ("2", "1")]


@pytest.mark.parametrize(
    "serve",
    [
        "serve: {version: 2} # first",
        "serve: {version: '2'}",
        "serve:\n        version: 2",
        "serve:\n        version: 2 # first",
        "serve: {version: 2, }",
    ],
)
def test_a_first_promotion_adds_the_fallback_or_says_what_to_write(serve: str) -> None:
    model = linked(serve)
    assert model is not None
    try:
        after = promote(model, "production", 1)
    except PromotionError as problem:
        said = str(problem)
    else:
        before = model.policy_document.text.split("\n")
        changed = [new for old, new in zip(before, after.split("\n"), strict=True) if old != new]
        assert len(changed) == 1
        assert re.search(r"version: '?1'?, fallback: 2", changed[0])
        return
    assert "write serve: {version: 1, fallback: 2} by hand" in said


@pytest.mark.parametrize(
    "serve", ["serve: &a {version: 2, fallback: 1}", "serve: *a", "serve: !!map {version: 2, fallback: 1}"]
)
def test_what_could_change_more_than_it_shows_is_not_edited(serve: str) -> None:
    assert linked(serve) is None
