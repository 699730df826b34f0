"""A promotion: the one line that changes, and every other byte kept."""

import re
from typing import Any

from mrc.link import LinkedModel
from mrc.read import Document


class PromotionError(Exception):
    """The promotion cannot be made; the message says why."""


def promote(model: LinkedModel, environment: str, version: int) -> str:
    """The text of policy.yaml with `serve` of the environment naming `version` and its `next_fallback`."""
    policy = model.policy.spec.environments.get(environment)
    if policy is None:
        have = ", ".join(sorted(model.policy.spec.environments))
        raise PromotionError(f"{model.name} is not in {environment}; it is in {have}")
    if version not in model.versions:
        have = ", ".join(str(number) for number in sorted(model.versions))
        raise PromotionError(f"{model.name} has no version {version}; it has {have}")
    held = next((one.hold for one in model.releases if one.environment_name == environment and one.hold), None)
    if held is not None:
        document, hold = held
        name = model.name if hold.metadata.model is not None else "--all"
        raise PromotionError(
            f"{model.name} is held in {environment} since {hold.spec.at} by {hold.spec.by} ({document.file}): "
            f"{hold.spec.reason}. When it is safe again: mrc clear {name} -e {environment} --reason TEXT"
        )
    if int(policy.serve.version) == version:
        raise PromotionError(f"version {version} of {model.name} already serves in {environment}")
    return serve_line(model.policy_document, environment, version, next_fallback(model, environment, version))


def next_fallback(model: LinkedModel, environment: str, version: int) -> int | None:
    """What `version` falls back to when it is promoted: the version that serves now, unless it was rejected there.

    Then the fallback stays, or an older version takes its place; None where all of them were rejected.
    """
    serve = model.policy.spec.environments[environment].serve
    candidates = [int(serve.version), *([int(serve.fallback)] if serve.fallback else [])]
    candidates += sorted((number for number in model.versions if number < version), reverse=True)
    fit = (n for n in candidates if n != version and n in model.versions and not _rejected(model, n, environment))
    return next(fit, None)


def _rejected(model: LinkedModel, number: int, environment: str) -> bool:
    verdict = model.verdicts.get(number)
    return verdict is not None and environment in verdict[1].spec.rejected


def serve_line(document: Document, environment: str, version: int, fallback: int | None) -> str:
    """The policy's text with that serve line, and every other byte kept; PromotionError where mrc cannot edit it."""
    path = ("spec", "environments", environment, "serve")
    had = document.data["spec"]["environments"][environment]["serve"]
    lines = document.text.split("\n")
    edits: list[tuple[str, int | None]] = [("version", version)]
    if "fallback" in had:
        edits.append(("fallback", fallback))
    # From the end, so that the places found before stay right.
    for key, number in sorted(edits, key=lambda edit: document.position((*path, edit[0])), reverse=True):
        line, column = document.position((*path, key))
        head, tail = lines[line - 1][: column - 1], lines[line - 1][column - 1 :]
        if number is None:
            head, tail = _without(head, tail)
        else:
            tail = re.sub(r"^(\w+\s*:\s*[\"\']?|[\"\']?)\d+", rf"\g<1>{number}", tail)
        if key == "version" and "fallback" not in had and fallback is not None:
            tail = re.sub(r"^((?:\w+\s*:\s*)?[\"\']?\d+[\"\']?)", rf"\1, fallback: {fallback}", tail)
        lines[line - 1] = head + tail
        if number is None and not (head + tail).strip():
            del lines[line - 1]
    edited = "\n".join(lines)
    _verify(document, path, edited, version, fallback)
    return edited


def _without(head: str, tail: str) -> tuple[str, str]:
    """Both sides of a key that goes, in a flow mapping or on a line of its own."""
    rest = re.sub(r"^(?:\w+\s*:\s*)?[\"\']?\d+[\"\']?", "", tail)
    head = re.sub(r"fallback\s*:\s*$", "", head)
    if head.rstrip().endswith(","):
        return head.rstrip()[:-1], rest
    return head, re.sub(r"^\s*,\s*", "", rest)


def _verify(document: Document, path: tuple[str, ...], edited: str, version: int, fallback: int | None) -> None:
    from mrc.read import read

    again = read(document.file, edited.encode())
    serve = {"version": str(version)} | ({"fallback": str(fallback)} if fallback is not None else {})
    if not isinstance(again, Document) or again.data != _with(document.data, path, serve):
        shown = ", ".join(f"{key}: {number}" for key, number in serve.items())
        raise PromotionError(
            f"the serve line of {path[2]} is written in a way that mrc does not edit: write serve: {{{shown}}} by hand"
        )


def _with(data: Any, path: tuple[str, ...], value: object) -> Any:
    """A copy of nested mappings with another value at the path."""
    return {**data, path[0]: _with(data[path[0]], path[1:], value)} if path else value
