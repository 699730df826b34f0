"""Would an API server take these objects, and does every YAML reader read the same ones?"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import yaml
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from judges import schemas

Object = dict[str, Any]

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_DNS_LABEL = re.compile(rf"{_LABEL}\Z")  # RFC 1123
_DNS_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?\Z")
_SUBDOMAIN = re.compile(rf"{_LABEL}(\.{_LABEL})*\Z")
_PATH_SEGMENT = re.compile(r"(?!\.{1,2}\Z)[^/%]+\Z")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?\Z")
_KEY = re.compile(rf"({_LABEL}(\.{_LABEL})*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?\Z")
_DATA_KEY = re.compile(r"(?!\.\.)[-._a-zA-Z0-9]{1,253}\Z")

# Kinds whose names are stricter or laxer than a DNS subdomain: (pattern, length).
_NAMES = {"Service": (_DNS_1035, 63), "Namespace": (_DNS_LABEL, 63)} | dict.fromkeys(
    ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"), (_PATH_SEGMENT, 253)
)
_MAX_DATA = 1024 * 1024  # bytes of a ConfigMap or Secret
_MAX_ANNOTATIONS = 256 * 1024  # bytes of all keys and values


def load(path: Path) -> tuple[list[Object], list[str]]:
    """The documents of a YAML file, and the problems: unreadable, or not the same to every reader.

    It is read as YAML 1.1 (PyYAML; Kubernetes and Prometheus read nearly so) and as YAML 1.2 (ruamel.yaml).
    The documents are those of YAML 1.2; empty ones are left out.
    """
    text = path.read_text(encoding="utf-8")
    try:
        old = list(yaml.load_all(text, yaml.CSafeLoader))
        new = list(YAML(typ="safe", pure=True).load_all(text))
    except (yaml.YAMLError, YAMLError, ValueError) as error:
        return [], [f"{path}: {error}"]
    problems = [f"{path}: {where}" for where in _differences(old, new, "documents")]
    problems += [f"{path}: a document is not a mapping" for each in new if not isinstance(each, dict | None)]
    return [each for each in new if isinstance(each, dict)], problems


def _differences(old: Any, new: Any, where: str) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict) and list(old) == list(new):
        for key in old:
            if not isinstance(key, str):
                yield f"{where}: the key {key!r} is not a text"
            yield from _differences(old[key], new[key], f"{where}.{key}")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for i, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _differences(one, other, f"{where}[{i}]")
    elif type(old) is not type(new) or old != new:
        yield f"{where}: YAML 1.1 reads {old!r}, YAML 1.2 reads {new!r}"
    elif not isinstance(old, str | int | float | None):
        yield f"{where}: {old!r} has no JSON form ({type(old).__name__})"


def validate(objects: Sequence[Object]) -> list[str]:
    """What an API server would refuse or silently drop, for objects of core kinds and of the pinned CRDs."""
    problems: list[str] = []
    seen = set()
    for each in objects:
        title = name(each)
        metadata = each.get("metadata")
        identity = (title, metadata.get("namespace") if isinstance(metadata, dict) else None)
        if identity in seen:
            problems.append(f"{title}: is there twice")
        seen.add(identity)
        problems += [f"{title}: {problem}" for problem in _object(each)]
    return problems


def name(each: Object) -> str:
    """`Kind name`, as problems call an object."""
    metadata = each.get("metadata")
    return f"{each.get('kind')} {metadata.get('name') if isinstance(metadata, dict) else None}"


def _object(each: Object) -> Iterator[str]:
    validator = schemas.validator(str(each.get("apiVersion")), str(each.get("kind")))
    if validator is None:
        yield f"no such kind as {each.get('apiVersion')} {each.get('kind')}"
        return
    wrong = [f"{error.json_path}: {_short(error)}" for error in validator.iter_errors(each)]
    yield from wrong
    if wrong:
        return  # what follows trusts the shape
    metadata = each.get("metadata", {})
    yield from _name(each["kind"], metadata.get("name"))
    yield from _metadata(metadata, "metadata")
    if each["kind"] in ("ConfigMap", "Secret"):
        yield from _data(each)
    template = (each.get("spec") or {}).get("template") if isinstance(each.get("spec"), dict) else None
    if isinstance(template, dict):
        yield from _metadata(template.get("metadata", {}), "spec.template.metadata")
        yield from _selector(each["spec"], template)
        yield from _pod(template.get("spec") or {})


def _short(error: jsonschema.ValidationError) -> str:
    # `oneOf` says only that nothing matched: its closest branch says why.
    best = jsonschema.exceptions.best_match([error]) or error
    return best.message if len(best.message) <= 300 else f"{best.message[:300]}..."


def _name(kind: str, value: object) -> Iterator[str]:
    pattern, length = _NAMES.get(kind, (_SUBDOMAIN, 253))
    if not isinstance(value, str) or not pattern.match(value) or len(value) > length:
        yield f"metadata.name: {value!r} is not a valid name of at most {length} characters"


def _metadata(metadata: Object, where: str) -> Iterator[str]:
    for field in ("labels", "annotations"):
        for key in metadata.get(field, {}):
            if not _KEY.match(key):
                yield f"{where}.{field}: {key!r} is not a valid key"
    for key, value in metadata.get("labels", {}).items():
        if len(value) > 63 or not _LABEL_VALUE.match(value):
            yield f"{where}.labels.{key}: {value!r} is not a valid label value"
    size = sum(len((key + value).encode()) for key, value in metadata.get("annotations", {}).items())
    if size > _MAX_ANNOTATIONS:
        yield f"{where}.annotations: {size} bytes, at most {_MAX_ANNOTATIONS}"


def _data(each: Object) -> Iterator[str]:
    size = 0
    for field in ("data", "binaryData", "stringData"):
        for key, value in each.get(field, {}).items():
            size += len(key.encode()) + len(value.encode())
            if not _DATA_KEY.match(key):
                yield f"{field}: {key!r} is not a valid key"
    if size > _MAX_DATA:
        yield f"data: {size} bytes, at most {_MAX_DATA}"


def _selector(spec: Object, template: Object) -> Iterator[str]:
    wanted = spec.get("selector", {}).get("matchLabels", {})
    labels = template.get("metadata", {}).get("labels", {})
    if not wanted.items() <= labels.items():
        yield f"spec.selector: {json.dumps(wanted)} does not select the template's {json.dumps(labels)}"


def _pod(spec: Object) -> Iterator[str]:
    containers = [*spec.get("initContainers", ()), *spec.get("containers", ())]
    volumes = [each.get("name") for each in spec.get("volumes", ())]
    names = {"container": [each.get("name") for each in containers], "volume": volumes}
    for what, used in names.items():
        for each in used:
            if not isinstance(each, str) or not _DNS_LABEL.match(each) or len(each) > 63:
                yield f"{what} {each!r}: not a valid name"
            if used.count(each) > 1:
                yield f"{what} {each}: is there twice"
    for container in containers:
        for mount in container.get("volumeMounts", ()):
            if mount.get("name") not in volumes:
                yield f"container {container.get('name')}: no volume is called {mount.get('name')!r}"
        ports = [port["name"] for port in container.get("ports", ()) if "name" in port]
        for port in ports:
            if len(port) > 15 or not _DNS_LABEL.match(port) or ports.count(port) > 1:
                yield f"container {container.get('name')}: {port!r} is not a valid name of one port"
