"""What Prometheus refuses of an expression, or fails on each time it evaluates it, although the parser here takes it.

One expression that Prometheus refuses takes the whole rule file with it, and every guardrail in that. Expressions are
read as Prometheus 2 and 3 both read them. The syntax of regular expressions: https://github.com/google/re2/wiki/Syntax
"""

import re
from collections.abc import Iterator
from typing import Any

from mrc import promql

_TOKEN = re.compile(
    r"#[^\n]*|\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|`[^`]*`|(?P<word>[A-Za-z_][A-Za-z0-9_:]*)|(?P<mark>[\[\]])"
    r"|(?P<number>[0-9][0-9a-zA-Z_.]*|\.[0-9]+)|(?P<other>[^\s-])",
    re.DOTALL,
)
_LENGTH = re.compile(r"(?:[0-9]+(?:ms|[smhdwy]))+")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_REPEATS = re.compile(r"[*+?]|\{([0-9]+)(?:,([0-9]*))?\}")
_MOST_REPEATS = 1000
_DEEPEST = 150  # what walks a syntax tree here calls itself
_ESCAPES = frozenset("aftnrvxQEAbBzdDsSwWpP0")
_BY_FLAG = ("limitk", "limit_ratio")
_GROUP = re.compile(r"\?(?:P<[A-Za-z0-9_]+>|[imsU-]*[:)])")


def problem(expression: str) -> str | None:
    """Why Prometheus would not take the expression, or None when it would."""
    try:
        parsed = promql.parse(expression)
    except ValueError as reason:
        return str(reason)
    return next(_lengths(expression), None) or next(_inside(parsed), None)


def _lengths(expression: str) -> Iterator[str]:
    """Lengths of time without a unit, and numbers with one: only Prometheus 3 takes them."""
    depth, before = 0, ""
    for token in _TOKEN.finditer(expression):
        if token["mark"] in ("[", "]"):
            depth += 1 if token["mark"] == "[" else -1
        number = token["number"]
        if number is not None:
            length = depth > 0 or before == "offset"
            if length and not _LENGTH.fullmatch(number):
                yield f"{number} is no length of time: write it with a unit, such as {number}s"
            elif not length and _LENGTH.fullmatch(number):
                yield f"{number} stands where a number belongs: write the seconds"
        before = token["word"] or ""


def _inside(node: Any, depth: int = 0) -> Iterator[str]:
    """What is wrong in a node of the syntax tree, and in all below it."""
    if depth > _DEEPEST:
        yield f"more than {_DEEPEST} levels within each other"
        return
    kind = type(node).__name__
    if kind == "MatrixSelector":
        yield from _inside(node.vector_selector, depth + 1)
    elif kind == "VectorSelector":
        if node.matchers.or_matchers:
            yield "labels cannot be compared with or: write two selectors"
        for matcher in node.matchers.matchers:
            if str(matcher.op).endswith("Re") and (reason := regex_problem(matcher.value)) is not None:
                yield f"{matcher.name}: {reason}"
    elif kind == "AggregateExpr" and str(node.op) in _BY_FLAG:
        yield f"{node.op} is experimental: Prometheus takes it with a flag alone"
    elif kind == "Call":
        if node.func.experimental:
            yield f"{node.func.name} is experimental: Prometheus takes it with a flag alone"
        for argument, wanted in zip(node.args, node.func.arg_types, strict=False):
            if str(wanted).endswith(".Vector") and _is_number(argument):
                yield f"{node.func.name} takes series, and this is a number"
        yield from _call(node)
        for argument in node.args:
            yield from _inside(argument, depth + 1)
    for name in ("expr", "lhs", "rhs", "param"):
        inner = getattr(node, name, None)
        if inner is not None:
            yield from _inside(inner, depth + 1)


def _is_number(node: Any) -> bool:
    while type(node).__name__ in ("ParenExpr", "UnaryExpr"):
        node = node.expr
    return type(node).__name__ == "NumberLiteral"


def _call(node: Any) -> Iterator[str]:
    """Texts that Prometheus looks at only when it evaluates: then the rule fails, each time, in its log."""
    texts = [getattr(argument, "val", None) for argument in node.args]
    name = node.func.name
    if name in ("label_replace", "label_join") and isinstance(texts[1], str) and not _LABEL.fullmatch(texts[1]):
        yield f"{name} writes to {texts[1]!r}, which is no name of a label"
    if name == "label_replace" and isinstance(texts[4], str):
        reason = promql.problem(f"up{{a=~{promql.quote(texts[4])}}}") or regex_problem(texts[4])
        if reason is not None:
            yield f"label_replace: {reason}"


def regex_problem(pattern: str) -> str | None:
    """Why RE2 would refuse a regular expression that other engines take; None where it would not."""
    at, repeated, inside = 0, False, False
    while at < len(pattern):
        char = pattern[at]
        repeat = _REPEATS.match(pattern, at) if not inside else None
        if char == "\\" and pattern[at + 1 : at + 2].isalnum() and pattern[at + 1] not in _ESCAPES:
            return f"RE2 has no \\{pattern[at + 1]}"
        if not inside and pattern.startswith("\\Q", at):
            end = pattern.find("\\E", at)
            at, repeated = len(pattern) if end < 0 else end + 2, False
        elif char == "\\":
            at, repeated = at + 2, False
        elif repeat is not None:
            if repeated:
                return f"RE2 repeats nothing twice: {repeat[0]}"
            if any(part and int(part) > _MOST_REPEATS for part in repeat.groups()):
                return f"RE2 repeats at most {_MOST_REPEATS} times: {repeat[0]}"
            at = repeat.end() + (pattern[repeat.end() : repeat.end() + 1] == "?")
            repeated = True
        elif inside:
            inside = char != "]"
            at += 1
        else:
            if char == "(" and pattern[at + 1 : at + 2] == "?" and not _GROUP.match(pattern, at + 1):
                return f"RE2 has no {pattern[at : at + 4]}...: groups are (...), (?:...) and (?P<name>...)"
            if char == "[":
                inside = True
                at += len(re.match(r"\[\^?\]?", pattern[at:])[0])  # type: ignore[index]
            else:
                at += 1
            repeated = False
    return None
