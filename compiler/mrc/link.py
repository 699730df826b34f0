"""Objects to releases: references resolved, effective values filled in, nothing else.

A release is policy x version x environment: all that a target needs to render one folder.
"""

from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Literal

from mrc import catalogue, expression, modelconfig, promqlrules, runtime
from mrc.catalogue import Scope
from mrc.diagnostics import Diagnostic, error
from mrc.guardrail import (
    BURN_WINDOWS,
    TIERS,
    Absence,
    Bound,
    Comparison,
    Guardrail,
    Watched,
    WorseThanStable,
    burn_rate,
)
from mrc.load import Model, Objects
from mrc.metrics import BAD_PROMQL, NO_LABEL
from mrc.read import Document, Path
from mrc.schema import Environment, Hold, ModelVersion, RolloutPolicy, Verdict, policy
from mrc.schema.units import Threshold

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
NO_METRIC = error(
    "MRC204", "a metric that this environment does not have",
    reason="A guardrail on a series that nobody records can never fire.",
    hint="use a metric that the router or the runtime has, declare one in mrc.yaml, or write promql with samples",
)  # fmt: skip
WRONG_UNIT = error(
    "MRC205", "a limit in the wrong unit",
    reason="Prometheus compares bare numbers: 250 where seconds are meant is four minutes, and never fires.",
    hint="write the limit with its unit",
)  # fmt: skip
WRONG_SIDE = error(
    "MRC206", "a limit on the side that cannot be worse",
    reason="A lower bound on what is worse when higher fires on health and is silent on failure.",
    hint="write max where higher is worse, min where lower is",
)  # fmt: skip
BAD_CONFIG = error(
    "MRC207", "Triton would refuse this model",
    reason="Triton says so at load time only, in its log, on a pod that then never becomes ready.",
    hint="correct the config; it is Triton's own ModelConfig in its JSON form",
    source="https://github.com/triton-inference-server/common/blob/main/protobuf/model_config.proto",
)  # fmt: skip
NEVER_WORSE = error(
    "MRC209", "a limit that no value can pass",
    reason="A share is between 0 and 1: a bound outside, or on the edge, never fires.",
    hint="choose a limit inside the range",
)  # fmt: skip
NOT_THERE = error(
    "MRC215", "a guardrail for an environment that the policy does not have",
    reason="It watches nowhere under that name, and looks as if it did.",
    hint="name environments of the same policy, or leave environments out",
)  # fmt: skip
BAD_SERVER = error(
    "MRC221", "the server could not serve this version as it is written",
    reason="What the server misses it says at its start only, in the log of a pod that then never becomes ready; what "
    "it takes from elsewhere is not the version that was tested.",
    hint="make runtime and bundle agree",
)  # fmt: skip
RULES = (
    NO_VERSION,
    NO_ENVIRONMENT,
    NO_POLICY,
    NO_METRIC,
    WRONG_UNIT,
    WRONG_SIDE,
    BAD_CONFIG,
    NEVER_WORSE,
    NOT_THERE,
    BAD_SERVER,
)


@dataclass(frozen=True, eq=False)  # one object a version, so that what is derived from it can be kept beside it
class Version:
    """A version, and what its server offers.

    `configs` are by Triton model; `entrypoint` is the name that clients call.
    """

    number: int
    document: Document
    object: ModelVersion
    configs: dict[str, modelconfig.Config]
    entrypoint: str
    server: runtime.Server


@dataclass(frozen=True)
class Unwatched:
    """A guardrail of the policy that does not watch in this environment, and whether its metric is measured there."""

    name: str
    metric: str | None
    tier: policy.Tier
    action: policy.Action
    measured: bool


@dataclass(frozen=True, eq=False)
class Release:
    """One model in one environment."""

    model: str
    team: str
    environment: Environment
    environment_document: Document
    policy: policy.PolicyEnvironment
    policy_document: Document
    version: Version
    fallback: Version | None
    retained: tuple[Version, ...]
    verdicts: dict[int, Verdict]
    guardrails: tuple[Guardrail, ...]
    side_effects: Literal["none"] | None
    unwatched: tuple[Unwatched, ...] = ()
    hold: tuple[Document, Hold] | None = None
    """The hold whose `serve` stands in `policy`, in place of what the policy says."""

    @property
    def environment_name(self) -> str:
        return self.environment.metadata.name

    @property
    def folder(self) -> str:
        """Where the release is rendered."""
        return f"rendered/{self.environment_name}/{self.model}"

    @property
    def path(self) -> Path:
        """Where the policy speaks of this environment."""
        return ("spec", "environments", self.environment_name)

    @cached_property
    def watched(self) -> Watched:
        """What the guardrails are evaluated on."""
        names = tuple(sorted({version.entrypoint for version in self.retained}))
        window = TIERS["short"].window
        scope = Scope(self.model, self.environment.spec.namespace, names, window, self.environment_name)
        fallback = self.fallback.number if self.fallback else None
        return Watched(scope, self.environment_name, self.version.number, fallback)


