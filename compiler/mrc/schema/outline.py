"""Every field of a kind of document, with its path: what `mrc explain` and the reference are made of."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

from mrc import noplugins as _before_pydantic  # noqa: F401  isort: skip
from pydantic import TypeAdapter

from mrc.schema import KINDS
from mrc.schema.base import Model
from mrc.schema.fields import class_meaning, described

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

NAME, ITEM = "<name>", "[]"
"""Steps of a path that the document chooses: a key of a mapping, an item of a list."""


@dataclass(frozen=True)
class Field:
    """A field, as a reader looks it up.

    `path` begins below the document, for example `("spec", "guardrails", NAME, "window")`. `steps` lead from its value
    to the keys inside. `written` says how a value is written; `default` is its YAML, empty where there is none.
    """

    kind: str
    path: tuple[str, ...]
    steps: tuple[str, ...]
    written: str
    required: bool
    default: str
    meaning: str
    example: str
    rendered: str

    @property
    def dotted(self) -> str:
        """`spec.environments.<name>.canary[].traffic`"""
        return ".".join(self.path).replace("." + ITEM, ITEM)

    @property
    def key(self) -> str:
        """The key itself."""
        return self.path[-1]

    def holds(self, other: "Field") -> bool:
        """Whether the other one is a key directly inside."""
        return self.kind == other.kind and other.path[:-1] == (*self.path, *self.steps)


@cache
def outline(kind: str) -> tuple[Field, ...]:
    """The fields of a kind in the order in which they are declared, each before those inside it."""
    return tuple(_fields(kind, KINDS[kind], ()))


def _fields(kind: str, model: type[Model], above: tuple[str, ...]) -> Iterator[Field]:
    for name, said in described(model).items():
        info = model.model_fields[name]
        path = (*above, str(info.alias))
        steps, inner = _inside(info.annotation)
        yield Field(
            kind=kind,
            path=path,
            steps=steps,
            written=_written(_schema(info)),
            required=info.is_required(),
            default=_default(info),
            meaning="\n\n".join(filter(None, (said.meaning, class_meaning(inner) if inner else ""))),
            example=said.example,
            rendered=said.rendered,
        )
        if inner is not None:
            yield from _fields(kind, inner, (*path, *steps))


def _inside(annotation: Any) -> tuple[tuple[str, ...], type[Model] | None]:
    """The steps from a value to the model that it holds, and that model."""
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return (), annotation
    arguments, origin = get_args(annotation), get_origin(annotation)
    if origin is Annotated:
        arguments = arguments[:1]
    for argument in arguments:
        steps, model = _inside(argument)
        if model is not None:
            if origin in (list, dict):
                steps = (ITEM if origin is list else NAME, *steps)
            return steps, model
    return (), None


def _schema(info: "FieldInfo") -> dict[str, Any]:
    kind: Any = Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation
    found: dict[str, Any] = TypeAdapter(kind).json_schema(by_alias=True)
    return found


def _written(schema: dict[str, Any]) -> str:
    """How a value is written, in words."""
    bounded = next((option for option in schema.get("anyOf", []) if option.get("type") != "null"), schema)
    return _words(schema) + _bounds(bounded)


def _words(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_words(option) for option in schema["anyOf"] if option.get("type") != "null"))
    if "const" in schema or "enum" in schema:
        values: list[str] = [json.dumps(value).strip('"') for value in schema.get("enum", [schema.get("const")])]
        return values[0] if len(values) == 1 else f"{', '.join(values[:-1])} or {values[-1]}"
    if "$ref" in schema or "properties" in schema:
        return "a mapping"
    if "description" in schema:
        return str(schema["description"])
    match schema.get("type"):
        case "array":
            return f"a list; each item: {_words(schema['items'])}"
        case "object":
            held = [schema.get("additionalProperties"), *schema.get("patternProperties", {}).values()]
            parts = [f"each key: {_words(schema['propertyNames'])}"] if "propertyNames" in schema else []
            parts += [f"each value: {_words(value)}" for value in held if isinstance(value, dict)]
            return "; ".join(["a mapping", *parts])
        case "boolean":
            return "true or false"
        case "string":
            return "text"
        case _:
            return "any value"


def _bounds(schema: dict[str, Any]) -> str:
    least = schema.get("minItems", schema.get("minProperties"))
    most = schema.get("maxItems", schema.get("maxProperties"))
    numbers = [f"{word} {number}" for word, number in (("at least", least), ("at most", most)) if number]
    return f"; {', '.join(numbers)} entries".replace("least 1 entries", "least 1 entry") if numbers else ""


def _default(info: "FieldInfo") -> str:
    if info.is_required():
        return ""
    value = info.get_default(call_default_factory=True)
    if value is None or value in ({}, []) or isinstance(value, Model):
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
