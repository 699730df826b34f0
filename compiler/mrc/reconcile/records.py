"""The documents that the reconciler writes: YAML in block style, as people would write it."""

from collections.abc import Mapping, Sequence
from typing import Any

from mrc.render.engine import yaml_scalar
from mrc.schema import API_VERSION, Envelope


def emit(document: Envelope) -> bytes:
    """The text of a document, without the keys that are at their default."""
    data = document.model_dump(mode="python", by_alias=True, exclude_defaults=True, exclude_none=True)
    ordered = {"apiVersion": API_VERSION, "kind": document.kind, "metadata": data["metadata"], "spec": data["spec"]}
    return ("\n".join(_mapping(ordered, 0)) + "\n").encode()


def _mapping(data: Mapping[str, Any], indent: int) -> list[str]:
    lines: list[str] = []
    for key, value in data.items():
        lines += _entry(f"{' ' * indent}{yaml_scalar(key)}:", value, indent + 2)
    return lines


def _entry(head: str, value: Any, indent: int) -> list[str]:
    if isinstance(value, Mapping):
        return [head, *_mapping(value, indent)] if value else [f"{head} {{}}"]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [head, *_items(value, indent)] if value else [f"{head} []"]
    return [f"{head} {_scalar(value)}"]


def _items(values: Sequence[Any], indent: int) -> list[str]:
    lines: list[str] = []
    for value in values:
        if isinstance(value, Mapping):
            first, *rest = _mapping(value, indent + 2)
            lines += [f"{' ' * indent}- {first.strip()}", *rest]
        else:
            lines.append(f"{' ' * indent}- {_scalar(value)}")
    return lines


def _scalar(value: Any) -> str:
    if isinstance(value, bool | int) and type(value).__str__ in (int.__str__, bool.__str__, object.__str__):
        return yaml_scalar(value)
    return yaml_scalar(str(value))