@dataclass(frozen=True)
class LinkedModel:
    """A model with everything of it that could be linked."""

    name: str
    policy_document: Document
    policy: RolloutPolicy
    versions: dict[int, Version]
    verdicts: dict[int, tuple[Document, Verdict]]
    releases: tuple[Release, ...]


@dataclass(frozen=True)
class Fleet:
    """All models, in all environments."""

    environments: dict[str, tuple[Document, Environment]]
    models: dict[str, LinkedModel]

    @property
    def releases(self) -> list[Release]:
        """By environment, then by model."""
        found = [release for model in self.models.values() for release in model.releases]
        return sorted(found, key=lambda release: (release.environment_name, release.model))


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
        versions = _versions(model, known, found)
        if model.policy is None:
            _without_policy(model, objects, found)
            continue
        document, rollout_policy = model.policy
        for guardrail_name, guardrail in rollout_policy.spec.guardrails.items():
            _syntax(document, guardrail_name, guardrail, found)
            _places(document, guardrail_name, guardrail, rollout_policy, found)
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


def _versions(model: Model, known: dict[int, Version], found: list[Diagnostic]) -> dict[int, Version]:
    linked: dict[int, Version] = {}
    for number, (document, version) in sorted(model.versions.items()):
        if number in known and known[number].document is document:
            linked[number] = known[number]
            continue
        problems = [
            document.report(BAD_SERVER, ("spec", *one.path), one.message, one.hint, at_key=one.at_key)
            for one in runtime.problems(version)
        ]
        configs: dict[str, modelconfig.Config] = {}
        entrypoint: str = version.metadata.name
        if version.spec.triton is not None:
            configs, entrypoint = _triton(document, version, problems)
        if problems:
            found += problems
        else:
            linked[number] = Version(number, document, version, configs, entrypoint, runtime.server(version))
    return linked


def _triton(
    document: Document, version: ModelVersion, found: list[Diagnostic]
) -> tuple[dict[str, modelconfig.Config], str]:
    """The Triton configs by Triton model, and the model that clients call."""
    assert version.spec.triton is not None
    configs: dict[str, modelconfig.Config] = {}
    entrypoint = ""
    for name in version.spec.triton.models:
        try:
            configs[name] = modelconfig.config(version, name)
        except modelconfig.ConfigError as wrong:
            above: Path = ("spec", "triton", "models", name, "config")
            found += [
                document.report(BAD_CONFIG, (*above, *one.path), f"{name}: {one.message}", at_key=one.at_key)
                for one in wrong.problems
            ]
    try:
        entrypoint = modelconfig.entrypoint(version)
    except modelconfig.ConfigError as problem:
        found.append(document.report(BAD_CONFIG, ("spec", "triton"), str(problem)))
    return configs, entrypoint


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
    guardrails = [
        _guardrail(document, guardrail_name, guardrail, metrics, measured, found)
        for guardrail_name, guardrail in sorted(rollout_policy.spec.guardrails.items())
        if _watches(guardrail, name)
    ]
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
        guardrails=tuple(guardrail for guardrail in guardrails if guardrail is not None),
        side_effects=rollout_policy.spec.side_effects,
        unwatched=tuple(
            Unwatched(
                guardrail_name,
                guardrail.metric,
                guardrail.tier,
                guardrail.action or TIERS[guardrail.tier].action,
                guardrail.metric is None or guardrail.metric in metrics,
            )
            for guardrail_name, guardrail in sorted(rollout_policy.spec.guardrails.items())
            if not _watches(guardrail, name)
        ),
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


def _syntax(document: Document, name: str, guardrail: policy.Guardrail, found: list[Diagnostic]) -> None:
    for key, written in (("promql", guardrail.promql), ("samples", guardrail.samples)):
        path = ("spec", "guardrails", name, key)
        if written is None:
            continue
        if (problem := promqlrules.problem(written)) is not None:
            found.append(document.report(BAD_PROMQL, path, f"Prometheus would refuse {key}: {problem}"))
            continue
        lost = [label for label in ("model", "version") if expression.loses(written, label)]
        if lost:
            message = f"{name}: no series of {key} has the label {' or '.join(lost)}"
            found.append(document.report(NO_LABEL, path, message))


def _places(
    document: Document, name: str, guardrail: policy.Guardrail, whole: RolloutPolicy, found: list[Diagnostic]
) -> None:
    for index, place in enumerate(guardrail.environments or ()):
        if place not in whole.spec.environments:
            close = catalogue.closest(place, whole.spec.environments)
            meant = f"; did you mean {close}?" if close else ""
            message = f"{name}: the policy has no environment {place}{meant}"
            found.append(document.report(NOT_THERE, ("spec", "guardrails", name, "environments", index), message))


