"""A plan as JSON, and the JSON Schema of it: the dataclasses of `plan.model`, field by field."""

import json

from mrc import noplugins as _before_pydantic  # noqa: F401  isort: skip
from pydantic import TypeAdapter

from mrc.plan.model import Plan


def render(plan: Plan) -> str:
    """The plan as one JSON object, with every field."""
    return TypeAdapter(Plan).dump_json(plan, by_alias=True, indent=2).decode() + "\n"


def schema() -> str:
    """The JSON Schema that every plan of this format keeps."""
    found = TypeAdapter(Plan).json_schema(mode="serialization")
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **found}, indent=2) + "\n"
