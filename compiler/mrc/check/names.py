"""Two models side by side whose objects would have the same name."""

import re

from mrc.diagnostics import Diagnostic, error
from mrc.link import Fleet

TAKEN = error(
    "MRC391", "a model whose name another model's objects have",
    reason="Both would be rendered under one name, and whichever is applied last takes the other's traffic.",
    hint="name the model otherwise",
)  # fmt: skip
RULES = (TAKEN,)

# What stands behind a model's name in those of its Services, Ingresses, roles and templates.
_ENDING = re.compile(r"(.+)-(?:stable|canary|preview|bake|grpc|promote|v[1-9][0-9]*)")


def named_after(name: str) -> str | None:
    """The other model that could have objects of this name; None where no model can."""
    match = _ENDING.fullmatch(name)
    return match[1] if match is not None else None


def meets(one: str, other: str) -> bool:
    """Whether one of two models has a name that objects of the other have."""
    return named_after(one) == other or named_after(other) == one


def check(fleet: Fleet) -> list[Diagnostic]:
    """Findings about the names of all models; those in one namespace of one cluster meet."""
    places: dict[tuple[str, str], set[str]] = {}
    for release in fleet.releases:
        spec = release.environment.spec
        places.setdefault((spec.cluster, spec.namespace), set()).add(release.model)
    found: list[Diagnostic] = []
    for models in places.values():
        for name in sorted(models):
            other = named_after(name)
            if other in models:
                message = f"{name} is also what objects of the model {other} are called"
                found.append(fleet.models[name].policy_document.report(TAKEN, ("metadata", "name"), message))
    return found
