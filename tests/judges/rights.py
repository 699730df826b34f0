"""What an account of a set of objects may do, by its Roles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Object = dict[str, Any]
Right = tuple[str, str, str, str, str]
"""Namespace, group, resource, name (or * for all), verb."""


def allowed(objects: Sequence[Object]) -> set[Right]:
    """What the Roles allow that are bound to the one ServiceAccount. ValueError when a binding is not what it seems."""
    (account,) = [each for each in objects if each["kind"] == "ServiceAccount"]
    own = {"kind": "ServiceAccount", **{key: account["metadata"][key] for key in ("name", "namespace")}}
    roles = {_place(each): each for each in objects if each["kind"] == "Role"}
    found: set[Right] = set()
    for binding in (each for each in objects if each["kind"] == "RoleBinding"):
        if binding["subjects"] != [own]:
            raise ValueError(f"{_place(binding)} is for {binding['subjects']}")
        namespace = binding["metadata"]["namespace"]
        role = roles.pop((namespace, binding["roleRef"]["name"]))
        found |= {
            (namespace, group, resource, name, verb)
            for rule in role["rules"] for group in rule["apiGroups"] for resource in rule["resources"]
            for name in rule.get("resourceNames", ["*"]) for verb in rule["verbs"]
        }  # fmt: skip
    if roles:
        raise ValueError(f"nobody is given {list(roles)}")
    return found


def _place(each: Object) -> tuple[str, str]:
    return each["metadata"]["namespace"], each["metadata"]["name"]
