"""What the fields of the documents mean: the docstring below each field, read when it is asked for.

A docstring says what the field means; lines at its end say more, each in one line:

    Example: 24h                                      a value in YAML, which the field accepts
    Rendered: scaleDownDelaySeconds of the Rollout    where a reader of `rendered/` finds it
"""

import ast
import inspect
import sys
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from mrc.schema.lean import BaseModel

_EXTRA = ("Example", "Rendered")


@dataclass(frozen=True)
class Described:
    """The meaning of a field, an example of its value, and where it is rendered to; empty where nothing is said."""

    meaning: str = ""
    example: str = ""
    rendered: str = ""


@cache
def described(model: type[BaseModel]) -> dict[str, Described]:
    """By the field's name in Python. A field without a docstring has that of the class that declared it first."""
    found: dict[str, Described] = {}
    for owner in reversed(model.__mro__):
        if issubclass(owner, BaseModel) and owner is not BaseModel:
            found |= _of_class(owner)
    return {name: found.get(name, Described()) for name in model.model_fields}


def _of_class(owner: type[BaseModel]) -> dict[str, Described]:
    body = _classes(owner.__module__)[owner.__name__].body
    return {
        field.target.id: _parsed(below.value.value)
        for field, below in pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str)
    }


@cache
def _classes(module: str) -> dict[str, ast.ClassDef]:
    source = inspect.getsource(sys.modules[module])
    return {node.name: node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)}


def _parsed(docstring: str) -> Described:
    said: dict[str, str] = {}
    lines = []
    for line in inspect.cleandoc(docstring).split("\n"):
        key, colon, value = line.partition(": ")
        if colon and key in _EXTRA:
            said[key] = value.strip()
        else:
            lines.append(line)
    return Described("\n".join(lines).strip(), said.get("Example", ""), said.get("Rendered", ""))


def class_meaning(model: type[BaseModel]) -> str:
    """What the docstring of the class says; it speaks for a field of that type which says nothing itself."""
    return inspect.cleandoc(model.__doc__ or "")
