"""What stands in for pydantic when documents are validated does what pydantic does with the same files."""

import copy
import importlib
import pickle
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pydantic
import pytest
from pydantic.alias_generators import to_camel
from pydantic_core import SchemaValidator

import mrc.schema
from mrc.schema import KINDS, lean
from mrc.schema.policy import Serve


@pytest.fixture(scope="module")
def by_pydantic() -> ModuleType:
    """`mrc.schema` imported once more, with pydantic itself under its models."""
    ours = {name: module for name, module in sys.modules.items() if name.startswith("mrc.schema")}
    names = {name: getattr(pydantic, name) for name in lean.__all__ if hasattr(pydantic, name)}
    for name in ours:
        del sys.modules[name]
    sys.modules["mrc.schema.lean"] = SimpleNamespace(**names, to_camel=to_camel)  # type: ignore[assignment]
    try:
        return importlib.import_module("mrc.schema")
    finally:
        for name in [name for name in sys.modules if name.startswith("mrc.schema")]:
            del sys.modules[name]
        sys.modules.update(ours)
        mrc.schema = ours["mrc.schema"]  # type: ignore[misc]  # where `import mrc.schema.x` looks


def plain(schema: Any, definitions: dict[str, Any]) -> Any:
    """A core schema with its references resolved, and with names where it has functions and classes."""
    if isinstance(schema, list):
        return [plain(each, definitions) for each in schema]
    if isinstance(schema, dict):
        if schema.get("type") == "definitions":
            return plain(schema["schema"], {each["ref"]: each for each in schema["definitions"]})
        if schema.get("type") == "definition-ref":
            return plain(definitions[schema["schema_ref"]], definitions)
        left_out = ("ref", "metadata", "validate_default")  # the last is false, said or not: lean takes nothing else
        return {key: plain(value, definitions) for key, value in sorted(schema.items()) if key not in left_out}
    if callable(schema):
        return f"{schema.__module__}.{schema.__qualname__} of {getattr(schema, '__self__', None)!r}"
    return repr(schema)


@pytest.mark.parametrize("kind", KINDS)
def test_the_core_is_told_what_pydantic_would_tell_it(kind: str, by_pydantic: ModuleType) -> None:
    theirs = by_pydantic.KINDS[kind]
    assert issubclass(theirs, pydantic.BaseModel)
    assert not issubclass(KINDS[kind], pydantic.BaseModel)
    theirs.model_rebuild()
    ours: Any = KINDS[kind].__get_pydantic_core_schema__(None, None)  # type: ignore[arg-type]
    assert plain(ours, {}) == plain(theirs.__pydantic_core_schema__, {})


@pytest.mark.parametrize("kind", KINDS)
def test_the_fields_are_those_of_pydantic(kind: str, by_pydantic: ModuleType) -> None:
    ours, theirs = KINDS[kind].model_fields, by_pydantic.KINDS[kind].model_fields
    assert [(name, one.alias, one.is_required()) for name, one in ours.items()] == [
        (name, one.alias, one.is_required()) for name, one in theirs.items()
    ]


def test_objects_are_frozen_and_equal_by_their_fields() -> None:
    serve = Serve.model_validate({"version": "2", "fallback": "1"})
    assert serve == Serve(version="2", fallback="1") != Serve(version="2")  # type: ignore[arg-type]
    assert hash(serve) == hash(Serve(version="2", fallback="1"))  # type: ignore[arg-type]
    assert repr(serve) == "Serve(version=2, fallback=1)"
    assert serve.model_copy(update={"fallback": None}) == Serve(version="2")  # type: ignore[arg-type]
    for other in (copy.copy(serve), copy.deepcopy(serve), pickle.loads(pickle.dumps(serve))):
        assert other == serve
        assert other.model_dump() == {"version": 2, "fallback": 1}
    with pytest.raises(AttributeError):
        serve.version = 3  # type: ignore[misc, assignment]


def test_what_lean_does_not_know_is_refused() -> None:
    class Odd(lean.BaseModel):
        model_config = lean.ConfigDict(extra="forbid")
        value: int | str

    with pytest.raises(TypeError, match="nothing that a document has"):
        Odd.model_validate({"value": "1"})
    with pytest.raises(TypeError):
        lean.Field(gt=3)  # type: ignore[call-overload]


def test_pydantic_takes_its_core_where_it_was_loaded_before() -> None:
    assert isinstance(Serve.validator, SchemaValidator)  # type: ignore[attr-defined]
