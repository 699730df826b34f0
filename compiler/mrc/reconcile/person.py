"""What a person does by hand, as edits of a tree: the same decisions and the same records as the reconciler's."""

from datetime import datetime

from mrc.load import load
from mrc.reconcile.change import Change, Edits, compose, whole
from mrc.reconcile.decide import Decision, decide
from mrc.reconcile.failure import Failure
from mrc.reconcile.records import emit
from mrc.reconcile.state import State
from mrc.reconcile.survey import count, missing, served, survey
from mrc.schema import Hold
from mrc.schema.hold import Cleared, HoldMetadata, HoldSpec
from mrc.schema.units import Timestamp
from mrc.tree import Tree

_OTHERWISE = (
    "A newer version may be better: mrc promote. A verdict that is wrong is changed in verdicts/, by its owners"
)


class PersonError(Exception):
    """It cannot be done; the message says why."""


def rollback(
    tree: Tree, model: str, environment: str, target: int | None, reason: str, by: str, now: datetime
) -> tuple[Decision, Change]:
    """Go back from what serves. The record is open until a person or the reconciler closes it."""
    found = survey(tree, environment, [model])
    if found is None or model not in found.models:
        raise PersonError(missing(tree, environment, model))
    version = int(found.models[model].serve.version)
    cause = f"request/{by}/{now:%Y-%m-%dT%H:%M:%SZ}"
    failure = Failure(cause, "request", model, version, now, reason, blamed=True, target=target, by=by)
    settings = found.environment.spec
    state = State(environment, settings.reconcile, found.models, count(tree, environment), settings.limits.validated)
    (decision,) = decide([failure], state, now)
    if decision.action != "rollback":
        said = "; ".join(gate.saw for gate in decision.reasons if not gate.passed)
        raise PersonError(f"version {version} stays: {said}. {_OTHERWISE}")
    return decision, compose(tree, environment, [decision], {}, now)


def hold(tree: Tree, model: str | None, environment: str, reason: str, by: str, now: datetime) -> Edits:
    """Pin what serves now; without a model, all of the environment."""
    path = f"holds/{environment}/{model or '_all'}.yaml"
    found = survey(tree, environment, [model] if model is not None else [])
    if found is None or (model is not None and model not in found.models):
        raise PersonError(missing(tree, environment, model))
    held = found.models[model].hold if model is not None else found.hold
    if held is not None:
        raise PersonError(f"it is held already, since {held.spec.at} by {held.spec.by}: {held.spec.reason}")
    if model is None:
        return {path: emit(whole(environment, served(tree, environment), by, reason, now))}
    spec = HoldSpec(serve=found.models[model].serve, by=by, at=_stamp(now), reason=reason)
    metadata = HoldMetadata(environment=environment, model=model)
    return {path: emit(Hold(apiVersion="mrc.dev/v1alpha1", kind="Hold", metadata=metadata, spec=spec))}


def clear(tree: Tree, model: str | None, environment: str, reason: str, by: str, now: datetime) -> Edits:
    """End a hold; its file stays, so that what was before does not count again."""
    found = survey(tree, environment, [model] if model is not None else [])
    states = found.models if found is not None else {}
    held = found.hold if found is not None and model is None else None
    if model is not None and model in states:
        held = states[model].hold
    if found is None or (model is not None and model not in states):
        raise PersonError(missing(tree, environment, model))
    if held is None:
        raise PersonError(f"there is no hold on {model or 'all'} of {environment} that is not cleared")
    spec = held.spec.model_copy(update={"cleared": Cleared(by=by, at=_stamp(now), reason=reason)})
    return {f"holds/{environment}/{model or '_all'}.yaml": emit(held.model_copy(update={"spec": spec}))}


def held(tree: Tree, environment: str) -> list[str]:
    """The models that have a hold of their own."""
    holds = load(tree, [])[0].holds.items()
    return sorted(name for (where, name), (_, hold) in holds
                  if where == environment and name is not None and hold.spec.cleared is None)  # fmt: skip


def _stamp(now: datetime) -> Timestamp:
    return Timestamp.parse(f"{now:%Y-%m-%dT%H:%M:%S}Z")
