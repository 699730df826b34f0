"""The JSON Schema of a document: what editors show and check while one writes."""

import json
from typing import Any

from mrc import noplugins as _before_pydantic  # noqa: F401  isort: skip
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from mrc.schema import KINDS
from mrc.schema.base import Model
from mrc.schema.fields import described


def json_schema(kind: str) -> str:
    """The JSON Schema of a kind, as text."""
    found = KINDS[kind].model_json_schema(schema_generator=_Generator)
    return json.dumps({"$schema": _Generator.schema_dialect, **found}, indent=2) + "\n"


class _Generator(GenerateJsonSchema):
    def model_schema(self, schema: core_schema.ModelSchema) -> dict[str, Any]:
        """With what the fields mean."""
        found = super().model_schema(schema)
        model: type[Model] = schema["cls"]
        for name, field in described(model).items():
            shown = found["properties"][str(model.model_fields[name].alias)]
            shown.pop("title", None)
            said = [field.meaning, _format(shown.get("description")), field.example and f"Example: `{field.example}`"]
            if any(said):
                shown["description"] = "\n\n".join(part for part in said if part)
        return found

    def literal_schema(self, schema: core_schema.LiteralSchema) -> dict[str, Any]:
        """Numbers as numbers: a scalar is text to mrc, and a number to an editor."""
        found = super().literal_schema(schema)
        try:
            return {"type": "number", "enum": [json.loads(each) for each in found["enum"]]}
        except (KeyError, TypeError, ValueError):
            return found

    def dict_schema(self, schema: core_schema.DictSchema) -> dict[str, Any]:
        """With nothing beside the keys that the pattern allows."""
        found = super().dict_schema(schema)
        return {**found, "additionalProperties": False} if "patternProperties" in found else found


def _format(what: str | None) -> str:
    return f"Written as {what}." if what else ""
