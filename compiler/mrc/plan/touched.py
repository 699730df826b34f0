"""Changed paths to the releases that they may change: the others need no second look."""

from collections.abc import Iterable
from dataclasses import dataclass

from mrc.link import Release


@dataclass(frozen=True)
class Touched:
    """Which models and environments have a changed file. `everything`: a change that reaches all of them."""

    models: frozenset[str]
    environments: frozenset[str]
    rendered: frozenset[tuple[str, str]]
    """Environment and model whose rendered files were changed."""
    everything: bool

    def __bool__(self) -> bool:
        return bool(self.models or self.environments or self.rendered or self.everything)

    @property
    def to_load(self) -> set[str] | None:
        """The models that must be read; None for all, since an environment speaks to each of them."""
        if self.everything or self.environments:
            return None
        return {*self.models, *(model for _, model in self.rendered)}

    def has(self, release: Release) -> bool:
        """Whether the release may differ."""
        where = release.environment_name
        return (
            self.everything
            or release.model in self.models
            or where in self.environments
            or (where, release.model) in self.rendered
        )


def touched(paths: Iterable[str]) -> Touched:
    """What changed files may change. Paths are relative to the root of the repository of policies."""
    models, environments, rendered, everything = set(), set(), set(), False
    for path in paths:
        match path.split("/"):
            case ["mrc.yaml"]:
                everything = True
            case ["policies", model, *_]:
                models.add(model)
            case ["holds", environment, file]:
                if file == "_all.yaml":
                    environments.add(environment)
                else:
                    models.add(file.removesuffix(".yaml"))
            case ["environments", file]:
                environments.add(file.removesuffix(".yaml"))
            case ["rendered", environment, model, _]:
                rendered.add((environment, model))
    return Touched(frozenset(models), frozenset(environments), frozenset(rendered), everything)
