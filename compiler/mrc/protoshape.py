"""Whether a mapping fits a protobuf message: every key and value that does not, by the message's own descriptor.

Protobuf's JSON reader stops at the first, and names a place in words; here all are found, each with its path.
"""

import math
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from mrc.records import dataclass
from mrc.spelling import closest

Step = str | int
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_DEEPEST = 30  # no message that Triton has is half as deep


@dataclass(frozen=True)
class Misfit:
    """One thing that is wrong, and where: at the value of the path, or at its key."""

    path: tuple[Step, ...]
    message: str
    at_key: bool = False


def misfits(data: Any, message: Any, path: tuple[Step, ...] = ()) -> Iterator[Misfit]:
    """Everything of `data` that is not the JSON form of the message with this descriptor; names in either spelling."""
    if not isinstance(data, dict):
        yield Misfit(path, f"{_kind(data)} stands where a mapping belongs")
        return
    if len(path) > _DEEPEST:
        yield Misfit(path, "it is nested too deep")
        return
    known = _fields(message)
    seen: dict[str, str] = {}
    for key, value in data.items():
        here = (*path, key)
        field = known.get(key)
        if field is None:
            yield Misfit(here, _unknown(message, key, sorted({field.json_name for field in message.fields})), True)
            continue
        before = seen.get(field.name)
        if before is not None:
            yield Misfit(here, f"{key} is {before} again", True)
            continue
        seen[field.name] = key
        yield from _field(value, field, here)
    yield from _exclusive(message, seen, path)


@cache
def _fields(message: Any) -> dict[str, Any]:
    """The fields of a message by either of their names."""
    return {name: field for field in message.fields for name in (field.json_name, field.name)}


def _unknown(message: Any, key: str, names: list[str]) -> str:
    close = closest(key, names)
    meant = f"did you mean {close}?" if close else f"there are {', '.join(names) or 'none'}"
    return f"{message.name} has no field {key!r}; {meant}"


def _exclusive(message: Any, seen: dict[str, str], path: tuple[Step, ...]) -> Iterator[Misfit]:
    for choice in message.oneofs:
        written = [seen[field.name] for field in choice.fields if field.name in seen]
        if len(written) > 1:
            yield Misfit((*path, written[1]), f"{' and '.join(written)} exclude each other", True)


def _field(value: Any, field: Any, path: tuple[Step, ...]) -> Iterator[Misfit]:
    if _is_map(field):
        if not isinstance(value, dict):
            yield Misfit(path, f"{_kind(value)} stands where a mapping belongs")
            return
        entry = field.message_type.fields_by_name
        for key, each in value.items():
            here = (*path, key)
            for misfit in _scalar(key, entry["key"], here):
                yield Misfit(here, misfit.message, True)
            yield from _one(each, entry["value"], here)
    elif field.is_repeated:
        if not isinstance(value, list):
            yield Misfit(path, f"{_kind(value)} stands where a list belongs")
            return
        for index, each in enumerate(value):
            yield from _one(each, field, (*path, index))
    else:
        yield from _one(value, field, path)


def _is_map(field: Any) -> bool:
    kind = field.message_type  # of which hardly one has options, and asking for them imports how they are described
    return kind is not None and kind.has_options and bool(kind.GetOptions().map_entry)


def _one(value: Any, field: Any, path: tuple[Step, ...]) -> Iterator[Misfit]:
    if field.message_type is not None:
        yield from misfits(value, field.message_type, path)
    else:
        yield from _scalar(value, field, path)


def _scalar(value: Any, field: Any, path: tuple[Step, ...]) -> Iterator[Misfit]:
    if value is None:
        yield Misfit(path, "null says nothing: leave the key out")
    elif isinstance(value, dict | list):
        yield Misfit(path, f"{_kind(value)} stands where one value belongs")
    elif field.cpp_type == field.CPPTYPE_BOOL:
        if not isinstance(value, bool):
            yield Misfit(path, f"{value!r} is neither true nor false")
    elif isinstance(value, bool):
        word = str(value).lower()
        wanted = "text: quote it" if field.cpp_type == field.CPPTYPE_STRING else "something else"
        yield Misfit(path, f"{word} stands where {wanted} belongs")
    elif field.enum_type is not None:
        names = [each.name for each in field.enum_type.values]
        if value not in names:
            close = closest(str(value).upper(), names)
            meant = f"did you mean {close}?" if close else f"there are {', '.join(names)}"
            yield Misfit(path, f"{value!r} is no {field.enum_type.name}; {meant}")
    elif field.cpp_type in (field.CPPTYPE_FLOAT, field.CPPTYPE_DOUBLE):
        largest = 3.4e38 if field.cpp_type == field.CPPTYPE_FLOAT else math.inf
        if not _DECIMAL.fullmatch(value) or len(value) > 40 or not abs(float(value)) < largest:
            yield Misfit(path, f"{value!r} is not a number")
    elif field.cpp_type != field.CPPTYPE_STRING:
        yield from _whole(value, field, path)


def _whole(value: str, field: Any, path: tuple[Step, ...]) -> Iterator[Misfit]:
    bits = 32 if field.cpp_type in (field.CPPTYPE_INT32, field.CPPTYPE_UINT32) else 64
    signed = field.cpp_type in (field.CPPTYPE_INT32, field.CPPTYPE_INT64)
    least, most = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    if not _WHOLE.fullmatch(value) or len(value) > 20 or not least <= int(value) <= most:
        bounds = "" if bits == 64 and signed else f" from {least} to {most}"
        yield Misfit(path, f"{value!r} is not a whole number{bounds}")


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case _:
            return repr(str(value).lower() if isinstance(value, bool) else value)
