"""A decision to the files that it changes. Pure: the ledger commits them, the command line writes them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from mrc.check import Base, check
from mrc.compile import Compiled, linked
from mrc.diagnostics import Diagnostic, Severity
from mrc.link import Fleet, LinkedModel, Release
from mrc.load import load
from mrc.promote import PromotionError, serve_line
from mrc.read import read
from mrc.reconcile.decide import Decision, settled
from mrc.reconcile.failure import Failure
from mrc.reconcile.lines import line
from mrc.reconcile.records import emit
from mrc.reconcile.survey import incident_path, served
from mrc.render import render, runbook
from mrc.schema import Hold, Incident, Verdict
from mrc.schema.hold import HoldMetadata, HoldSpec
from mrc.schema.incident import Affected, Cause, Evidence, IncidentMetadata, IncidentSpec, Outcome, Reason, Times, Told
from mrc.schema.policy import Serve
from mrc.schema.units import Positive, Timestamp
from mrc.schema.verdict import Rejected, VerdictSpec
from mrc.schema.version import VersionMetadata
from mrc.tree import MemoryTree, Overlay, Tree, UnreadableError

Edits = dict[str, bytes | None]


class ImpossibleError(Exception):
    """The rollback cannot be written; the message says why."""


@dataclass
class Change:
    """Files that change, and what they record."""

    edits: Edits = field(default_factory=dict)
    incidents: list[Incident] = field(default_factory=list)


def compose(
    tree: Tree, environment: str, decisions: Iterable[Decision], detected: Mapping[str, datetime], now: datetime
) -> Change:
    """All files of the decisions together, as one change of `tree`. `detected`: when each cause was seen first.

    A rollback that cannot be written becomes a page: no decision stops another one.
    """
    change, shared = Change(), linked(tree, [])
    frozen: Decision | None = None
    for decision in decisions:
        if decision.action == "nothing":
            continue
        try:
            edits = _moved(Overlay(tree, change.edits), shared, environment, decision, now)
            decision = replace(decision, held=f"holds/{environment}/{decision.failure.model}.yaml" in edits)
        except ImpossibleError as problem:
            decision = settled(decision, str(problem))
            edits = {}
        record = opened(environment, decision, detected.get(decision.failure.cause, now), now)
        change.edits |= edits
        change.edits[incident_path(record)] = emit(record)
        change.incidents.append(record)
        frozen = frozen or (decision if decision.frozen else None)
    if frozen is not None:
        _freeze(tree, environment, frozen, now, change)  # last: it pins what serves after all of them
    return change


def _moved(tree: Tree, shared: Compiled, environment: str, decision: Decision, now: datetime) -> Edits:
    """What a rollback changes, without its incident; nothing for a page. Raises ImpossibleError."""
    if decision.action != "rollback":
        return {}
    assert decision.after is not None
    name, failure = decision.failure.model, decision.failure
    before = linked(tree, [name], shared)
    model = before.fleet.models.get(name)
    if model is None:
        raise ImpossibleError(f"the policy of {name} cannot be read")
    edits: Edits = {}
    breaker = next((gate.saw for gate in decision.reasons if gate.name == "breaker"), failure.message)
    why = breaker if decision.held else ""
    try:
        fallback = int(decision.after.fallback) if decision.after.fallback is not None else None
        text = serve_line(model.policy_document, environment, int(decision.after.version), fallback)
        edits[model.policy_document.file] = text.encode()
    except PromotionError as problem:
        # The hold goes before the line, however that is written.
        why = f"the policy's line could not be written: {problem}"
    release = _release(before.fleet, name, environment)
    bears = release.hold[1] if release is not None and release.hold is not None else None
    if why or bears is not None:
        edits[f"holds/{environment}/{name}.yaml"] = emit(_hold(environment, decision, bears, why, now))
    if decision.verdict == "rejected":
        edits |= _rejected(tree, before.fleet, environment, decision, now)
    edits |= _rendered(tree, Overlay(tree, edits), before, name, environment)
    assert failure.model == name
    return {path: data for path, data in edits.items() if data != _bytes(tree, path)}


def _hold(environment: str, decision: Decision, bears: Hold | None, why: str, now: datetime) -> Hold:
    """The hold of the model at what serves now. Who held it before goes on holding it, for the same reason."""
    metadata = HoldMetadata(environment=environment, model=decision.failure.model)
    if bears is not None and bears.metadata == metadata:
        spec = bears.spec.model_copy(update={"serve": decision.after})
    else:
        if bears is not None:
            why = f"{environment} is held since {bears.spec.at} by {bears.spec.by}: {bears.spec.reason}"
        spec = HoldSpec(serve=decision.after, by=decision.failure.by, at=_stamp(now), reason=line(why))
    return Hold(apiVersion="mrc.dev/v1alpha1", kind="Hold", metadata=metadata, spec=spec)


def _freeze(tree: Tree, environment: str, decision: Decision, now: datetime, change: Change) -> None:
    """The hold on the whole environment; where there is one already, it stays."""
    path = f"holds/{environment}/_all.yaml"
    there = load(tree, [])[0].holds.get((environment, None))
    if there is not None and there[1].spec.cleared is None:
        return
    mass = next(gate.saw for gate in decision.reasons if gate.name == "mass")
    models = served(Overlay(tree, change.edits), environment)
    change.edits[path] = emit(whole(environment, models, "mrc", line(mass), now))


def whole(environment: str, models: dict[str, Serve], by: str, reason: str, now: datetime) -> Hold:
    """A hold on a whole environment."""
    spec = HoldSpec(models=models, by=by, at=_stamp(now), reason=reason)
    return Hold(
        apiVersion="mrc.dev/v1alpha1", kind="Hold", metadata=HoldMetadata(environment=environment), spec=spec
    )  # fmt: skip


def _rejected(tree: Tree, fleet: Fleet, environment: str, decision: Decision, now: datetime) -> Edits:
    """The verdict with the rejection; what people have said of the version stays."""
    name, number = decision.failure.model, decision.failure.version
    path = f"policies/{name}/verdicts/{number}.yaml"
    found = analyse_verdict(tree, path)
    rejected = Rejected(
        by=decision.failure.by, at=_stamp(now), reason=decision.failure.message,
        sessions="drain" if _drains(_release(fleet, name, environment), decision.failure) else "drop",
    )  # fmt: skip
    spec = VerdictSpec(
        validated=found.spec.validated if found is not None else None,
        rejected={**(found.spec.rejected if found is not None else {}), environment: rejected},
    )
    metadata = VersionMetadata(name=name, version=Positive(number))
    verdict = Verdict(apiVersion="mrc.dev/v1alpha1", kind="Verdict", metadata=metadata, spec=spec)
    return {path: _comments(_bytes(tree, path)) + emit(verdict)}


def _drains(release: Release | None, failure: Failure) -> bool:
    """Whether pinned sessions may end with their lifetime: when every guardrail that saw it is about what is merely
    worse. What fails hard drops them, and so does what nobody can tell."""
    if release is None or release.policy.sessions is None:
        return False
    tiers = {guardrail.name: guardrail.tier for guardrail in release.guardrails}
    saw = [tiers.get(name, "immediate") for name, _ in failure.evidence]
    return bool(saw) and "immediate" not in saw


def analyse_verdict(tree: Tree, path: str) -> Verdict | None:
    """The verdict at a path; None where there is none that can be read."""
    from mrc.parse import parse

    data = _bytes(tree, path)
    document = read(path, data) if data is not None else None
    parsed = parse(document, "Verdict") if document is not None and not isinstance(document, Diagnostic) else None
    return parsed if isinstance(parsed, Verdict) else None


def _comments(data: bytes | None) -> bytes:
    """The comment lines at the top of a file, such as the one that names its schema."""
    kept = b""
    for one in (data or b"").splitlines(keepends=True):
        if not one.startswith(b"#"):
            break
        kept += one
    return kept


def _rendered(before: Tree, after: Tree, was: Compiled, name: str, environment: str) -> Edits:
    """The folder of the model here, whole, and what the verdict changes in its other environments."""
    fleet, had = linked(after, [name], was).fleet, was.fleet
    release = _release(fleet, name, environment)
    if release is None:
        raise ImpossibleError(f"{name} would not link in {environment}: see mrc check")
    new = _errors(after, fleet, had, name, environment) - _errors(before, had, had, name, environment)
    if new:
        raise ImpossibleError("; ".join(sorted(new)))
    wanted = {artifact.path: artifact.text.encode() for artifact in render(release)}
    there = [path for path in before.files(release.folder) if path not in wanted]
    edits: Edits = {**wanted, **dict.fromkeys(there)}
    for other in fleet.models[name].releases:
        old = _release(had, name, other.environment_name)
        if other.environment_name != environment and old is not None and old.verdicts != other.verdicts:
            edits |= _beside(before, old, other)
    return edits


def _beside(tree: Tree, was: Release, now: Release) -> Edits:
    """What a verdict changes in another environment: it is told in the runbook, and moves nothing there. What was stale
    before is not this change's to move."""
    old = {artifact.path: artifact.text.encode() for artifact in runbook.render(was)}
    new = {artifact.path: artifact.text.encode() for artifact in runbook.render(now)}
    return {path: data for path, data in new.items() if data != old.get(path) and old.get(path) == _bytes(tree, path)}


