"""Bytes to Document: hostile-safe YAML, with scalars left as text.

Only `true`, `false` and `null` are typed here; the schema types the rest, so that `1.10`, `no` and `12e45`
stay what they say. The parser is libyaml's event stream: no recursion, no constructors, no resolvers.
"""

import re
from functools import cached_property
from typing import Any

from mrc.diagnostics import Diagnostic, Rule, error
from mrc.libyaml import CParser, MarkedYAMLError, ReaderError, events
from mrc.records import dataclass

Path = tuple[str | int, ...]
Position = tuple[int, int]

LARGEST = 1 << 20  # bytes of one document
DEEPEST = 40  # nested mappings and lists
MOST = 200_000  # scalars and containers of one document

UNREADABLE = error(
    "MRC001", "the file cannot be read",
    reason="Everything that mrc says rests on having read the whole tree.",
    hint="make it a regular, readable UTF-8 file of at most 1 MiB",
)  # fmt: skip
NOT_YAML = error(
    "MRC002", "the file is not YAML",
    reason="A document that does not parse says nothing.",
    hint="correct the syntax at the place shown",
    source="https://yaml.org/spec/1.2.2/",
)  # fmt: skip
REFUSED_YAML = error(
    "MRC003", "YAML that mrc refuses",
    reason="Anchors, aliases, merge keys, tags, duplicate keys, several documents in a file, and characters that end "
    "or turn round a line unseen make a text mean something else than it shows; the first three can also blow a small "
    "file up to gigabytes.",
    hint="write the value out, once, in a single plain document",
    source="https://yaml.org/spec/1.2.2/#71-alias-nodes",
)  # fmt: skip
RULES = (UNREADABLE, NOT_YAML, REFUSED_YAML)

# Ends of a line for YAML 1.1 alone, after which a comment is none any more; and what turns text round on the screen,
# but not in the file (CVE-2021-42574).
_MISLEADING = "[\x85\u2028\u2029\u202a-\u202e\u2066-\u2069]|\r(?!\n)"
_CONSTANTS: dict[str, bool | None] = {"true": True, "false": False, "null": None, "~": None, "": None}


class RefusedError(Exception):
    """The text is not a document; carries the finding."""

    def __init__(self, rule: Rule, message: str, position: Position, hint: str | None = None) -> None:
        super().__init__(message)
        self.rule, self.message, self.position, self.hint = rule, message, position, hint or rule.hint


@dataclass(frozen=True)
class Places:
    """Where values and keys stand, by path. A container stands where its key does."""

    values: dict[Path, Position]
    keys: dict[Path, Position]


@dataclass(frozen=True)
class Document:
    """One parsed file. `data` is made of dict, list, str, True, False and None."""

    file: str
    text: str
    data: dict[str, Any]

    @cached_property
    def _places(self) -> "Places":
        places = Places({}, {})
        _compose(self.text, places)
        return places

    def position(self, path: Path) -> Position:
        """Line and column (from 1) of the value at `path`, or of the nearest parent that exists."""
        while path not in self._places.values:
            path = path[:-1]
        return self._places.values[path]

    def key_position(self, path: Path) -> Position:
        """Line and column (from 1) of the key at the end of `path`; of the value where there is no key."""
        return self._places.keys.get(path) or self.position(path)

    def report(
        self, rule: Rule, path: Path, message: str, hint: str | None = None, *, at_key: bool = False
    ) -> Diagnostic:
        """A finding at a value of this document, or at its key."""
        line, column = self.key_position(path) if at_key else self.position(path)
        return Diagnostic(
            self.file, line, column, rule.code, message, rule.severity, rule.hint if hint is None else hint
        )


def read(file: str, data: bytes) -> Document | Diagnostic:
    """Parse one file, or say what is wrong with it."""
    try:
        return Document(file, *_parse(data))
    except RefusedError as refused:
        line, column = refused.position
        rule = refused.rule
        return Diagnostic(file, line, column, rule.code, refused.message, rule.severity, refused.hint)


