"""Strict JSON schemas of Kubernetes kinds: core ones by the API server's OpenAPI, others by their CRDs.

Both refuse unknown fields and nulls. Rules in CEL (`x-kubernetes-validations`) are not evaluated.
"""

from __future__ import annotations

import datetime
import functools
import json
import re
from collections.abc import Iterator
from importlib import resources
from typing import Any

import jsonschema
import yaml
from jsonschema.protocols import Validator

from judges import tools

KUBERNETES = "v1.34.0"  # what the pinned Argo Rollouts is built for
_OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_POD_TEMPLATE = "io.k8s.api.core.v1.PodTemplateSpec"
_QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_QUANTITY_PATTERN = r"^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$"  # as CRDs have it

_formats = jsonschema.FormatChecker(formats=())


class _CrdLoader(yaml.CSafeLoader):
    """YAML 1.1 gives a bare `=` a type of its own; in a CRD's enum it is a text."""


_CrdLoader.add_constructor("tag:yaml.org,2002:value", lambda loader, node: node.value)


@functools.cache
def validator(api_version: str, kind: str) -> Validator | None:
    """What judges objects of a kind; None when neither Kubernetes nor a pinned CRD knows it."""
    group, _, version = api_version.rpartition("/")
    schema = _core(group, version, kind) or _custom(group, version, kind)
    if schema is None:
        return None
    judge: Validator = _Strict({**schema, "$defs": _definitions()}, format_checker=_formats)
    return judge


@functools.cache
def _definitions() -> dict[str, Any]:
    folder = resources.files("kubernetes_validate") / "kubernetes-json-schema" / f"{KUBERNETES}-local-strict"
    found: dict[str, Any] = json.loads((folder / "_definitions.json").read_text())["$defs"]
    found[_QUANTITY] = {"type": ["string", "number"], "pattern": _QUANTITY_PATTERN}  # any string there
    _refuse_null(found)
    return found


def _refuse_null(schema: Any) -> None:
    # The OpenAPI lets every field be null, and the server drops it: what is rendered should mean something.
    for part in _parts(schema):
        if isinstance(part.get("type"), list):
            part["type"] = [name for name in part["type"] if name != "null"]


def _parts(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _parts(inner)


def _core(group: str, version: str, kind: str) -> dict[str, Any] | None:
    for name, schema in _definitions().items():
        for known in schema.get("x-kubernetes-group-version-kind", ()):
            if (known["group"], known["version"], known["kind"]) == (group, version, kind):
                return {"$ref": f"#/$defs/{name}"}
    return None


def _custom(group: str, version: str, kind: str) -> dict[str, Any] | None:
    for file in sorted(tools.installed("crds").iterdir()):
        for text in re.split(r"^---$", file.read_text(), flags=re.MULTILINE):
            if not re.search(rf"^ +kind: {re.escape(kind)}$", text, re.MULTILINE):
                continue  # parsing all of them takes a second
            crd = yaml.load(text, _CrdLoader)
            if (crd["spec"]["group"], crd["spec"]["names"]["kind"]) != (group, kind):
                continue
            for each in crd["spec"]["versions"]:
                if each["name"] == version and each["served"]:
                    return _root(each["schema"]["openAPIV3Schema"])
    return None


def _root(schema: dict[str, Any]) -> dict[str, Any]:
    converted = _structural(schema)
    spec = converted.get("properties", {}).get("spec", {}).get("properties", {})
    if "containers" in spec.get("template", {}).get("properties", {}).get("spec", {}).get("properties", {}):
        # A Rollout's CRD is laxer (quantities) than the pods that it makes.
        spec["template"] = {"$ref": f"#/$defs/{_POD_TEMPLATE}"}
    envelope = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"$ref": f"#/$defs/{_OBJECT_META}"},
    }
    return {**converted, "properties": converted.get("properties", {}) | envelope}


def _structural(schema: dict[str, Any]) -> dict[str, Any]:
    """A structural schema (OpenAPI v3 of a CRD) as a JSON schema that refuses what the server would prune."""
    out = {key: value for key, value in schema.items() if key not in ("description", "default", "example")}
    if "properties" in schema:
        out["properties"] = {name: _structural(inner) for name, inner in schema["properties"].items()}
    if "items" in schema:
        out["items"] = _structural(schema["items"])
    if isinstance(schema.get("additionalProperties"), dict):
        out["additionalProperties"] = _structural(schema["additionalProperties"])
    elif schema.get("type") == "object" and not schema.get("x-kubernetes-preserve-unknown-fields"):
        out.setdefault("additionalProperties", False)
    if schema.get("x-kubernetes-int-or-string"):
        out["type"] = ["integer", "string"]
    if schema.get("nullable"):
        out["type"] = [*([out["type"]] if isinstance(out["type"], str) else out["type"]), "null"]
        if "enum" in out:
            out["enum"] = [*out["enum"], None]
    return out


def _unique_items(_: Validator, kind: str, items: Any, schema: dict[str, Any]) -> Iterator[jsonschema.ValidationError]:
    """The API server refuses a list of type `set` or `map` with the same item, or the same keys, twice."""
    if kind not in ("set", "map") or not isinstance(items, list):
        return
    seen = set()
    for item in items:
        keys = schema.get("x-kubernetes-list-map-keys")
        identity = {key: item.get(key) for key in keys} if keys and isinstance(item, dict) else item
        text = json.dumps(identity, sort_keys=True)
        if text in seen:
            yield jsonschema.ValidationError(f"{text} is there twice")
        seen.add(text)


_Strict = jsonschema.validators.extend(  # type: ignore[no-untyped-call]
    jsonschema.Draft202012Validator, {"x-kubernetes-list-type": _unique_items}
)


@_formats.checks("int32")
def _int32(value: object) -> bool:
    return not isinstance(value, int) or -(2**31) <= value < 2**31


@_formats.checks("int64")
def _int64(value: object) -> bool:
    return not isinstance(value, int) or -(2**63) <= value < 2**63


@_formats.checks("date-time", raises=ValueError)
def _date_time(value: object) -> bool:
    return not isinstance(value, str) or datetime.datetime.fromisoformat(value).tzinfo is not None
