"""Objects to releases: references resolved, effective values filled in, nothing else.

A release is policy x version x environment: all that a target needs to render one folder.
"""

from mrc import catalogue
from mrc.diagnostics import Diagnostic, error
from mrc.link.guardrails import RULES as OF_GUARDRAILS
from mrc.link.guardrails import link_guardrails, unlinkable
from mrc.link.release import Fleet, LinkedModel, Release, Unwatched, Version
from mrc.link.versions import RULES as OF_VERSIONS
from mrc.link.versions import link_versions
from mrc.load import Model, Objects
from mrc.read import Document, Path
from mrc.schema import Hold, policy

NO_VERSION = error(
    "MRC201", "a version that does not exist",
    reason="What serves, and what it falls back to, must be there whole: a rollback to a file that is gone is none.",
    hint="add policies/<model>/versions/<n>.yaml, or name a version that exists",
)  # fmt: skip
NO_ENVIRONMENT = error(
    "MRC202", "an environment that does not exist",
    reason="The cluster, the router and the limits come from the environment's file.",
    hint="add environments/<environment>.yaml, or name one that exists",
)  # fmt: skip
NO_POLICY = error(
    "MRC203", "versions without a policy",
    reason="A version that no policy serves is rendered nowhere.",
    hint="add policies/<model>/policy.yaml, or remove the folder",
)  # fmt: skip
RULES = (NO_VERSION, NO_ENVIRONMENT, NO_POLICY, *OF_VERSIONS, *OF_GUARDRAILS)


def link(
    objects: Objects, own: dict[str, catalogue.Metric], like: Fleet | None = None
) -> tuple[Fleet, list[Diagnostic]]:
    """Resolve every reference; a release with a broken one is left out, and said.

    `own` are the metrics that mrc.yaml declares. A version that `like` has of the very same document is taken from it.
    """
    found: list[Diagnostic] = []
    models: dict[str, LinkedModel] = {}
    for name in sorted(objects.models):
        model = objects.models[name]
        known = like.models[name].versions if like is not None and name in like.models else {}
        versions = link_versions(model, known, found)
        if model.policy is None:
            _without_policy(model, objects, found)
            continue
        document, rollout_policy = model.policy
        found += unlinkable(document, rollout_policy)
        releases = [
            release
            for environment in sorted(rollout_policy.spec.environments)
            if (release := _release(objects, model, versions, environment, own, found)) is not None
        ]
        models[name] = LinkedModel(name, document, rollout_policy, versions, model.verdicts, tuple(releases))
    return Fleet(objects.environments, models), _unique(found)


def _unique(found: list[Diagnostic]) -> list[Diagnostic]:
    """A guardrail is linked once an environment; what is the same everywhere is said once."""
    return list(dict.fromkeys(found))


def _without_policy(model: Model, objects: Objects, found: list[Diagnostic]) -> None:
    if f"policies/{model.name}/policy.yaml" in objects.broken:
        return
    documents = [document for document, _ in (*model.versions.values(), *model.verdicts.values())]
    for document in documents[:1]:
        found.append(document.report(NO_POLICY, (), f"model {model.name} has no policy.yaml"))


def _release(
    objects: Objects,
    model: Model,
    versions: dict[int, Version],
    name: str,
    own_metrics: dict[str, catalogue.Metric],
    found: list[Diagnostic],
) -> Release | None:
    assert model.policy is not None
    document, rollout_policy = model.policy
    own = rollout_policy.spec.environments[name]
    path: Path = ("spec", "environments", name)
    hold, held = _held(objects, model.name, name)
    if held is not None:
        own = own.model_copy(update={"serve": held})
    if name not in objects.environments:
        if f"environments/{name}.yaml" not in objects.broken:
            have = ", ".join(sorted(objects.environments)) or "none"
            message = f"there is no environments/{name}.yaml (there is {have})"
            found.append(document.report(NO_ENVIRONMENT, path, message))
        return None
    served = _reference(objects, model, versions, (*path, "serve", "version"), int(own.serve.version), found)
    fallback = None
    if own.serve.fallback is not None:
        fallback_path = (*path, "serve", "fallback")
        fallback = _reference(objects, model, versions, fallback_path, int(own.serve.fallback), found)
        if fallback is None:
            return None
    if served is None:
        return None
    environment_document, environment = objects.environments[name]
    metrics = own_metrics | catalogue.available(environment.spec.router.kind, served.object.spec.runtime)
    measured = f"{name} (router {environment.spec.router.kind}, runtime {served.object.spec.runtime})"
    guardrails, unwatched = link_guardrails(document, rollout_policy, name, metrics, measured, found)
    return Release(
        model=model.name,
        team=rollout_policy.metadata.team,
        environment=environment,
        environment_document=environment_document,
        policy=own,
        policy_document=document,
        version=served,
        fallback=fallback,
        retained=tuple(versions[number] for number in sorted(versions)),
        verdicts={number: verdict for number, (_, verdict) in sorted(model.verdicts.items())},
        guardrails=guardrails,
        side_effects=rollout_policy.spec.side_effects,
        unwatched=unwatched,
        hold=hold,
    )


def _held(objects: Objects, model: str, environment: str) -> tuple[tuple[Document, Hold] | None, policy.Serve | None]:
    """The hold that bears on the release, and what it lets serve. A model's own goes before the environment's."""
    for place in ((environment, model), (environment, None)):
        hold = objects.holds.get(place)
        serve = hold[1].serves(model) if hold is not None else None
        if serve is not None:
            return hold, serve
    return None, None


def _reference(
    objects: Objects,
    model: Model,
    versions: dict[int, Version],
    path: Path,
    number: int,
    found: list[Diagnostic],
) -> Version | None:
    if number in versions:
        return versions[number]
    file = f"policies/{model.name}/versions/{number}.yaml"
    if number not in model.versions and file not in objects.broken:
        assert model.policy is not None
        have = ", ".join(str(n) for n in sorted(model.versions)) or "none"
        message = f"version {number} does not exist: there is no {file} (there is {have})"
        found.append(model.policy[0].report(NO_VERSION, path, message))
    return None


__all__ = ["RULES", "Fleet", "LinkedModel", "Release", "Unwatched", "Version", "link"]
