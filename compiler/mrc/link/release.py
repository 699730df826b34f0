"""What linking yields: releases, and the models and the fleet that they belong to."""

from functools import cached_property
from typing import Literal

from mrc import modelconfig, runtime
from mrc.catalogue import Scope
from mrc.guardrail import TIERS, Guardrail, Watched
from mrc.read import Document, Path
from mrc.records import dataclass
from mrc.schema import Environment, Hold, ModelVersion, RolloutPolicy, Verdict, policy
from mrc.schema.guardrail import Action, Tier


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
    tier: Tier
    action: Action
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
    def place(self) -> str:
        """Where its objects are."""
        return f"the namespace {self.environment.spec.namespace} of {self.environment.spec.cluster}"

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