def _parse(data: bytes) -> tuple[str, dict[str, Any]]:
    if len(data) > LARGEST:
        raise RefusedError(UNREADABLE, f"the file has {len(data)} bytes; {LARGEST} is the most", (0, 0))
    try:
        text = data.decode()
    except UnicodeDecodeError as problem:
        if data.startswith((b"\xff\xfe", b"\xfe\xff")):
            said = "the file is not UTF-8; it looks like UTF-16, which some editors on Windows write"
            raise RefusedError(UNREADABLE, said, (0, 0)) from None
        line = data.count(b"\n", 0, problem.start) + 1
        raise RefusedError(UNREADABLE, "the file is not UTF-8", (line, 1)) from None
    if (not text.isascii() or "\r" in text) and (match := re.search(_MISLEADING, text)):
        line, start = text.count("\n", 0, match.start()) + 1, text.rfind("\n", 0, match.start()) + 1
        message = f"the character U+{ord(match[0]):04X} makes editors show something else than stands here"
        raise RefusedError(REFUSED_YAML, message, (line, match.start() - start + 1))
    found = _compose(text)
    if not isinstance(found, dict):
        hint = "begin with apiVersion, kind, metadata and spec"
        raise RefusedError(NOT_YAML, "the file holds no mapping", (1, 1), hint)
    return text, found


def _compose(text: str, places: Places | None = None) -> Any:
    """Build the value from events. With `places`, note where each value (or its key) stands."""
    parser = CParser(text)
    try:
        return _build(parser, places)
    except MarkedYAMLError as problem:
        if (conflict := _conflict(text)) is not None:
            raise conflict from None
        raise _not_yaml(problem, text) from None
    except ReaderError as problem:
        line = text.count("\n", 0, problem.position) + 1
        raise RefusedError(NOT_YAML, "the file has a character that YAML does not allow", (line, 1)) from None
    finally:
        parser.dispose()


# What a text that was pasted from a page brings along, in place of blanks.
_PASTED = re.compile("[\u00a0\u2000-\u200b\u202f\u3000]")
# libyaml's words in a reader's, and whether the place is that of its context: it sees lines later what is not closed.
_SAID = {
    "did not find expected key": (
        "this line is not indented like the keys beside it, or follows a value that is closed already", False,
    ),
    "did not find expected '-' indicator": ("this line is not indented like the entries beside it", False),
    "mapping values are not allowed in this context": (
        "a colon cannot stand here: the line is indented too far, or the value needs quotes", False,
    ),
    "could not find expected ':'": ("a key without a colon and a blank after it", True),
    "did not find expected ',' or ']'": ("this [ is not closed, or a comma is missing in it", True),
    "did not find expected ',' or '}'": ("this { is not closed, or a comma is missing in it", True),
    "found unexpected end of stream": ("this quotation mark is not closed", True),
    "found character that cannot start any token": ("a value cannot begin so without quotes", False),
}  # fmt: skip


def _not_yaml(problem: MarkedYAMLError, text: str) -> RefusedError:
    said, at_context = _SAID.get(problem.problem or "", ("", False))
    words = said or " ".join(part for part in (problem.context, problem.problem) if part) or "the syntax is wrong"
    mark = (problem.context_mark if at_context else None) or problem.problem_mark or problem.context_mark
    seen = problem.problem_mark
    if seen and "".join(text.split("\n")[seen.line : seen.line + 1])[seen.column : seen.column + 1] == "\t":
        words, mark = "a tab stands where YAML wants blanks", seen
    if mark is None:
        return RefusedError(NOT_YAML, words, (1, 1))
    if pasted := _PASTED.search("".join(text.split("\n")[mark.line : mark.line + 1])):
        words = f"U+{ord(pasted[0]):04X} looks like a blank and is none"
        return RefusedError(NOT_YAML, words, (mark.line + 1, pasted.start() + 1))
    return RefusedError(NOT_YAML, words, (mark.line + 1, mark.column + 1))


