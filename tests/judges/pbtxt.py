"""Triton's model configuration, by its own protobuf: an unknown field is refused with line and column."""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

from google.protobuf import json_format, text_format


@functools.cache
def _model_config_pb2() -> ModuleType:
    # The one file: importing `tritonclient.grpc` would need grpc and 300 ms.
    client = importlib.metadata.distribution("tritonclient")
    file = client.locate_file("tritonclient/grpc/model_config_pb2.py")
    spec = importlib.util.spec_from_file_location("model_config_pb2", Path(str(file)))
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def parse(text: str) -> dict[str, Any]:
    """A config.pbtxt as ModelConfig's JSON form, with the field names of the .proto file.

    64-bit integers are texts there, as protobuf's JSON has it. Raises google.protobuf.text_format.ParseError.
    """
    message = _model_config_pb2().ModelConfig()
    text_format.Parse(text, message)
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


def check(path: Path) -> list[str]:
    """The problems of a `<model>/config.pbtxt`: does not parse, or names another model than its folder."""
    try:
        config = parse(path.read_text(encoding="utf-8"))
    except text_format.ParseError as error:
        return [f"{path}: {error}"]
    if config.get("name") != path.parent.name:
        return [f"{path}: name is {config.get('name')!r}, the folder's is {path.parent.name!r}"]
    return []
