"""What a tree says about the models of one environment: what serves, verdicts, holds, incidents."""

import re
from collections.abc import Container, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from mrc import labels
from mrc.diagnostics import Diagnostic
from mrc.load import Objects, load
from mrc.parse import parse
from mrc.read import read
from mrc.reconcile.gittree import GitTree
from mrc.reconcile.state import ModelState
from mrc.schema import Environment, Hold, Incident
from mrc.schema.policy import Serve
from mrc.schema.units import Positive
from mrc.spelling import closest
from mrc.tree import NAME, SHARED, Tree, UnreadableError

VERSION = re.compile(rf'^ +{re.escape(labels.VERSION)}: "([1-9][0-9]{{0,8}})"$', re.MULTILINE)
"""The line of a rendered Rollout that says which version it is of."""
RECORDS = 50
"""How many of the newest incidents of a model are read."""


@dataclass(frozen=True)
class Survey:
    """The environment and the models asked for; a model that cannot be read, or is not there, is left out."""

    environment: Environment
    models: dict[str, ModelState]
    hold: Hold | None
    unread: frozenset[str] = frozenset()
    """Those whose policy is there and cannot be read: what they serve is not known."""
    cleared: datetime | None = None
    """When the last hold on the whole environment was."""


def survey(tree: Tree, environment: str, models: Iterable[str]) -> Survey | None:
    """None when the environment's own file cannot be read."""
    names = sorted(set(models))
    objects, _ = load(tree, names)
    found = objects.environments.get(environment)
    if found is None:
        return None
    whole = objects.holds.get((environment, None))
    ended = whole[1].spec.cleared if whole is not None else None
    hold = whole[1] if whole is not None and ended is None else None
    states = {name: state for name in names if (state := _model(tree, objects, environment, name)) is not None}
    unread = frozenset(name for name in names if f"policies/{name}/policy.yaml" in objects.broken)
    return Survey(found[1], states, hold, unread, ended.at if ended is not None else None)


class Surveys:
    """Surveys of one environment, commit after commit: a model whose files are the same is not read again."""

    def __init__(self, environment: str) -> None:
        self._environment = environment
        self._known: dict[str, tuple[tuple[str | None, ...], ModelState | None, bool]] = {}

    def survey(self, tree: GitTree, models: Iterable[str]) -> Survey | None:
        """As `survey`."""
        names = sorted(set(models))
        shared = [tree.id(path) for path in SHARED]
        places = {name: (f"policies/{name}", f"incidents/{self._environment}/{name}") for name in names}
        keys = {name: (*shared, *(tree.id(path) for path in places[name])) for name in names}
        new = [name for name in names if name not in self._known or self._known[name][0] != keys[name]]
        found = survey(tree, self._environment, new)
        if found is None:
            return None
        for name in new:
            self._known[name] = keys[name], found.models.get(name), name in found.unread
        states = {name: state for name in names if (state := self._known[name][1]) is not None}
        return replace(found, models=states, unread=frozenset(name for name in names if self._known[name][2]))

    def keep(self, models: Container[str]) -> None:
        """Forget all others."""
        self._known = {name: known for name, known in self._known.items() if name in models}


def _model(tree: Tree, objects: Objects, environment: str, name: str) -> ModelState | None:
    model = objects.models.get(name)
    if model is None or model.policy is None or environment not in model.policy[1].spec.environments:
        return None
    own, whole = objects.holds.get((environment, name)), objects.holds.get((environment, None))
    pins = [pin for hold in (own, whole) if hold is not None and (pin := hold[1].serves(name)) is not None]
    serve: Serve = pins[0] if pins else model.policy[1].spec.environments[environment].serve
    verdicts = {number: verdict.spec for number, (_, verdict) in model.verdicts.items()}
    files = (f"holds/{environment}/{name}.yaml", f"holds/{environment}/_all.yaml")
    return ModelState(
        name,
        serve,
        tuple(sorted(model.versions)),
        frozenset(number for number, found in verdicts.items() if environment in found.rejected),
        frozenset(n for n, found in verdicts.items() if found.validated is not None and found.validated.by != "mrc"),
        own[1] if own is not None and own[1].spec.cleared is None else None,
        next((file for file in files if file in objects.broken), None),
        incidents(tree, environment, name),
        own[1].spec.cleared.at if own is not None and own[1].spec.cleared is not None else None,
        model.policy[1].spec.guardrails,
        model.policy[1].spec.environments[environment].hooks,
    )


