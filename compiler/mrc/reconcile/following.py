"""How open incidents go on: what is asked and told until the target serves and is healthy."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from mrc.reconcile.change import Change, back, closed
from mrc.reconcile.failure import Running
from mrc.reconcile.hooks import Call, calls, declared
from mrc.reconcile.monitoring import MonitoringError
from mrc.reconcile.records import emit
from mrc.reconcile.recovery import Progress, affected, progress
from mrc.reconcile.survey import Survey, incident_path
from mrc.reconcile.telemetry import Telemetry
from mrc.schema import Incident
from mrc.schema.incident import HookName, Told
from mrc.schema.policy import Hooks
from mrc.schema.reconcile import Reconcile


class Monitoring(Protocol):
    """What is asked of Prometheus about a target."""

    def verdicts(self, environment: str, model: str, version: int) -> Mapping[str, bool]: ...


def followed(
    before: Progress,
    found: Survey,
    running: Running | None,
    monitoring: Monitoring,
    hook: Callable[[Call], Told | None],
    telemetry: Telemetry,
    now: datetime,
) -> Progress:
    """One incident, a moment later."""
    record, settings = before.incident, found.environment.spec.reconcile
    model = record.metadata.model
    state = found.models.get(model)
    serve = state.serve if state is not None else None
    if model in found.unread:
        serve = record.spec.after  # a policy that cannot be read moves nothing
    hooks = state.hooks if state is not None else Hooks()
    before = replace(before, outcome=None, told=_told(before, hooks, settings, hook, telemetry))
    wanted = tuple(declared(hooks))
    after = progress(
        before, serve, running, _verdicts(record, running, monitoring, telemetry), wanted, settings.recover, now
    )  # fmt: skip
    if after.outcome is None and after.routed is not None and wanted and state is not None:
        after = replace(after, affected=record.spec.affected or affected(after, state.guardrails))
    return after


def _verdicts(
    record: Incident, running: Running | None, monitoring: Monitoring, telemetry: Telemetry
) -> Mapping[str, bool] | None:
    """Of each guardrail whether the target is worse; None while it does not serve, or when nobody answers."""
    if running is None or running.phase != "stable":
        return None
    assert record.spec.after is not None
    try:
        return monitoring.verdicts(record.metadata.environment, record.metadata.model, int(record.spec.after.version))
    except MonitoringError:
        telemetry.count("mrc_reconciler_errors_total", what="prometheus")
        return None


def _told(
    before: Progress, hooks: Hooks, settings: Reconcile, hook: Callable[[Call], Told | None], telemetry: Telemetry
) -> dict[HookName, Told]:
    """What came of the hooks so far. They are called when git says whom the version affected."""
    told = dict(before.told)
    if settings.mode == "observe":
        return told
    for call in calls(before.incident, hooks):
        known = told.get(call.hook)
        if known is None or not known.accepted:
            answer = hook(call)
            if answer is not None and answer != known:
                told[call.hook] = answer
                _tell(before.incident, answer, telemetry)
    return told


def _tell(found: Incident, told: Told, telemetry: Telemetry) -> None:
    telemetry.log(
        f"{told.hook} was called", level="info" if told.accepted else "warning", incident=found.metadata.id,
        model=found.metadata.model, accepted=told.accepted, found=told.found,
    )  # fmt: skip
    if not told.accepted:
        telemetry.count("mrc_reconciler_errors_total", what="hook")


def went_on(change: Change, later: Iterable[Progress]) -> list[Incident]:
    """How earlier rollbacks went on, added to the change."""
    found = []
    for one in later:
        if one.outcome is not None:
            record = closed(one.incident, one.outcome, one.times, one.told.values())
        else:
            assert one.affected is not None
            record = back(one.incident, one.affected, one.times)
        change.edits[incident_path(record)] = emit(record)
        found.append(record)
    return found