def _conflict(text: str) -> RefusedError | None:
    """The first conflict that a merge left in the text."""
    lines = text.split("\n")
    begins = [number for number, line in enumerate(lines, 1) if re.match(r"<{7}(?: |\r?$)", line)]
    ends = [number for number, line in enumerate(lines, 1) if re.match(r">{7}(?: |\r?$)", line)]
    if not begins or not ends:
        return None
    more = f", and {len(begins) - 1} more below" if len(begins) > 1 else ""
    message = f"a conflict of a merge was left here, until line {ends[0]}{more}"
    hint = "choose what holds, and remove the lines that begin with <<<<<<<, ======= and >>>>>>>"
    return RefusedError(NOT_YAML, message, (begins[0], 1), hint)


def _build(parser: Any, places: Places | None) -> Any:
    next_event = parser.get_event
    result: Any = None
    documents = count = 0
    # One frame per open container: the container, and the key that waits for its value.
    stack: list[tuple[Any, Any]] = []
    container: Any = None
    key: Any = None
    keys: list[str | int] = []  # the path of the open containers, kept only for places

    while (event := next_event()) is not None:
        kind = type(event)
        if kind is events.ScalarEvent:
            if event.anchor is not None or event.tag is not None:
                raise _refuse(event)
            value = event.value
            if event.implicit[0] and value in _CONSTANTS:
                value = _CONSTANTS[value]
        elif kind is events.MappingStartEvent or kind is events.SequenceStartEvent:
            if event.anchor is not None or event.tag is not None:
                raise _refuse(event)
            if len(stack) >= DEEPEST:
                raise RefusedError(REFUSED_YAML, f"more than {DEEPEST} levels are nested", _start(event))
            value = {} if kind is events.MappingStartEvent else []
        elif kind is events.MappingEndEvent or kind is events.SequenceEndEvent:
            container, key = stack.pop()
            if keys:
                keys.pop()
            continue
        elif kind is events.AliasEvent:
            raise _refuse(event)
        elif kind is events.DocumentStartEvent:
            documents += 1
            if documents > 1:
                raise RefusedError(REFUSED_YAML, "the file holds more than one document", _start(event))
            continue
        else:
            continue

        count += 1
        if count > MOST:
            raise RefusedError(REFUSED_YAML, f"the document has more than {MOST} values", _start(event))
        if type(container) is dict and key is None:
            if kind is not events.ScalarEvent:
                raise RefusedError(REFUSED_YAML, "a key must be a plain word", _start(event))
            key = event.value
            if key in container:
                raise RefusedError(REFUSED_YAML, f"the key {key!r} stands twice in one mapping", _start(event))
            if key == "<<" and event.implicit[0]:
                raise RefusedError(REFUSED_YAML, "merge keys are not read", _start(event))
            if places is not None:
                places.keys[(*keys, key)] = places.values[(*keys, key)] = _start(event)
            continue
        if type(container) is dict:
            container[key] = value
            step: str | int | None = key
        elif container is not None:
            container.append(value)
            step = len(container) - 1
        else:
            result, step = value, None
        if places is not None and (kind is events.ScalarEvent or type(step) is not str):
            places.values[(*keys, step) if step is not None else ()] = _start(event)
        if kind is events.ScalarEvent:
            key = None
        else:
            stack.append((container, None))
            if step is not None:
                keys.append(step)
            container, key = value, None
    return result


def _start(event: Any) -> Position:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _refuse(event: Any) -> RefusedError:
    if type(event) is events.AliasEvent:
        what = f"the alias *{event.anchor}"
    elif event.anchor is not None:
        what = f"the anchor &{event.anchor}"
    else:
        what = f"the tag {event.tag}"
    return RefusedError(REFUSED_YAML, f"{what} is not read", _start(event))
