"""What a code, a metric, a kind or a field means, as text for a terminal."""

import re
import textwrap
from collections.abc import Mapping
from itertools import chain
from typing import NamedTuple

from mrc.catalogue import METRICS, reads
from mrc.diagnostics import Rule
from mrc.rulebook import RULES
from mrc.schema import FILES, KINDS
from mrc.schema.fields import class_meaning
from mrc.schema.outline import ITEM, NAME, Field, outline
from mrc.schema.repository import OwnMetric
from mrc.spelling import closest

_SHORT = {"RolloutPolicy": "policy", "ModelVersion": "version"}
_WIDTH = 100
_FIELDS = tuple(chain.from_iterable(outline(kind) for kind in KINDS))
_PASSED = (NAME, ITEM, "spec")  # steps of a path that nobody needs to write
_BY_MRC = ("Hold", "Incident")


class UnknownError(Exception):
    """Nothing has this name, or several fields have; the message says what to write."""


def explain(name: str, declared: Mapping[str, OwnMetric] | None = None) -> str:
    """The text about a code (MRC205), a metric (latency_p99), a kind (RolloutPolicy) or a field (policy.guardrails).

    `declared` are the metrics that a repository has of its own.
    """
    rule = next((rule for rule in RULES if rule.code == name.upper()), None)
    if rule is not None:
        return _rule(rule)
    if any(metric.name == name.lower() for metric in METRICS):
        return _metric(name.lower())
    if declared and name in declared:
        return _own_metric(name, declared[name])
    kind = next((kind for kind in KINDS if name.lower() in (kind.lower(), _SHORT.get(kind))), None)
    if kind is not None:
        return _kind(kind)
    found = _found(_steps(name))
    if not found:
        raise UnknownError(f"mrc knows no code, metric or field {name}{_meant(name)}")
    if len({(field.meaning, field.written, field.default) for field in found}) > 1:
        listed = "\n".join(f"  {_shown(field)}" for field in found)
        raise UnknownError(f"several fields are called {name}; name one of them:\n{listed}")
    return _field(found)


def _rule(rule: Rule) -> str:
    text = f"{rule.code} ({rule.severity}): {rule.title}\n\n{rule.reason}\n\nThe way out: {rule.hint}.\n"
    return text + (f"\nSee {rule.source}\n" if rule.source else "")


def _metric(name: str) -> str:
    parts = []
    for metric in METRICS:
        if metric.name == name:
            worse = f"when {metric.worse}" if metric.worse else "on the side that the guardrail names"
            lines = [
                ("measured by", metric.source.name),
                ("unit", metric.unit),
                ("worse", worse),
                ("reads", ", ".join(reads(metric))),
            ]
            parts.append(f"{_wrapped(metric.title[0].upper() + metric.title[1:])}.\n\n{_table(lines)}")
    return f"{name}, a metric of the catalogue\n\n" + "\n".join(parts)


def _own_metric(name: str, written: OwnMetric) -> str:
    lines = [("unit", written.unit), ("worse", f"when {written.worse}")]
    queries = "".join(
        f"\n{key}:\n{textwrap.indent(text.strip(), '  ')}\n"
        for key, text in (("value", written.value), ("samples", written.samples))
    )
    title = _wrapped(written.title[0].upper() + written.title[1:])
    return f"{name}, a metric that mrc.yaml declares\n\n{title}.\n\n{_table(lines)}{queries}"


def _kind(kind: str) -> str:
    meaning = _wrapped(class_meaning(KINDS[kind]))
    keys = [field for field in outline(kind) if len(field.path) == 2]
    return f"{kind}, in {FILES[kind]}\n\n{meaning}\n\n{_keys(keys)}"


def _field(found: list[Field]) -> str:
    field = found[0]
    without = "the key must be there" if field.required else "the key may be left out"
    lines = [("type", field.written), ("default", field.default or f"none; {without}")]
    lines += [("example", f"{field.key}: {field.example}")] if field.example else []
    lines += [("rendered", field.rendered)] if field.rendered else []
    lines += [("file", FILES[kind]) for kind in dict.fromkeys(field.kind for field in found)]
    keys = [other for other in outline(field.kind) if field.holds(other)]
    shown = "\n".join(_shown(one) for one in found)
    text = f"{shown}\n\n{_wrapped(field.meaning)}\n\n{_table(lines)}"
    return text + (f"\n{_keys(keys)}" if keys else "")


