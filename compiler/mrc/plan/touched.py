"""Changed paths to the releases that they may change: the others need no second look."""

from collections.abc import Iterable

from mrc.check import names
from mrc.link import Release
from mrc.records import dataclass


@dataclass(frozen=True)
class Touched:
    """Which models and environments have a changed file. `everything`: a change that reaches all of them."""

    models: frozenset[str]
    environments: frozenset[str]
    releases: frozenset[tuple[str, str]]
    """Environment and model whose rendered files or hold were changed."""
    everything: bool

    def __bool__(self) -> bool:
        return bool(self.models or self.environments or self.releases or self.everything)

    @property
    def to_load(self) -> set[str] | None:
        """The models that must be read; None for all, since an environment speaks to each of them."""
        if self.everything or self.environments:
            return None
        return {*self.models, *(model for _, model in self.releases)}

    def to_load_of(self, models: Iterable[str]) -> set[str] | None:
        """The same, with those of all models whose names could meet theirs: together they are right or wrong."""
        if self.to_load is None:
            return None
        return {*self.to_load, *(name for name in models if any(names.meets(name, one) for one in self.to_load))}

    def has(self, release: Release) -> bool:
        """Whether the release may differ."""
        where = release.environment_name
        return (
            self.everything
            or release.model in self.models
            or where in self.environments
            or (where, release.model) in self.releases
        )


def touched(paths: Iterable[str]) -> Touched:
    """What changed files may change. Paths are relative to the root of the repository of policies."""
    models, environments, held, everything = set(), set(), set(), False
    for path in paths:
        match path.split("/"):
            case ["mrc.yaml"] | ["policies"] | ["environments"] | ["holds"]:  # a file in the place of a folder
                everything = True
            case ["policies", model, *_]:
                models.add(model)
            case ["environments", file]:
                environments.add(file.removesuffix(".yaml"))
            case ["holds", environment, "_all.yaml"]:
                environments.add(environment)
            case ["holds", environment, file]:
                held.add((environment, file.removesuffix(".yaml")))
            case ["rendered", environment, model, _]:
                held.add((environment, model))
    return Touched(frozenset(models), frozenset(environments), frozenset(held), everything)
