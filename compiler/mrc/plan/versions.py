"""Two versions to what is different in their bundles: digests by role, image, config, lineage."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from mrc.link import Version
from mrc.plan.model import Commits, FileOfBundle, Sign, VersionChange

# What of the spec is not the server's config: pinned files, and what a pod gets.
_SETTINGS = frozenset(("resources", "secrets", "startup"))
_APART = frozenset(("image", "bundle", "lineage", "evaluation", "profile", *_SETTINGS))
_LONGEST = 120  # characters of a value that are worth showing


def compare(before: Version | None, after: Version) -> VersionChange:
    """What `after` has that `before` has not. Without a version before, everything is new."""
    old: Mapping[str, Any] = before.document.data["spec"] if before is not None else {}
    new: Mapping[str, Any] = after.document.data["spec"]
    files = [*_bundle(old, new), *_image(old, new), *_values(old, new), *_data(old, new)]
    changed = {file.role for file in files}
    same = sorted((set(new["bundle"]) | {"image", "config", "settings"}) - changed)
    return VersionChange(tuple(files), tuple(same), _commits(old, new))


def _bundle(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[FileOfBundle]:
    was, now = _pins(old.get("bundle", {})), _pins(new["bundle"])
    for role, name in sorted(was.keys() | now.keys()):
        before, after = was.get((role, name)), now.get((role, name))
        pins = (str(before["sha256"]) if before else None, str(after["sha256"]) if after else None)
        if pins[0] != pins[1]:
            yield FileOfBundle(_sign(*pins), role, name, *pins, int(after["size"]) if after else None)


def _pins(bundle: Mapping[str, Any]) -> dict[tuple[str, str], Mapping[str, Any]]:
    return {(role, name): pin for role, files in bundle.items() for name, pin in files.items()}


def _image(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[FileOfBundle]:
    before, after = old.get("image"), str(new["image"])
    if before != after:
        yield FileOfBundle(_sign(before, after), "image", after.partition("@")[0], before, after)


def _values(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[FileOfBundle]:
    """Config of the server and what a pod gets, value by value. A first version is not spelt out."""
    if not old:
        return
    for key in sorted(old.keys() | new.keys()):
        if key in _APART and key not in _SETTINGS:
            continue
        was, now = dict(_leaves(old.get(key), key)), dict(_leaves(new.get(key), key))
        role = "settings" if key in _SETTINGS else "config"
        for path in sorted(was.keys() | now.keys()):
            if was.get(path) != now.get(path):
                yield FileOfBundle(_sign(was.get(path), now.get(path)), role, path, was.get(path), now.get(path))


def _leaves(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}")
    elif value is not None:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        yield path, text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _data(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[FileOfBundle]:
    was = {each["uri"]: str(each["sha256"]) for each in old.get("lineage", {}).get("data", ())}
    now = {each["uri"]: each for each in new["lineage"].get("data", ())}
    for uri in sorted(was.keys() | now.keys()):
        pins = (was.get(uri), str(now[uri]["sha256"]) if uri in now else None)
        if pins[0] != pins[1]:
            yield FileOfBundle(_sign(*pins), "data", uri, *pins, int(now[uri]["size"]) if uri in now else None)


def _commits(old: Mapping[str, Any], new: Mapping[str, Any]) -> Commits | None:
    was, now = old.get("lineage", {}).get("code"), new["lineage"]["code"]
    if was is None or was["repository"] != now["repository"]:
        return Commits(now["repository"], None, now["commit"])
    return Commits(now["repository"], was["commit"], now["commit"]) if was["commit"] != now["commit"] else None


def _sign(before: str | None, after: str | None) -> Sign:
    return "+" if before is None else "-" if after is None else "~"
