"""Whatever text goes into a file that mrc writes comes back out of a real parser of that format, unchanged."""

import json
import re
import unicodedata
from functools import cache
from typing import Any
from urllib.parse import unquote

import promql_parser
import ruamel.yaml
import yaml
from google.protobuf import text_format
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from mrc import modelconfig
from mrc.diagnostics import Diagnostic, Severity, sarif, show
from mrc.plan import markdown
from mrc.promql import number, one_of, quote, selector, series
from mrc.render import kustomize
from mrc.render.engine import markdown_code, markdown_text, yaml_block, yaml_quoted, yaml_scalar
from mrc.rulebook import RULES
from mrc.schema.units import Threshold

# What ends, begins or means something in one of the formats, beside any other character.
_BITS = [
    "\n", "\r", "\r\n", "\t", " ", "  ", "\x00", "\x1b[31m", "\x85", "\u2028", "\u202e", "\ufeff", "\x7f", "\U0001f600",
    "'", '"', "\\", "`", "```", "|", "~", "#", "%", ":", ": ", " #", "- ", "---", "...", "? ", "{", "}", "[", "]", "](",
    "<b>", "<!--", "-->", "&amp;", "&#60;", "*", "**", "_", "$", "{{ x }}", "{% x %}", "${x}", "!!str ", "&a", "*a",
    "<<", "http://a.b", "https://x.y/z", "www.a.b", "a@b.c", "1.", "1) ", "+ ", "> ", "=", "==", "!", "![", "yes", "no",
    "null", "~", "1e3", "0x1f", "0o7", "1_000", "12:30:45", "2026-10-04", ".inf", "::", ",", "%0A", "\\|", "`|", "@",
]  # fmt: skip
ZERO_WIDTH = "\N{ZERO WIDTH SPACE}"
ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
TEXT = st.one_of(ANY, st.lists(st.one_of(st.sampled_from(_BITS), ANY), max_size=8).map("".join))
PRINTABLE = TEXT.map(lambda text: re.sub(r"[\x00-\x1f\x7f\x85\u2028\u2029]", "", text))


# --- YAML ---


def read_back(text: str) -> list[Any]:
    """What three parsers make of it: YAML 1.1 in C and in Python, and YAML 1.2."""
    one_two = ruamel.yaml.YAML(typ="safe", pure=True)
    return [yaml.load(text, yaml.CSafeLoader), yaml.load(text, yaml.SafeLoader), one_two.load(text)]


@given(TEXT)
def test_text_comes_back_out_of_a_yaml_scalar(text: str) -> None:
    for written in (yaml_scalar(text), yaml_quoted(text)):
        for document in (f"a: {written}\nb: c\n", f"- a: {written}\n  b: c\n", f"{{a: {written}, b: c}}\n"):
            for found in read_back(document):
                assert (found[0] if isinstance(found, list) else found) == {"a": text, "b": "c"}


@given(TEXT, st.sampled_from([2, 4, 8]))
def test_text_comes_back_out_of_a_yaml_block(text: str, indent: int) -> None:
    above = "".join(" " * level + "a:\n" for level in range(0, indent - 2, 2))
    document = f"{above}{' ' * (indent - 2)}a: {yaml_block(text, indent)}\nb: c\n"
    for found in read_back(document):
        assert found.pop("b") == "c"
        while isinstance(found, dict):
            found = found["a"]
        assert found == text


@given(TEXT)
def test_text_comes_back_out_of_a_yaml_key(text: str) -> None:
    for found in read_back(f"{yaml_scalar(text)}: c\n"):
        assert found == {text: "c"}


# --- PromQL ---


@given(TEXT)
def test_text_comes_back_out_of_a_promql_string(text: str) -> None:
    parsed = promql_parser.parse(f"label_replace(up, {quote('a')}, {quote(text)}, {quote('b')}, {quote('c')})")
    assert [argument.val for argument in parsed.args[1:]] == ["a", text, "b", "c"]


@given(st.dictionaries(st.from_regex(r"\A[a-z_][a-z0-9_]{0,9}\Z"), TEXT, min_size=1, max_size=3))
def test_text_comes_back_out_of_a_selector(wanted: dict[str, str]) -> None:
    parsed = promql_parser.parse(selector("mrc:guardrail:verdict", wanted))
    assert {matcher.name: matcher.value for matcher in parsed.matchers.matchers} == wanted
    assert series("m", wanted) == selector("m", wanted)