def _watches(guardrail: policy.Guardrail, environment: str) -> bool:
    return guardrail.environments is None or environment in guardrail.environments


def _guardrail(
    document: Document,
    name: str,
    written: policy.Guardrail,
    metrics: dict[str, catalogue.Metric],
    where: str,
    found: list[Diagnostic],
) -> Guardrail | None:
    path: Path = ("spec", "guardrails", name)
    metric = None
    if written.metric is not None:
        metric = metrics.get(written.metric)
        if metric is None:
            found.append(_no_metric(document, path, written.metric, metrics, where))
            return None
    unit = metric.unit if metric else written.unit or "number"
    comparison = _comparison(document, path, written, unit, metric, found)
    if comparison is None:
        return None
    tier = TIERS[written.tier]
    min_samples = metric.min_samples if metric and metric.min_samples else tier.min_samples
    return Guardrail(
        name=name,
        title=metric.title if metric else "the team's own expression",
        unit=unit,
        tier=written.tier,
        window=written.window or (BURN_WINDOWS[written.burn_rate.factor][0] if written.burn_rate else tier.window),
        min_samples=int(written.min_samples or min_samples),
        action=written.action or tier.action,
        on_missing=written.on_missing,
        comparison=comparison,
        metric=metric,
        promql=written.promql or "",
        samples_promql=written.samples or "",
        everywhere=written.environments is None,
    )


def _no_metric(
    document: Document, path: Path, name: str, metrics: dict[str, catalogue.Metric], where: str
) -> Diagnostic:
    others = catalogue.measured_by(name)
    if others:
        message = f"{name} is not measured in {where}; {', '.join(others)} would"
    else:
        close = catalogue.closest(name, metrics)
        message = f"neither the catalogue nor mrc.yaml has a metric {name!r}" + (
            f"; did you mean {close}?" if close else ""
        )
    hint = f"measured there: {', '.join(sorted(metrics))}; or declare one in mrc.yaml, or write promql with samples"
    if others:
        hint += ", in a guardrail with environments: [...]; and name in this one those that have the metric"
    return document.report(NO_METRIC, (*path, "metric"), message, hint)


def _comparison(
    document: Document,
    path: Path,
    written: policy.Guardrail,
    unit: str,
    metric: catalogue.Metric | None,
    found: list[Diagnostic],
) -> Comparison | None:
    if written.absent is not None:
        return Absence()
    if written.worse_than_stable is not None:
        tolerance = written.worse_than_stable
        worse = (metric.worse if metric else written.worse) or "higher"
        absolute: Decimal | None = Decimal(0)
        if tolerance.absolute is not None:
            place = (*path, "worseThanStable", "absolute")
            absolute = _limit(document, place, tolerance.absolute, unit, found)
        if absolute is None:
            return None
        return WorseThanStable(Decimal(tolerance.relative or 0), absolute, worse)
    if written.burn_rate is not None:
        assert metric is not None
        place = (*path, "burnRate")
        if metric.unit != "ratio" or metric.worse != "higher":
            message = f"{metric.name} is no share of bad requests: it has no error budget"
            found.append(document.report(WRONG_UNIT, place, message, "use a ratio such as error_ratio, or write max"))
            return None
        burn = burn_rate(written.burn_rate.objective, written.burn_rate.factor)
        if burn.limit >= 1:
            message = f"{burn.factor} times the budget of {burn.objective} is more than all requests"
            found.append(document.report(NEVER_WORSE, place, message))
            return None
        return burn
    key, threshold = ("max", written.max) if written.max is not None else ("min", written.min)
    assert threshold is not None
    limit = _limit(document, (*path, key), threshold, unit, found)
    if limit is None:
        return None
    worse = "higher" if key == "max" else "lower"
    if metric is not None and metric.worse not in (None, worse):
        message = f"{key} on {metric.name}, which is worse when {metric.worse}"
        found.append(document.report(WRONG_SIDE, (*path, key), message))
        return None
    if unit == "ratio" and not (0 <= limit < 1 if key == "max" else 0 < limit <= 1):
        message = f"{key}: {threshold} on a share: no value can be {'above' if key == 'max' else 'below'} it"
        found.append(document.report(NEVER_WORSE, (*path, key), message))
        return None
    if metric is not None and key == "min" and limit <= 0 and unit != "number":
        found.append(document.report(NEVER_WORSE, (*path, key), f"min: {threshold}: {metric.name} is never below 0"))
        return None
    return Bound(limit, worse)


def _limit(document: Document, path: Path, threshold: Threshold, unit: str, found: list[Diagnostic]) -> Decimal | None:
    try:
        return threshold.in_unit(unit)
    except ValueError as problem:
        found.append(document.report(WRONG_UNIT, path, str(problem)))
        return None
