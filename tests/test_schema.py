"""What an editor shows and checks while a team writes its documents."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Union, get_args, get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrc.explain import explain
from mrc.read import Document, read
from mrc.schema import FILES, KINDS
from mrc.schema.fields import class_meaning, described
from mrc.schema.lean import BaseModel
from mrc.schema.outline import outline
from mrc.schema.units import Duration, Quantity, Rate, Scalar, Share, Timestamp, WeekTime


def models() -> list[type[BaseModel]]:
    """Every model that a document can hold."""
    found: dict[type[BaseModel], None] = {}
    pending: list[Any] = list(KINDS.values())
    while pending:
        model = pending.pop()
        if model not in found:
            found[model] = None
            pending += [inner for field in model.model_fields.values() for inner in inside(field.annotation)]
    return sorted(found, key=lambda model: model.__name__)


def inside(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models in an annotation, through lists, mappings and unions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    arguments = get_args(annotation)
    for argument in arguments[:1] if get_origin(annotation) is Annotated else arguments:
        yield from inside(argument)


@pytest.mark.parametrize("model", models(), ids=lambda model: model.__name__)
def test_every_field_says_what_it_means(model: type[BaseModel]) -> None:
    """A docstring below the field, read by editors, `mrc explain` and the reference; see schema/fields.py."""
    assert class_meaning(model), f"{model.__name__} has no docstring"
    for name, field in described(model).items():
        holds = list(inside(model.model_fields[name].annotation))
        assert field.meaning or any(class_meaning(inner) for inner in holds), f"{model.__name__}.{name}: no docstring"
        assert field.example or holds or is_constant(model, name), (
            f"{model.__name__}.{name}: no line `Example: ...` below its meaning"
        )


def is_constant(model: type[BaseModel], name: str) -> bool:
    """Whether the field is a literal of one value, which is its own example."""
    annotation = model.model_fields[name].annotation
    if get_origin(annotation) is Union:
        annotation = get_args(annotation)[0]
    return len(get_args(annotation)) == 1


@pytest.mark.parametrize("model", models(), ids=lambda model: model.__name__)
def test_the_examples_are_accepted(model: type[BaseModel]) -> None:
    """An example that mrc refuses sends its reader the wrong way."""
    from pydantic import TypeAdapter

    for name, field in described(model).items():
        if field.example:
            document = read("example.yaml", f"value: {field.example}".encode())
            assert isinstance(document, Document), (name, field.example)
            info = model.model_fields[name]
            kind: Any = Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation
            TypeAdapter(kind).validate_python(document.data["value"])


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_explained_by_its_path(kind: str) -> None:
    assert FILES[kind] in explain(kind)
    for field in outline(kind):
        path = f"{kind}.{field.dotted}"
        assert explain(path).split("\n\n")[0] == path
        assert ("rendered:" in explain(path)) == bool(field.rendered)


UNITS = [Duration, Share, Rate, Quantity, Timestamp, WeekTime]
WORDS = ["", " ", "d", "day", "days", "h", "hour", "m", "min", "s", "rps", " per minute", "/sec", "%", " %", "GB", "Gi",
         "kb", "-12-20", "-12-20 08:00", "Friday 6:00", "mon 24:00"]  # fmt: skip


@given(st.sampled_from(UNITS), st.from_regex(r"[0-9]{0,4}(\.[0-9]{1,3})?", fullmatch=True), st.sampled_from(WORDS))
def test_what_a_message_proposes_is_accepted(unit: type[Scalar], number: str, word: str) -> None:
    """Whoever writes what the message says must not be refused again."""
    try:
        unit.parse(number + word)
    except ValueError as problem:
        for proposed in re.findall(r'"(.*?)"', str(problem).partition(" (write ")[2]):
            unit.parse(proposed)
