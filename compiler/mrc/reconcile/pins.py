"""What is held must be what is rendered: a change that was rendered before the hold can merge after it."""

import re

from mrc import labels
from mrc.compile import analyse
from mrc.load import Objects
from mrc.reconcile.change import Edits
from mrc.render import render
from mrc.tree import Tree, UnreadableError

_VERSION = re.compile(rf'^ +{re.escape(labels.VERSION)}: "(\d+)"$', re.MULTILINE)


def slipped(tree: Tree, objects: Objects, environment: str) -> dict[str, tuple[int, int]]:
    """The held models that are rendered with another version: what is pinned, and what is rendered."""
    places = objects.holds.items()
    holds = {name: hold for (where, name), (_, hold) in places if where == environment and hold.spec.cleared is None}
    whole = holds.pop(None, None)
    pinned = dict(whole.spec.models) if whole is not None else {}
    # A model's own hold goes before the environment's.
    pinned |= {
        name: hold.spec.serve for name, hold in holds.items() if name is not None and hold.spec.serve is not None
    }
    found = {}
    if pinned:
        tree.files(f"rendered/{environment}")  # in one go
    for name, serve in sorted(pinned.items()):
        rendered = _rendered(tree, f"rendered/{environment}/{name}/rollout.yaml")
        if rendered is not None and rendered != serve.version:
            found[name] = int(serve.version), rendered
    return found


def _rendered(tree: Tree, path: str) -> int | None:
    try:
        found = _VERSION.search(tree.read(path).decode(errors="replace"))
    except UnreadableError:
        return None
    return int(found[1]) if found else None


def pinned_again(tree: Tree, environment: str, model: str) -> Edits:
    """The folder of a model as it renders with its hold; nothing when it does not link."""
    linked = analyse(tree, [model]).fleet.models.get(model)
    releases = [one for one in linked.releases if one.environment_name == environment] if linked is not None else []
    edits: Edits = {}
    for release in releases:
        wanted = {artifact.path: artifact.text.encode() for artifact in render(release)}
        there = tree.files(release.folder)
        edits |= dict.fromkeys(path for path in there if path not in wanted)
        edits |= {path: data for path, data in wanted.items() if path not in there or tree.read(path) != data}
    return edits


def said(environment: str, models: dict[str, tuple[int, int]]) -> str:
    """The message of the commit that renders them again."""
    if len(models) == 1:
        ((name, (version, _)),) = models.items()
        subject = f"Hold {name} at {version} in {environment}"
    else:
        subject = f"Hold {len(models)} models in {environment}"
    moved = [
        f"{name}: version {rendered} was rendered; the hold says {version}"
        for name, (version, rendered) in models.items()
    ]
    why = "A change that was rendered before the hold has merged after it. It moves nothing until the hold is cleared."
    trailers = [f"Mrc-Model: {name}" for name in models] + [f"Mrc-Environment: {environment}"]
    return "\n".join([subject, "", why, "", *moved, "", *trailers]) + "\n"
