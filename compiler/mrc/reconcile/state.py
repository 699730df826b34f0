"""What decisions rest on, besides the failures: what git says, what the cluster and Prometheus say. Plain data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from mrc.reconcile.failure import Failure, Running
from mrc.schema import Hold, Incident
from mrc.schema.guardrail import Guardrail
from mrc.schema.policy import Hooks, Serve
from mrc.schema.reconcile import Reconcile


@dataclass(frozen=True)
class ModelState:
    """One model in the environment, as the tree has it. `serve` is what serves: a hold goes before the policy."""

    name: str
    serve: Serve
    versions: tuple[int, ...]
    rejected: frozenset[int] = frozenset()
    validated: frozenset[int] = frozenset()  # by a person
    hold: Hold | None = None
    unread: str | None = None  # the file of a hold that bears on it, and cannot be read
    incidents: tuple[Incident, ...] = ()  # oldest first
    cleared: datetime | None = None  # when its last hold was
    guardrails: Mapping[str, Guardrail] = field(default_factory=dict)
    hooks: Hooks = field(default_factory=Hooks)
    asked: frozenset[str] = frozenset()  # incidents that a pull request asks for; they are among `incidents`
    declined: frozenset[str] = frozenset()  # incidents whose pull request a person closed, or whose branch one changed


@dataclass(frozen=True)
class State:
    """The environment at one commit. `models` are those that fail."""

    environment: str
    settings: Reconcile
    models: Mapping[str, ModelState]
    total: int
    """How many models the environment has."""
    demands_validated: bool = False
    failing: Mapping[str, datetime] = field(default_factory=dict)
    """Models with an incident, and when the last one began."""
    hold: Hold | None = None
    """The hold on the whole environment, if it is not cleared."""
    cleared: datetime | None = None
    """When the last hold on the whole environment was."""
    withdrawn: frozenset[str] = frozenset()
    """Incidents whose records somebody took out of git again."""
    unhealthy: tuple[str, ...] = ()
    """What is wrong with the environment, in words."""
    worse: Mapping[tuple[str, str, int], str] = field(default_factory=dict)
    """Guardrails that are worse, by model, guardrail and version, with what was seen."""
    unfit: Mapping[tuple[str, int], str] = field(default_factory=dict)
    """Versions whose files are not what was promised, by model and version."""
    running: Mapping[str, Running] = field(default_factory=dict)
    others: tuple[Failure, ...] = ()
    """What fails besides, and was decided on a moment ago: a fleet may fail one model after another."""
