"""What becomes of a rollback: synced, routed, told, healthy, or not in time. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from mrc.guardrail import TIERS
from mrc.reconcile.failure import Running
from mrc.reconcile.lines import line
from mrc.schema import Incident
from mrc.schema.guardrail import Guardrail
from mrc.schema.incident import Affected, HookName, Outcome, Times, Told
from mrc.schema.policy import Serve
from mrc.schema.units import Duration, Timestamp


@dataclass(frozen=True)
class Progress:
    """What was seen of one open incident."""

    incident: Incident
    pushed: datetime | None = None
    """When this process pushed it, saw it merged, or found it in git."""
    synced: datetime | None = None
    routed: datetime | None = None
    healthy: datetime | None = None
    affected: Affected | None = None
    told: Mapping[HookName, Told] = field(default_factory=dict)
    outcome: Outcome | None = None
    begun: datetime | None = None
    """From when the time to recover runs; None since it was decided. What was only found may be old."""

    @property
    def changed(self) -> bool:
        """Whether the record in git must say more than it does."""
        return self.outcome is not None or self.affected != self.incident.spec.affected

    @property
    def times(self) -> Times:
        """All times, as the incident records them."""
        seen = {name: _stamp(at) for name in ("pushed", "synced", "routed", "healthy")
                if (at := getattr(self, name)) is not None}  # fmt: skip
        return self.incident.spec.times.model_copy(update=seen)


def resumed(found: Incident) -> Progress:
    """Where the record of an incident left off."""
    times = found.spec.times
    return Progress(found, times.pushed, times.synced, times.routed, affected=found.spec.affected, begun=times.pushed)


def progress(
    before: Progress,
    serve: Serve | None,
    running: Running | None,
    verdicts: Mapping[str, bool] | None,
    hooks: Sequence[HookName],
    limit: Duration,
    now: datetime,
) -> Progress:
    """The next state.

    `serve` is what git says now; `verdicts` say of each guardrail that can tell whether the target is worse, None when
    nobody can be asked; `hooks` are those that must be told before the incident is over.
    """
    target = before.incident.spec.after
    assert target is not None
    version = int(target.version)
    waiting = [name for name in hooks if name not in before.told or not before.told[name].accepted]
    if serve is None or serve.version != target.version:
        said = f"git names version {int(serve.version)}" if serve is not None else "the model does not serve any more"
        said += f"; not told: {', '.join(waiting)}" if waiting else ""
        return replace(before, outcome=Outcome(state="superseded", at=_stamp(now), message=line(said)))
    # A clock that was put back meanwhile would keep people waiting for as long.
    begun = min(before.begun or before.incident.spec.times.decided, now)
    found = replace(before, begun=begun)
    if running is not None and running.version == version:
        found = replace(found, synced=found.synced or now)
        if running.phase == "stable":
            found = replace(found, routed=found.routed or now)
    healthy = found.routed is not None and bool(verdicts) and not any((verdicts or {}).values())
    found = replace(found, healthy=(found.healthy or now) if healthy else None)
    if healthy and not waiting:
        message = f"version {version} has all traffic, and no guardrail finds it worse"
        return replace(found, outcome=Outcome(state="recovered", at=_stamp(now), message=line(message)))
    # A pull request may have waited for a person: the time begins when git says it.
    if now - begun > timedelta(milliseconds=int(limit)):
        message = f"not within {limit}: {_missing(found, version, running, verdicts, waiting)}"
        return replace(found, outcome=Outcome(state="escalated", at=_stamp(now), message=line(message)))
    return found


def affected(found: Progress, guardrails: Mapping[str, Guardrail]) -> Affected:
    """When users may have met the version that failed. `guardrails` are the policy's.

    What a guardrail sees has been the case for up to its window. Where none is named, any that watches minutes counts.
    """
    assert found.routed is not None
    spec = found.incident.spec
    windows = {name: one.window or TIERS[one.tier].window for name, one in guardrails.items()}
    saw = [windows[each.guardrail] for each in spec.cause.evidence if each.guardrail in windows]
    usual = [windows[name] for name, one in guardrails.items() if one.tier != "trend"]
    longest = max(saw or usual, default=Duration(0))
    since = spec.times.onset - timedelta(milliseconds=int(longest))
    until = max(found.routed, spec.times.onset)  # two clocks: whoever is told must not be told of no time at all
    return Affected.model_validate({"from": _stamp(since), "until": _stamp(until)})


def _missing(
    found: Progress,
    version: int,
    running: Running | None,
    verdicts: Mapping[str, bool] | None,
    waiting: Sequence[HookName],
) -> str:
    if running is None:
        return f"there is no Rollout of {found.incident.metadata.model} in the cluster"
    if running.version != version:
        if found.synced is None:
            return f"the Rollout was never asked for version {version}: is the syncer running?"
        return f"the Rollout is asked for version {running.version} again, and git names {version}: who does that?"
    if running.phase != "stable":
        how = {"aborted": "is aborted", "paused": "is paused", "unknown": "was not seen by Argo yet"}
        goes = how.get(running.phase, "is progressing")
        return f"version {version} does not have all traffic{' any more' if found.routed else ''}: its Rollout {goes}"
    if verdicts is None:
        return "Prometheus cannot be asked whether it is healthy"
    if not verdicts:
        return f"no guardrail can tell whether version {version} is healthy: has it traffic, are its series there?"
    worse = sorted(name for name, bad in verdicts.items() if bad)
    if worse:
        return f"version {version} is worse too: {', '.join(worse)}"
    said = [f"{name} ({found.told[name].found if name in found.told else 'no answer yet'})" for name in waiting]
    return f"version {version} serves and is healthy, but these were not told: {', '.join(said)}"


def _stamp(at: datetime) -> Timestamp:
    return Timestamp.parse(f"{at:%Y-%m-%dT%H:%M:%S}Z")
