"""What becomes of a rollback: synced, routed, healthy, or not in time. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from mrc.reconcile.failure import Running
from mrc.schema import Incident
from mrc.schema.incident import Outcome, Times
from mrc.schema.policy import Serve
from mrc.schema.units import Duration, Timestamp


@dataclass(frozen=True)
class Progress:
    """What was seen of one open incident."""

    incident: Incident
    pushed: datetime | None = None
    synced: datetime | None = None
    routed: datetime | None = None
    healthy: datetime | None = None
    outcome: Outcome | None = None

    @property
    def times(self) -> Times:
        """All times, as the incident records them."""
        seen = {name: _stamp(at) for name in ("pushed", "synced", "routed", "healthy")
                if (at := getattr(self, name)) is not None}  # fmt: skip
        return self.incident.spec.times.model_copy(update=seen)


def progress(
    before: Progress,
    serve: Serve | None,
    running: Running | None,
    worse: Sequence[str] | None,
    limit: Duration,
    now: datetime,
) -> Progress:
    """The next state. `serve` is what git says now; `worse` are guardrails of the target, None when nobody can tell."""
    target = before.incident.spec.after
    assert target is not None
    version = int(target.version)
    if serve is None or serve.version != target.version:
        said = f"git names version {int(serve.version)}" if serve is not None else "the model does not serve any more"
        return replace(before, outcome=Outcome(state="superseded", at=_stamp(now), message=said))
    found = before
    if running is not None and running.version == version:
        found = replace(found, synced=found.synced or now)
        if running.phase == "stable":
            found = replace(found, routed=found.routed or now)
    if found.routed is not None and worse is not None and not worse:
        found = replace(found, healthy=found.healthy or now)
        message = f"version {version} has all traffic, and no guardrail finds it worse"
        return replace(found, outcome=Outcome(state="recovered", at=_stamp(now), message=message))
    if now - before.incident.spec.times.decided > timedelta(milliseconds=int(limit)):
        message = f"not within {limit}: {_missing(found, version, worse)}"
        return replace(found, outcome=Outcome(state="escalated", at=_stamp(now), message=message))
    return found


def _missing(found: Progress, version: int, worse: Sequence[str] | None) -> str:
    if found.synced is None:
        return f"the Rollout was never asked for version {version}: is the syncer running?"
    if found.routed is None:
        return f"version {version} does not have all traffic"
    if worse is None:
        return "Prometheus cannot be asked whether it is healthy"
    return f"version {version} is worse too: {', '.join(worse)}"


def _stamp(at: datetime) -> Timestamp:
    return Timestamp.parse(f"{at:%Y-%m-%dT%H:%M:%S}Z")
