"""A promotion: the one line that changes, and every other byte kept."""

import re

from mrc.link import LinkedModel
from mrc.read import Document


class PromotionError(Exception):
    """The promotion cannot be made; the message says why."""


def promote(model: LinkedModel, environment: str, version: int) -> str:
    """The text of policy.yaml with `serve` of the environment naming `version`.

    The version that serves now becomes the fallback, unless it was rejected there: then the fallback stays.
    """
    policy = model.policy.spec.environments.get(environment)
    if policy is None:
        have = ", ".join(sorted(model.policy.spec.environments))
        raise PromotionError(f"{model.name} is not in {environment}; it is in {have}")
    if version not in model.versions:
        have = ", ".join(str(number) for number in sorted(model.versions))
        raise PromotionError(f"{model.name} has no version {version}; it has {have}")
    serving = int(policy.serve.version)
    if serving == version:
        raise PromotionError(f"version {version} of {model.name} already serves in {environment}")
    candidates = [serving, *([int(policy.serve.fallback)] if policy.serve.fallback else [])]
    candidates += sorted((number for number in model.versions if number < version), reverse=True)
    fit = [n for n in candidates if n != version and n in model.versions and not _rejected(model, n, environment)]
    if not fit:
        raise PromotionError(f"no version of {model.name} is left to fall back to")
    return _edit(model.policy_document, environment, version, fit[0])


def _rejected(model: LinkedModel, number: int, environment: str) -> bool:
    verdict = model.verdicts.get(number)
    return verdict is not None and environment in verdict[1].spec.rejected


def _edit(document: Document, environment: str, version: int, fallback: int) -> str:
    path = ("spec", "environments", environment, "serve")
    lines = document.text.split("\n")
    has_fallback = "fallback" in document.data["spec"]["environments"][environment]["serve"]
    edits = [("version", version)] + ([("fallback", fallback)] if has_fallback else [])
    # From the end, so that the places found before stay right.
    for key, number in sorted(edits, key=lambda edit: document.position((*path, edit[0])), reverse=True):
        line, column = document.position((*path, key))
        text = lines[line - 1]
        tail = re.sub(r"^([\"\']?)\d+", rf"\g<1>{number}", text[column - 1 :])
        if key == "version" and not has_fallback:
            tail = re.sub(r"^(\S*?\d+[\"']?)", rf"\1, fallback: {fallback}", tail)
        lines[line - 1] = text[: column - 1] + tail
    edited = "\n".join(lines)
    _verify(document, path, edited, version, fallback)
    return edited


def _verify(document: Document, path: tuple[str, ...], edited: str, version: int, fallback: int) -> None:
    from mrc.read import read

    again = read(document.file, edited.encode())
    expected = document.data
    serve = {"version": str(version), "fallback": str(fallback)}
    if not isinstance(again, Document) or again.data["spec"]["environments"][path[2]]["serve"] != serve:
        raise PromotionError(
            f"the serve line of {path[2]} is written in a way that mrc does not edit: "
            f"write serve: {{version: {version}, fallback: {fallback}}} by hand"
        )
    assert expected.keys() == again.data.keys()