def _shown(field: Field) -> str:
    return f"{field.kind}.{field.dotted}"


def _keys(fields: list[Field]) -> str:
    """The first sentence about each key."""
    said = [(field.key, re.split(r"(?<=\.)\s", field.meaning, maxsplit=1)[0]) for field in fields]
    return "Its keys:\n" + textwrap.indent(_table(said), "  ")


def _table(lines: list[tuple[str, str]]) -> str:
    widest = max(len(key) for key, _ in lines) + 3
    found = []
    for key, text in lines:
        first = f"{key + ':':{widest}}"
        if key == "example":  # it is copied: it stays in one line
            found.append(first + text)
            continue
        found += textwrap.wrap(
            text.replace("`", ""), _WIDTH, initial_indent=first, subsequent_indent=" " * widest,
            break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip
    return "\n".join(found) + "\n"


def _wrapped(text: str) -> str:
    paragraphs = (textwrap.fill(" ".join(part.split()), _WIDTH) for part in text.split("\n\n"))
    return "\n\n".join(paragraphs).replace("`", "")


def _steps(name: str) -> list[str]:
    """The steps of a dotted path, without case, `_` and `-`; an index is a step."""
    return [re.sub(r"[_-]", "", step).lower() for step in re.split(r"[.\[\]]+", name) if step]


def _found(asked: list[str]) -> list[Field]:
    """The fields whose whole path is meant, or else whose path ends so, or else which hold an entry of that name."""
    matched = [(match, field) for field in _FIELDS if (match := _match(field, field.path, asked)) is not None]
    if matched:
        # `serve` alone is the line that people change, not that of a hold.
        if len(asked) == 1:
            matched = [one for one in matched if one[1].kind not in _BY_MRC] or matched
        whole = [(match, field) for match, field in matched if match.above == 0] or matched
        fewest = min(match.names for match, _ in whole)
        return [field for match, field in whole if match.names == fewest]
    holding = [field for field in _FIELDS if field.steps and _match(field, field.path, asked[:-1]) == _Match(0, 0)]
    keys = [other.key.lower() for field in holding for other in _FIELDS if field.holds(other)]
    return [] if closest(asked[-1], keys, 0.75) else holding


class _Match(NamedTuple):
    """How many keys of a field's path stand above what was asked for, and how many steps were taken for names."""

    above: int
    names: int


def _match(field: Field, path: tuple[str, ...], asked: list[str]) -> _Match | None:
    """How the path answers what was asked for; None where something else was asked for.

    Names of entries, indexes, `spec` and the kind may be left out.
    """
    if not asked:
        return _Match(sum(step not in _PASSED for step in path), 0)
    if not path:
        return _Match(0, 0) if asked in ([field.kind.lower()], [_SHORT.get(field.kind)]) else None
    *above, step = path
    if step.lower() == asked[-1]:
        return _match(field, tuple(above), asked[:-1])
    if step not in _PASSED:
        return None
    without = _match(field, tuple(above), asked)
    if without is not None or step == "spec":
        return without
    named = _match(field, tuple(above), asked[:-1])
    return named and _Match(named.above, named.names + 1)


def _meant(name: str) -> str:
    known = {rule.code for rule in RULES} | {metric.name for metric in METRICS} | KINDS.keys()
    for field in _FIELDS:
        keys = [step for step in field.path if step not in _PASSED]
        known |= {".".join(keys[start:]) for start in range(len(keys))}
        known |= {".".join((head, *keys)) for head in (field.kind, _SHORT.get(field.kind)) if head}
    folded = {text.lower(): text for text in sorted(known)}
    close = closest(name.lower(), folded, 0.7)
    if close:
        return f"; did you mean {folded[close]}?"
    return f"; the kinds are {', '.join(KINDS)}, and the codes go from {RULES[0].code} to {RULES[-1].code}"
