"""Files to documents to objects: what the tree holds, filed by what it is."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import cast

from mrc import __version__
from mrc.diagnostics import Diagnostic, at_file, error
from mrc.parse import parse
from mrc.read import UNREADABLE, Document, read
from mrc.records import dataclass, field, replace
from mrc.schema import Envelope, Environment, Hold, Incident, ModelVersion, Repository, RolloutPolicy, Verdict
from mrc.schema.repository import allows
from mrc.tree import NAME, SHARED, Tree, UnreadableError

NO_ROOT = error(
    "MRC010", "this is not the root of a repository of policies",
    reason="mrc.yaml marks the root; every path is relative to it.",
    hint="run mrc where mrc.yaml is, or make a repository with: mrc init DIR",
)  # fmt: skip
MISPLACED = error(
    "MRC011", "a file in a place where mrc does not read it",
    reason="A document that nobody reads is worse than none: it looks as if it counted.",
    hint="the places are policies/<model>/policy.yaml, policies/<model>/versions/<n>.yaml, "
    "policies/<model>/verdicts/<n>.yaml, environments/<environment>.yaml, holds/<environment>/<model>.yaml and "
    "incidents/<environment>/<model>/<id>.yaml",
)  # fmt: skip
DISAGREES = error(
    "MRC012", "the name in the file is not the name in its path",
    reason="A document copied and not renamed would speak for another model or version.",
    hint="make metadata agree with the path",
)  # fmt: skip
OTHER_MRC = error(
    "MRC013", "the tree belongs to another version of mrc",
    reason="Another version may render other bytes, and a fallback that is rendered otherwise is not restorable.",
    hint="install the version that mrc.yaml pins, or change the pin in a pull request of its own",
)  # fmt: skip
RULES = (NO_ROOT, MISPLACED, DISAGREES, OTHER_MRC)

_NUMBER = r"[1-9][0-9]{0,8}"
_ENVIRONMENT = re.compile(rf"environments/({NAME})\.yaml")
_POLICY = re.compile(rf"policies/({NAME})/policy\.yaml")
_NUMBERED = re.compile(rf"policies/({NAME})/(versions|verdicts)/({_NUMBER})\.yaml")
_INCIDENT = rf"incidents/({NAME})/({NAME})/(\d{{8}}-\d{{6}}-[0-9a-f]{{8}})\.yaml"  # compiled where there is one
_HOLD = rf"holds/({NAME})/({NAME}|_all)\.yaml"


@dataclass
class Model:
    """The documents of one model; a document that did not parse is left out."""

    name: str
    policy: tuple[Document, RolloutPolicy] | None = None
    versions: dict[int, tuple[Document, ModelVersion]] = field(default_factory=dict)
    verdicts: dict[int, tuple[Document, Verdict]] = field(default_factory=dict)


@dataclass
class Objects:
    """Everything that parsed, and what did not."""

    repository: tuple[Document, Repository] | None = None
    environments: dict[str, tuple[Document, Environment]] = field(default_factory=dict)
    models: dict[str, Model] = field(default_factory=dict)
    holds: dict[tuple[str, str | None], tuple[Document, Hold]] = field(default_factory=dict)
    """By environment and model; None is the whole environment."""
    broken: set[str] = field(default_factory=set)
    """Files with errors, so that a reference to one is not reported as missing on top."""
    parsed: dict[str, tuple[Document, Envelope]] = field(default_factory=dict)
    """Everything without a finding, by path."""


def load(
    tree: Tree, models: Iterable[str] | None = None, like: Objects | None = None
) -> tuple[Objects, list[Diagnostic]]:
    """Read and parse the tree; only these models when they are given (what they share always).

    What has the same bytes in `like`, which was loaded from a tree much like this one, is not parsed again.
    """
    objects, found = load_shared(tree, like)
    # A folder that cannot be a model's is looked at as well: it is said that nobody reads it.
    asked = sorted(name for name in set(models or ()) if "/" not in name and name not in ("", ".", ".."))
    folders = ["policies"] if models is None else [f"policies/{name}" for name in asked]
    for folder in folders:
        found += _folder(tree, folder, objects)
    return objects, found


def incidents(tree: Tree) -> list[Diagnostic]:
    """What is wrong with the records of incidents. Nothing is rendered from them, so that `load` leaves them out."""
    objects, found = Objects(), list[Diagnostic]()
    for path in tree.files("incidents"):
        match = re.fullmatch(_INCIDENT, path)
        if match is None:
            found.append(at_file(MISPLACED, path, "mrc reads no document in this place"))
            continue
        parsed = _parsed(tree, path, "Incident", objects, found)
        if parsed is not None:
            metadata = cast(Incident, parsed[1]).metadata
            if (metadata.environment, metadata.model, metadata.id) != match.groups():
                message = (
                    f"it is {metadata.id} of {metadata.model} in {metadata.environment}, and the path says otherwise"
                )
                found.append(parsed[0].report(DISAGREES, ("metadata",), message))
    return found + refused(tree, "incidents")


def load_shared(tree: Tree, like: Objects | None = None) -> tuple[Objects, list[Diagnostic]]:
    """What all models share: everything of the paths in SHARED."""
    objects, found = Objects(parsed=dict(like.parsed) if like is not None else {}), list[Diagnostic]()
    _root(tree, objects, found)
    for folder in SHARED[1:]:
        found += _folder(tree, folder, objects)
    if "mrc.yaml" in tree.refused:
        found.append(_refused("mrc.yaml", tree.refused["mrc.yaml"]))
    return objects, found


def entries(tree: Tree) -> tuple[list[str], list[Diagnostic]]:
    """What stands in policies/, each of which is a model to load, and what is wrong with the folder itself."""
    paths = tree.files("policies")
    found = refused(tree, "policies")
    if "policies" in paths:
        _file(tree, "policies", Objects(), found)
    return sorted({path.split("/")[1] for path in paths if "/" in path}), found


def load_models(
    tree: Tree, shared: Objects, names: Iterable[str], like: Objects | None = None
) -> tuple[Objects, list[Diagnostic]]:
    """These models beside what all models share. What has the same bytes in `like` is not parsed again."""
    parsed = {**shared.parsed, **(like.parsed if like is not None else {})}
    objects = replace(shared, models={}, broken=set(shared.broken), parsed=parsed)
    return objects, [item for name in names for item in _folder(tree, f"policies/{name}", objects)]


def _folder(tree: Tree, folder: str, objects: Objects) -> list[Diagnostic]:
    found: list[Diagnostic] = []
    for path in tree.files(folder):
        _file(tree, path, objects, found)
    return found + refused(tree, folder)


def refused(tree: Tree, folder: str) -> list[Diagnostic]:
    """What stands in a folder, or above it, and is no regular file; known once the folder was listed."""
    return [
        _refused(path, what)
        for path, what in sorted(tree.refused.items())
        if path == folder or path.startswith(f"{folder}/") or folder.startswith(f"{path}/")
    ]


def _refused(path: str, what: str) -> Diagnostic:
    return at_file(UNREADABLE, path, f"it is {what}; mrc reads regular files and follows no link")


def _root(tree: Tree, objects: Objects, found: list[Diagnostic]) -> None:
    if "mrc.yaml" not in tree.files("mrc.yaml"):
        found.append(at_file(NO_ROOT, "mrc.yaml", "there is no mrc.yaml here"))
        return
    parsed = _parsed(tree, "mrc.yaml", "Repository", objects, found)
    if parsed is None:
        return
    document, repository = parsed[0], cast(Repository, parsed[1])
    objects.repository = (document, repository)
    if not allows(repository.spec.mrc, __version__):
        message = f"mrc.yaml pins mrc {repository.spec.mrc}, and this is mrc {__version__}"
        found.append(document.report(OTHER_MRC, ("spec", "mrc"), message))


def _file(tree: Tree, path: str, objects: Objects, found: list[Diagnostic]) -> None:
    if match := _NUMBERED.fullmatch(path):
        name, folder, number = match[1], match[2], int(match[3])
        kind = "ModelVersion" if folder == "versions" else "Verdict"
        parsed = _parsed(tree, path, kind, objects, found, name, number)
        if parsed is not None:
            model = objects.models.setdefault(name, Model(name))
            held = model.versions if folder == "versions" else model.verdicts
            held[number] = parsed  # type: ignore[assignment]
    elif match := _POLICY.fullmatch(path):
        parsed = _parsed(tree, path, "RolloutPolicy", objects, found, match[1])
        if parsed is not None:
            objects.models.setdefault(match[1], Model(match[1])).policy = cast(tuple[Document, RolloutPolicy], parsed)
    elif match := _ENVIRONMENT.fullmatch(path):
        parsed = _parsed(tree, path, "Environment", objects, found, match[1])
        if parsed is not None:
            objects.environments[match[1]] = cast(tuple[Document, Environment], parsed)
    elif match := re.fullmatch(_HOLD, path):
        environment, name = match[1], None if match[2] == "_all" else match[2]
        parsed = _parsed(tree, path, "Hold", objects, found)
        if parsed is not None:
            _hold(path, (environment, name), cast(tuple[Document, Hold], parsed), objects, found)
    elif path.endswith((".yaml", ".yml", ".json")) or "/" not in path:
        found.append(at_file(MISPLACED, path, _why_misplaced(path)))


def _why_misplaced(path: str) -> str:
    """What is odd about the place of a document that nobody reads."""
    folder, _, rest = path.partition("/")
    inside, _, file = rest.rpartition("/")
    stem, _, ending = (file or rest).rpartition(".")
    if folder in ("policies", "environments", "holds") and ending == "yml":
        return f"mrc reads {stem}.yaml, not {stem}.yml"
    name, what = (stem, "an environment") if folder == "environments" else (rest.split("/")[0], "a model")
    if folder in ("policies", "environments") and not re.fullmatch(NAME, name):
        return f"{name} is no name of {what}: write lower-case letters, digits and hyphens, 40 at most"
    if folder == "policies" and inside.endswith(("/versions", "/verdicts")) and not re.fullmatch(_NUMBER, stem):
        return f"{stem} is no version: they are numbered 1, 2, 3"
    return "mrc reads no document in this place"


def _hold(
    path: str,
    place: tuple[str, str | None],
    parsed: tuple[Document, Hold],
    objects: Objects,
    found: list[Diagnostic],
) -> None:
    document, hold = parsed
    said = (hold.metadata.environment, hold.metadata.model)
    if said == place:
        objects.holds[place] = parsed
        return
    objects.broken.add(path)
    names = " in ".join(name or "everything" for name in reversed(said))
    found.append(document.report(DISAGREES, ("metadata",), f"it holds {names}, and the path says otherwise"))


def _parsed(
    tree: Tree,
    path: str,
    kind: str,
    objects: Objects,
    found: list[Diagnostic],
    name: str | None = None,
    number: int | None = None,
) -> tuple[Document, Envelope] | None:
    """The document and its object, or None with what is wrong added to `found`."""
    try:
        data = tree.read(path)
    except UnreadableError as problem:
        found.append(at_file(UNREADABLE, path, f"it cannot be read: {problem}"))
        objects.broken.add(path)
        return None
    if path in objects.parsed and objects.parsed[path][0].text.encode() == data:
        return objects.parsed[path]
    understood = _understood(path, data, kind)
    if isinstance(understood, list):
        found += understood
        objects.broken.add(path)
        return None
    document, parsed = understood
    metadata = document.data.get("metadata", {})
    for key, expected in (("name", name), ("version", number)):
        if expected is not None and metadata.get(key) != str(expected):
            message = f"{key} is {metadata.get(key)} and the path says {expected}"
            found.append(document.report(DISAGREES, ("metadata", key), message))
            objects.broken.add(path)
            return None
    objects.parsed[path] = document, parsed
    return document, parsed


@lru_cache(maxsize=128)
def _understood(path: str, data: bytes, kind: str) -> tuple[Document, Envelope] | list[Diagnostic]:
    """The document and its object, or what is wrong. A reconciler asks for the same few again and again."""
    document = read(path, data)
    if isinstance(document, Diagnostic):
        return [document]
    parsed = parse(document, kind)
    return parsed if isinstance(parsed, list) else (document, parsed)