@given(st.lists(st.from_regex(r"\A[a-zA-Z0-9_.-]{1,12}\Z"), min_size=1, max_size=4, unique=True))
def test_a_matcher_for_several_names_matches_these_alone(names: list[str]) -> None:
    matcher = promql_parser.parse(selector("m", {"a": one_of(names)})).matchers.matchers[0]
    pattern = matcher.value if len(names) > 1 else re.escape(matcher.value)
    assert all(re.fullmatch(pattern, name) for name in names)
    assert not any(re.fullmatch(pattern, f"{name}x") or re.fullmatch(pattern, f"x{name}") for name in names
                   if f"{name}x" not in names and f"x{name}" not in names)  # fmt: skip


@given(st.from_regex(r"\A-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,12})?\Z"))
def test_a_number_comes_back_out_of_promql(text: str) -> None:
    value = Threshold.parse(text).number
    parsed = promql_parser.parse(number(value))
    found = parsed.val if hasattr(parsed, "val") else -parsed.expr.val
    assert found == float(value)


# --- pbtxt ---


@given(TEXT, TEXT)
def test_text_comes_back_out_of_a_model_config(key: str, value: str) -> None:
    message = modelconfig._proto().ModelConfig()
    message.parameters[key].string_value = value
    message.backend = value
    written = text_format.MessageToString(message, as_utf8=True)
    again = text_format.Parse(written, modelconfig._proto().ModelConfig())
    assert again == message
    for found in read_back(f"data:\n  config.pbtxt: {yaml_block(written, 4)}\n"):
        assert found == {"data": {"config.pbtxt": written}}


# --- Markdown ---


@cache
def commonmark() -> MarkdownIt:
    """As GitHub reads it: tables, strikethrough, and addresses that become links by themselves."""
    return MarkdownIt("gfm-like", {"linkify": False})


def shown(markdown: str) -> list[tuple[str, str]]:
    """What a reader sees: the kinds of blocks, and the text of the inline ones."""
    found = []
    for token in commonmark().parse(markdown):
        if token.type == "inline":
            for child in token.children or []:
                found.append((child.type, child.content))
        elif token.nesting >= 0:
            found.append((token.type, token.content))
    return found


def joined(found: list[tuple[str, str]]) -> str:
    assert {kind for kind, _ in found} <= {"text", "text_special"}, found
    return "".join(content for _, content in found)


def spaced(text: str) -> str:
    return " ".join(text.split())


@given(PRINTABLE)
def test_text_in_markdown_is_text_and_nothing_else(text: str) -> None:
    """No link, no HTML, no emphasis, no heading, no end of the table or of the paragraph."""
    written = markdown_text(text)
    wanted = spaced(text)
    found = shown(f"Team {written}, cluster\n")
    assert found[0] == ("paragraph_open", "")
    assert joined(found[1:]) == spaced(f"Team {wanted}, cluster")
    found = shown(f"- **1**: {written}. Code\n")
    inline = [item for item in found if item[0] in ("text", "text_special")]
    assert [kind for kind, _ in found if kind.endswith("_open")] == [
        "bullet_list_open", "list_item_open", "paragraph_open", "strong_open",
    ]  # fmt: skip
    assert "".join(content for _, content in inline) == spaced(f"1: {wanted}. Code")
    table = shown(f"| a | b |\n| --- | --- |\n| {written} | x |\n")
    cells = [kind for kind, _ in table if kind in ("td_open", "tr_open")]
    assert cells == ["tr_open", "tr_open", "td_open", "td_open"], table
    last = max(index for index, (kind, _) in enumerate(table) if kind == "tr_open")
    inside = [item for item in table[last:] if not item[0].endswith("_open")]
    assert joined(inside) == f"{wanted}x"


@given(PRINTABLE.filter(lambda text: text.strip() != ""))
def test_code_in_markdown_is_code_and_nothing_else(text: str) -> None:
    written = markdown_code(text)
    table = shown(f"| a | b |\n| --- | --- |\n| {written} | x |\n")
    last = max(index for index, (kind, _) in enumerate(table) if kind == "tr_open")
    inside = [item for item in table[last:] if item[0] not in ("tr_open", "td_open")]
    assert [kind for kind, content in inside if content] == ["code_inline", "text"], table
    assert [spaced(content) for kind, content in inside if kind == "code_inline"] == [spaced(text)]