def missing(tree: Tree, environment: str | None, model: str | None = None) -> str:
    """Why a model is not found in an environment, and what was meant by a name that is none."""
    there = {
        kind: sorted({path.split("/")[1].removesuffix(".yaml") for path in tree.files(kind) if path.endswith(end)})
        for kind, end in (("environments", ".yaml"), ("policies", "/policy.yaml"))
    }
    if environment is not None and environment not in there["environments"]:
        return f"there is no environment {environment}{_meant(environment, there['environments'])}"
    if model is not None and model not in there["policies"]:
        return f"there is no model {model}{_meant(model, there['policies'])}"
    if model is None:
        return f"environments/{environment}.yaml cannot be read: see mrc check"
    return f"{model} does not serve in {environment}, or cannot be read: see mrc check"


def _meant(name: str, known: list[str]) -> str:
    begins = [each for each in known if each.startswith(name)]
    close = begins[0] if len(begins) == 1 else closest(name, known)
    return f"; did you mean {close}?" if close else f"; there is {', '.join(known[:10])}" if known else ""


def incidents(tree: Tree, environment: str, model: str) -> tuple[Incident, ...]:
    """The newest incidents of a model, oldest first; one that cannot be read is left out."""
    paths = [path for path in tree.files(f"incidents/{environment}/{model}") if path.endswith(".yaml")][-RECORDS:]
    found = (incident(tree, path) for path in paths)
    return tuple(one for one in found if one is not None)


def incident(tree: Tree, path: str) -> Incident | None:
    """One incident; None when it cannot be read, or is not what its path says."""
    try:
        document = read(path, tree.read(path))
    except UnreadableError:
        return None
    parsed = document if isinstance(document, Diagnostic) else parse(document, "Incident")
    if not isinstance(parsed, Incident):
        return None
    return parsed if incident_path(parsed) == path else None


def incident_path(found: Incident) -> str:
    """Where an incident stands."""
    metadata = found.metadata
    return f"incidents/{metadata.environment}/{metadata.model}/{metadata.id}.yaml"


def served(tree: Tree, environment: str) -> dict[str, Serve]:
    """What serves of every model of the environment, by its own hold or its policy.

    Where a policy cannot be read it is what is rendered, with no fallback: a hold on everything pins that, too.
    """
    found: dict[str, Serve] = {}
    for path in tree.files("policies"):
        name = path.split("/")[1]
        if path.endswith("/policy.yaml") and re.fullmatch(NAME, name):
            serve = _written(tree, path, environment) or _rendered(tree, environment, name)
            found |= {name: serve} if serve is not None else {}
    for (where, held), (_, hold) in load(tree, [])[0].holds.items():
        pin = hold.serves(held) if where == environment and held is not None and held in found else None
        if held is not None and pin is not None:
            found[held] = pin
    return found


def _written(tree: Tree, path: str, environment: str) -> Serve | None:
    try:
        document = read(path, tree.read(path))
        if isinstance(document, Diagnostic):
            return None
        return Serve.model_validate(document.data["spec"]["environments"][environment]["serve"])
    except (UnreadableError, KeyError, TypeError, ValueError):
        return None


def _rendered(tree: Tree, environment: str, model: str) -> Serve | None:
    try:
        match = VERSION.search(tree.read(f"rendered/{environment}/{model}/rollout.yaml").decode(errors="replace"))
    except UnreadableError:
        return None
    return Serve(version=Positive(int(match[1]))) if match is not None else None


def count(tree: Tree, environment: str) -> int:
    """How many models the environment has, by what is rendered for it."""
    try:
        text = tree.read(f"rendered/{environment}/kustomization.yaml").decode()
    except (UnreadableError, UnicodeDecodeError):
        return 0
    return sum(line.startswith("- ") for line in text.split("\n"))
