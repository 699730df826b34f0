"""A team's own PromQL: its placeholders, and what can be told of it without running it."""

import re
from collections.abc import Mapping
from typing import Any

from mrc.promql import parse, quote
from mrc.schema.units import Duration

LABELS = ("model", "namespace", "environment")
"""What a label is compared with: `model=$model` becomes `model="fraud"`."""
WINDOW = "window"
"""The guardrail's window, as a range or an offset: `[$window]` becomes `[5m]`."""

# As Prometheus' own lexer reads it: comments and strings hide what is in them, and `...` knows no escape.
_TOKEN = re.compile(
    r"(?P<hidden>#[^\n]*)|(?P<text>\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|`[^`]*`)|\$(?P<name>[A-Za-z_][A-Za-z0-9_]*)",
    re.DOTALL,
)
_INSIDE_TEXT = re.compile(rf"\$(?:{'|'.join((*LABELS, WINDOW))})\b")
_COMPARED = re.compile(r"[A-Za-z0-9_]\s*=\s*\Z")
_SPAN = re.compile(r"(?:\[|:|\boffset)\s*-?\s*\Z")


def fill(expression: str, values: Mapping[str, str], window: Duration) -> str:
    """The expression with a quoted string for each label, and the window for `$window`.

    What is filled is not read again. `values` has all of LABELS. Raises ValueError for a `$` that is none of them, or
    that stands where none can.
    """
    found, end = [], 0
    for match in _TOKEN.finditer(expression):
        name = match["name"]
        if match["text"] is not None and (inside := _INSIDE_TEXT.search(match["text"])):
            raise ValueError(f"{inside[0]} is not filled within quotes: write label={inside[0]} without them")
        if name is None:
            continue
        before = expression[: match.start()]
        if name in LABELS:
            if not _COMPARED.search(before):
                raise ValueError(f"${name} stands where no label is compared: write it as label=${name}")
            filled = quote(values[name])
        elif name == WINDOW:
            if not _SPAN.search(before):
                raise ValueError(
                    "$window stands where no length of time belongs: write it as [$window] or offset $window"
                )
            filled = str(window)
        else:
            known = ", ".join(f"${each}" for each in (*LABELS, WINDOW))
            raise ValueError(f"mrc fills no ${name}; there are {known}")
        found += [expression[end : match.start()], filled]
        end = match.end()
    return "".join(found) + expression[end:]


def names(expression: str) -> set[str]:
    """The placeholders that stand in it, without the `$`."""
    return {match["name"] for match in _TOKEN.finditer(expression) if match["name"] is not None}


def lost(expression: str, *labels: str) -> list[str]:
    """Those of the labels that no series of the result can have. Raises ValueError when it is not PromQL."""
    parsed = parse(expression)
    return [label for label in labels if _loses(parsed, label)]


def _loses(node: Any, label: str) -> bool:
    match type(node).__name__:
        case "AggregateExpr":
            return _aggregate_loses(node, label)
        case "BinaryExpr":
            return _binary_loses(node, label)
        case "ParenExpr" | "UnaryExpr" | "SubqueryExpr":
            return _loses(node.expr, label)
        case "NumberLiteral" | "StringLiteral":
            return True
        case "Call":
            if node.func.name in ("label_replace", "label_join") and getattr(node.args[1], "val", None) == label:
                return False
            if node.func.name in ("absent", "absent_over_time"):  # they keep what their matchers name
                return False
            return all(_loses(argument, label) for argument in node.args)
        case _:
            return False


def _aggregate_loses(node: Any, label: str) -> bool:
    if str(node.op) in ("topk", "bottomk", "limitk", "limit_ratio"):
        return _loses(node.expr, label)
    if str(node.op) == "count_values" and getattr(node.param, "val", None) == label:
        return False
    if node.modifier is None:
        return True
    listed = label in node.modifier.labels
    kept = listed if str(node.modifier.type).endswith("By") else not listed
    return not kept or _loses(node.expr, label)


def _binary_loses(node: Any, label: str) -> bool:
    left, right = _loses(node.lhs, label), _loses(node.rhs, label)
    operator, modifier = str(node.op), node.modifier
    if operator == "or":
        return left and right
    if operator in ("and", "unless"):
        return left
    matching = modifier.matching if modifier is not None else None
    cardinality = str(modifier.card) if modifier is not None else ""
    if matching is None:
        return left and right  # one of them may be a number
    if label in (modifier.group_labels or ()):
        return left and right
    if cardinality.endswith("ManyToOne"):
        return left
    if cardinality.endswith("OneToMany"):
        return right
    listed = label in matching.labels
    return (listed == str(matching.type).endswith("Exclude")) or (left and right)