CALLS = ["@user", "@org/team", "#12", "org/repo#3", "Fixes #1", "closes: #2", "GH-7", "!5", "$9", "%4", "~bug", "&8",
         "https://x.y", "ftp://x.y", "www.a.b", "<b>", "</details>", "<!--", "a@b.c",
         "-", "+", "---", "1.", "2)"]  # fmt: skip


@given(st.lists(st.sampled_from(CALLS) | PRINTABLE, min_size=1, max_size=6).map(" ".join))
@example("- ")
@example("- - -")
@example("1. - x")
@example("+")
def test_text_in_a_comment_calls_nobody_and_closes_nothing(text: str) -> None:
    """A forge reads what Markdown has become: a backslash before it hides nothing from it."""
    found = shown(f"- {markdown._text(text)}\n")
    assert not any(kind.startswith(("html", "link", "image", "code")) for kind, _ in found)
    seen = "".join(content for kind, content in found if kind in ("text", "text_special"))
    assert not re.search(r"[@#!~%$&][\w(]|\bGH-\d|://|\bwww\.", seen, re.IGNORECASE)
    assert spaced(seen.replace(ZERO_WIDTH, "")) == spaced(text.replace(ZERO_WIDTH, ""))


# --- kustomization ---


@given(st.lists(TEXT.filter(bool), max_size=4), TEXT)
def test_names_come_back_out_of_a_kustomization(names: list[str], environment: str) -> None:
    for found in read_back(kustomize.of_environment(environment, names).text):
        assert found["kind"] == "Kustomization"
        assert (found.get("resources") or []) == sorted(names)


# --- what people and CI read of a finding ---

FINDING = st.builds(
    Diagnostic, TEXT, st.integers(0, 3), st.integers(1, 9), st.just("MRC001"), TEXT, st.sampled_from(Severity), TEXT
)


@given(st.lists(FINDING, max_size=4), TEXT)
def test_nothing_of_a_finding_speaks_to_the_terminal(found: list[Diagnostic], source: str) -> None:
    """Escape sequences can forge what stands on the screen, and bidirectional marks can turn it round."""
    written = show.text(found, lambda file: source.split("\n"), colour=False)
    for char in written:
        assert char == "\n" or unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp"), repr(char)
    starts = [line for line in written.split("\n") if line and not line.startswith("  ")]
    assert len(starts) <= len(found), "a finding begins a line of its own"


@given(st.lists(FINDING, max_size=4))
def test_a_finding_comes_back_out_of_a_github_annotation(found: list[Diagnostic]) -> None:
    lines = show.github(found).split("\n") if found else []
    assert len(lines) == len(found)
    for item, line in zip(found, lines, strict=True):
        match = re.fullmatch(r"::(error|warning) ([^\n]*?)::([^\n]*)", line)
        assert match is not None
        properties = dict(one.split("=", 1) for one in match[2].split(","))
        assert comparable(unescaped(properties["file"])) == comparable(item.file)
        assert comparable(unescaped(match[3])).startswith(comparable(item.message))


def unescaped(text: str) -> str:
    """As GitHub's runner does it, %25 last."""
    for code, char in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(code, char)
    return text


def comparable(text: str) -> str:
    return "".join(char if char.isprintable() or char in "\r\n" else "\N{REPLACEMENT CHARACTER}" for char in text)


@given(st.lists(FINDING, max_size=4))
def test_a_finding_comes_back_out_of_sarif(found: list[Diagnostic]) -> None:
    run = json.loads(sarif.sarif(found, {rule.code: rule for rule in RULES}, "0.1.0"))["runs"][0]
    assert len(run["results"]) == len(found)
    for item, result in zip(found, run["results"], strict=True):
        assert result["message"]["text"].startswith(item.message)
        place = result["locations"][0]["physicalLocation"]
        assert unquote(place["artifactLocation"]["uri"]) == item.file
        assert place.get("region", {}).get("startLine", 0) == item.line
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == item.code


@given(st.lists(FINDING, max_size=4))
def test_a_finding_comes_back_out_of_json(found: list[Diagnostic]) -> None:
    again = json.loads(show.as_json(found))
    assert [Diagnostic(**{**item, "severity": Severity(item["severity"])}) for item in again] == found
