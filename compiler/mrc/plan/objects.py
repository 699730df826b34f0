"""Two sets of rendered files to the Kubernetes objects that differ."""

import json
from collections.abc import Mapping
from typing import Any

import yaml

from mrc.plan.model import ObjectChange

_DEPTH = 3  # keys of a path that say where an object differs: spec.strategy.canary
_MOST = 8  # paths that are named for one object

Identity = tuple[str, str, str, str]  # apiVersion, kind, namespace, name
Held = dict[Identity, tuple[str, dict[str, Any]]]


def objects(files: Mapping[str, str]) -> Held:
    """The Kubernetes objects in rendered files, with the file that each stands in."""
    found: Held = {}
    for path, text in files.items():
        if not path.endswith(".yaml") or "\nkind: " not in f"\n{text}":
            continue
        for document in _documents(text):
            metadata = document.get("metadata") if isinstance(document, dict) else None
            if not isinstance(metadata, dict) or "name" not in metadata or "kind" not in document:
                continue
            named = (document.get("apiVersion"), document["kind"], metadata.get("namespace", ""), metadata["name"])
            found[(str(named[0]), str(named[1]), str(named[2]), str(named[3]))] = (path, document)
    return found


def _documents(text: str) -> list[Any]:
    """As JSON could hold them; none where what is committed is no such YAML, such as a conflict that was merged."""
    try:
        found: list[Any] = json.loads(json.dumps(list(yaml.load_all(text, _Loader)), default=str))
    except (yaml.YAMLError, ValueError, TypeError, RecursionError):
        return []
    return found


_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[ObjectChange, ...]:
    """The objects that are added, changed or removed. Only files that differ need to be given."""
    old, new = objects(before), objects(after)
    found = []
    for identity in sorted(old.keys() | new.keys(), key=lambda each: (each[1], each[2], each[3])):
        _, kind, namespace, name = identity
        if identity not in old:
            found.append(ObjectChange("+", kind, name, namespace, new[identity][0], ()))
        elif identity not in new:
            found.append(ObjectChange("-", kind, name, namespace, old[identity][0], ()))
        elif old[identity][1] != new[identity][1]:
            paths = _paths(old[identity][1], new[identity][1], ())
            found.append(ObjectChange("~", kind, name, namespace, new[identity][0], tuple(paths[:_MOST])))
    return tuple(found)


def _paths(old: Any, new: Any, at: tuple[str, ...]) -> list[str]:
    """Where two objects differ, no deeper than is worth reading."""
    if len(at) == _DEPTH or not (isinstance(old, dict) and isinstance(new, dict)):
        return [".".join(at)]
    changed = [key for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)]
    return [path for key in changed for path in _paths(old.get(key), new.get(key), (*at, str(key)))]


def pod_template(files: Mapping[str, str]) -> Any:
    """The pod template of the Rollout among rendered files; None where there is none."""
    for (_, kind, _, _), (_, document) in objects(files).items():
        if kind == "Rollout":
            spec = document.get("spec")
            return spec.get("template") if isinstance(spec, dict) else None
    return None