def _errors(tree: Tree, fleet: Fleet, base: Fleet, name: str, environment: str) -> set[str]:
    """The errors of this model in this environment, in words; those of others are not its business."""
    scoped, before = _only(fleet, name, environment), _only(base, name, environment)
    prefix = f"policies/{name}"
    own = MemoryTree(dict.fromkeys(tree.files(prefix), b""))
    found = check(scoped, own, Base(MemoryTree({}), before))
    return {f"{item.code}: {item.message}" for item in found if item.severity is Severity.ERROR}


def _only(fleet: Fleet, name: str, environment: str) -> Fleet:
    model = fleet.models.get(name)
    if model is None:
        return Fleet(fleet.environments, {})
    releases = tuple(one for one in model.releases if one.environment_name == environment)
    only: LinkedModel = replace(model, releases=releases)
    return Fleet(fleet.environments, {name: only})


def _release(fleet: Fleet, name: str, environment: str) -> Release | None:
    model = fleet.models.get(name)
    if model is None:
        return None
    return next((one for one in model.releases if one.environment_name == environment), None)


def opened(environment: str, decision: Decision, detected: datetime, now: datetime) -> Incident:
    """The record of a decision. A page is closed at once: nothing of mrc follows from it."""
    failure = decision.failure
    assert decision.action != "nothing"
    assert decision.before is not None
    page = decision.action == "page"
    why = next((f"{gate.name}: {gate.saw}" for gate in decision.reasons if not gate.passed), "")
    spec = IncidentSpec(
        cause=Cause(
            kind=failure.kind, id=failure.cause, version=Positive(failure.version), message=failure.message,
            evidence=[Evidence(guardrail=name, found=found) for name, found in failure.evidence],
        ),
        action="page" if page else "rollback",
        verdict=decision.verdict,
        before=decision.before,
        after=decision.after,
        held=decision.held,
        reasons=[Reason(gate=gate.name, passed=gate.passed, saw=line(gate.saw)) for gate in decision.reasons],
        times=Times(onset=_stamp(failure.onset), detected=_stamp(detected), decided=_stamp(now)),
        outcome=Outcome(state="handedOver", at=_stamp(now), message=line(f"people were paged; {why}"))
        if page else None,
    )  # fmt: skip
    metadata = IncidentMetadata(environment=environment, model=failure.model, id=failure.incident)
    return Incident(apiVersion="mrc.dev/v1alpha1", kind="Incident", metadata=metadata, spec=spec)


def closed(found: Incident, outcome: Outcome, times: Times, told: Iterable[Told] = ()) -> Incident:
    """The same record, ended."""
    spec = found.spec.model_copy(update={"outcome": outcome, "times": times, "told": list(told)})
    return found.model_copy(update={"spec": spec})


def back(found: Incident, affected: Affected, times: Times) -> Incident:
    """The same record, now that the target has the traffic: what the hooks are about to be told."""
    spec = found.spec.model_copy(update={"affected": affected, "times": times})
    return found.model_copy(update={"spec": spec})


def _stamp(at: datetime) -> Timestamp:
    return Timestamp.parse(f"{at:%Y-%m-%dT%H:%M:%S}Z")


def _bytes(tree: Tree, path: str) -> bytes | None:
    try:
        return tree.read(path)
    except UnreadableError:
        return None
