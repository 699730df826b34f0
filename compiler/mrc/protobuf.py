"""Protobuf with its JSON and text forms, without the messages in Python that it has for where none are compiled."""

from google.protobuf.internal import api_implementation

from mrc.standins import StandIn, standing_in

_IN_PYTHON = (
    "google.protobuf.descriptor_database", "google.protobuf.internal.decoder",
    "google.protobuf.internal.python_message",
)  # fmt: skip
_SELDOM = ("base64", "calendar")  # for bytes and moments, of which a ModelConfig has none

with standing_in(*map(StandIn, _SELDOM + (_IN_PYTHON if api_implementation.Type() != "python" else ()))):
    from google.protobuf import json_format, text_format
    from google.protobuf.internal import builder, well_known_types  # which generated modules import

__all__ = ["builder", "json_format", "text_format", "well_known_types"]
