"""Objects of two models, or of one model in two environments, that would have the same name or address."""

import re
from collections.abc import Iterable

from mrc.diagnostics import Diagnostic, error
from mrc.link import Fleet, Release

TAKEN = error(
    "MRC391", "a model whose name another model's objects have",
    reason="Both would be rendered under one name, and whichever is applied last takes the other's traffic.",
    hint="name the model otherwise",
)  # fmt: skip
TWICE = error(
    "MRC392", "a model twice in one place",
    reason="Two environments would render objects of one name, or answer at one address: whichever is applied last "
    "takes the traffic of the other, and a promotion in one of them replaces what serves in both.",
    hint="give each environment a namespace, and below one gateway a domain, of its own",
)  # fmt: skip
RULES = (TAKEN, TWICE)

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
    for model in fleet.models.values():
        found += _twice(model.releases)
    return found


def _twice(releases: Iterable[Release]) -> list[Diagnostic]:
    """The environments of a model that share a namespace, or a way in, of one cluster."""
    found: list[Diagnostic] = []
    there: dict[tuple[str, ...], str] = {}
    for release in releases:
        spec, name = release.environment.spec, release.environment_name
        places: dict[tuple[str, ...], str] = {}
        places["namespace", spec.cluster, spec.namespace] = f"in the namespace {spec.namespace} of {spec.cluster}"
        if (way_in := spec.router.way_in) is not None:
            places["router", spec.cluster, spec.router.kind, *way_in] = (
                f"behind {release.model}.{way_in[1]} in {spec.cluster}"
            )
        for place, where in places.items():
            other = there.setdefault(place, name)
            if other != name:
                message = f"{other} and {name} both put {release.model} {where}"
                found.append(release.policy_document.report(TWICE, release.path, message, at_key=True))
                break
    return found
