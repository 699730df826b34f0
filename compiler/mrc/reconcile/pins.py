"""What is held must be what is rendered: a change that was rendered before the hold can merge after it."""

from mrc.compile import linked as link
from mrc.load import Objects
from mrc.reconcile.change import Edits
from mrc.reconcile.gittree import GitTree
from mrc.reconcile.survey import VERSION
from mrc.render import render
from mrc.tree import Tree


class Pins:
    """What is held in one environment against what is rendered. What it keeps saves reading all of it again."""

    def __init__(self, environment: str) -> None:
        self._environment = environment
        self._right: dict[str, tuple[str, int]] = {}
        """The rendered folders that were looked at and are as they are held, and at which version."""

    def slipped(self, tree: GitTree, objects: Objects) -> dict[str, tuple[int, int]]:
        """The held models that are rendered with another version: what is pinned, and what is rendered."""
        pinned = self._pinned(objects)
        folders = tree.folders(f"rendered/{self._environment}") if pinned else {}
        wanted = {name: (folders[name], version) for name, version in sorted(pinned.items()) if name in folders}
        self._right = {name: seen for name, seen in self._right.items() if wanted.get(name) == seen}
        look = [name for name in wanted if name not in self._right]
        found = {}
        rollouts = tree.across([wanted[name][0] for name in look], "rollout.yaml")
        for name, data in zip(look, rollouts, strict=True):
            match = VERSION.search(data.decode(errors="replace")) if data is not None else None
            if match is not None and int(match[1]) != wanted[name][1]:
                found[name] = wanted[name][1], int(match[1])
            else:
                self._right[name] = wanted[name]
        return found

    def _pinned(self, objects: Objects) -> dict[str, int]:
        """The version of each model that is held; its own hold goes before the environment's."""
        here = {name: hold for (where, name), (_, hold) in objects.holds.items() if where == self._environment}
        holds = {name: hold for name, hold in here.items() if hold.spec.cleared is None}
        whole = holds.pop(None, None)
        found = {name: int(serve.version) for name, serve in whole.spec.models.items()} if whole is not None else {}
        for name, hold in holds.items():
            if name is not None and hold.spec.serve is not None:
                found[name] = int(hold.spec.serve.version)
        return found


def pinned_again(tree: Tree, environment: str, model: str) -> Edits:
    """The folder of a model as it renders with its hold; nothing when it does not link."""
    linked = link(tree, [model]).fleet.models.get(model)
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
