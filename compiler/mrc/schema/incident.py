"""`Incident`: the record of one automated decision. What was seen, what was decided, how it ended."""

from typing import Annotated, Literal

from mrc.schema.base import Envelope, Line, Model, Name, _text
from mrc.schema.core import PydanticCustomError
from mrc.schema.lean import Field, StrictBool, model_validator
from mrc.schema.policy import Serve
from mrc.schema.units import Positive, Timestamp

IncidentId = Annotated[str, *_text(r"\d{8}-\d{6}-[0-9a-f]{8}", "an incident such as 20261004-091200-1f0c33aa", 24)]
CauseKind = Literal["analysis", "deadline", "abort", "alert", "request"]
Verdict = Literal["rejected", "mayRetry", "none"]
Action = Literal["rollback", "page"]
State = Literal["recovered", "escalated", "superseded", "handedOver"]
HookName = Literal["flushCache", "reprocess"]


class IncidentMetadata(Model):
    """Which incident."""

    environment: Name
    """The environment, as the folder is called.

    Example: production
    """
    model: Name
    """The model, as the folder below is called.

    Example: fraud-detector
    """
    id: IncidentId
    """When it began, and a digest of its cause: the same cause is the same incident.

    Example: 20261004-091200-1f0c33aa
    """


class Evidence(Model):
    """A guardrail, and what it saw."""

    guardrail: Line
    """The guardrail, or the metric of the analysis.

    Example: errors
    """
    found: Line
    """What was found, in words.

    Example: Failed, 3 of 3 measurements
    """


class Cause(Model):
    """What the reconciler acted on."""

    kind: CauseKind
    """`analysis`: Argo's analysis aborted the rollout; `deadline`: pods did not become ready; `abort`: a person
    aborted; `alert`: an alert after the promotion; `request`: `mrc rollback`.

    Example: analysis
    """
    id: Line
    """The AnalysisRun, the alert or the request, by which the same cause is known again.

    Example: analysisrun/6dd3fd1c-3b69-4d52-8a2e-1f1ab9dcb3f4
    """
    version: Positive
    """The version that failed.

    Example: 42
    """
    message: Line
    """What the source says of it.

    Example: Metric "errors" assessed Failed due to failed (1) > failureLimit (0)
    """
    evidence: list[Evidence] = Field(default_factory=list)
    """What the guardrails saw."""


class Reason(Model):
    """One thing that was looked at, and what followed from it."""

    gate: Line
    """What was looked at.

    Example: cooldown
    """
    passed: StrictBool
    """Whether it allows the rollback.

    Example: true
    """
    saw: Line
    """The values, the limits and the times.

    Example: the last rollback was 2h ago; the limit is 30m
    """


class Times(Model):
    """When each step was seen, in UTC."""

    onset: Timestamp
    """When the failure began: the abort, the alert, the request.

    Example: 2026-10-04T09:12:00Z
    """
    detected: Timestamp
    """When the reconciler saw it.

    Example: 2026-10-04T09:12:01Z
    """
    decided: Timestamp
    """When it decided.

    Example: 2026-10-04T09:12:01Z
    """
    pushed: Timestamp | None = None
    """When the commit was on the branch: pushed, seen merged, or found there by a process that was started since.

    Example: 2026-10-04T09:12:02Z
    """
    synced: Timestamp | None = None
    """When the Rollout asked for the target.

    Example: 2026-10-04T09:12:30Z
    """
    routed: Timestamp | None = None
    """When the target had all traffic.

    Example: 2026-10-04T09:12:32Z
    """
    healthy: Timestamp | None = None
    """When no guardrail of the target was worse.

    Example: 2026-10-04T09:14:00Z
    """


class Affected(Model):
    """When users may have met the version that failed: what hooks are told."""

    from_: Timestamp = Field(alias="from")
    """The onset, less the longest window of the guardrails that saw it.

    Example: 2026-10-04T09:07:00Z
    """
    until: Timestamp
    """When the target had all traffic.

    Example: 2026-10-04T09:12:32Z
    """


class Told(Model):
    """A hook of the policy that was called."""

    hook: HookName
    """Which.

    Example: flushCache
    """
    at: Timestamp
    """When it answered, in UTC.

    Example: 2026-10-04T09:12:34Z
    """
    accepted: StrictBool
    """Whether it took it.

    Example: true
    """
    found: Line
    """What it answered.

    Example: HTTP status 202
    """


class Outcome(Model):
    """How it ended."""

    state: State
    """`recovered`: the target serves and is healthy; `escalated`: it did not in time; `superseded`: somebody changed
    what serves; `handedOver`: nothing was done but a page.

    Example: recovered
    """
    at: Timestamp
    """When, in UTC.

    Example: 2026-10-04T09:14:00Z
    """
    message: Line
    """What was seen at the end.

    Example: version 41 has all traffic, and no guardrail is worse
    """


class IncidentSpec(Model):
    """What was seen, what was decided and why, and how it ended."""

    cause: Cause
    action: Action
    """`rollback`: another version serves; `page`: nothing was changed, and people were told.

    Example: rollback
    """
    verdict: Verdict
    """What is held against the version: `rejected`, `mayRetry` when telemetry or the environment may be to blame or the
    last rollback was recent, or nothing.

    Example: rejected
    """
    before: Serve
    """What served.

    Example: {version: 42, fallback: 41}
    """
    after: Serve | None = None
    """What serves now, unless nothing was changed.

    Example: {version: 41, fallback: 40}
    """
    held: StrictBool = False
    """Whether the model is held since.

    Example: false
    """
    reasons: list[Reason]
    """Everything that was looked at."""
    times: Times
    affected: Affected | None = None
    """When users may have met the version that was gone back from; with hooks alone. On record before they are called.

    Example: {from: 2026-10-04T09:07:00Z, until: 2026-10-04T09:12:32Z}
    """
    told: list[Told] = Field(default_factory=list)
    """The hooks that were called.

    Example: [{hook: flushCache, at: 2026-10-04T09:12:34Z, accepted: true, found: HTTP status 202}]
    """
    outcome: Outcome | None = None
    """How it ended; open without it."""

    @model_validator(mode="after")
    def _whole(self) -> "IncidentSpec":
        if self.action == "rollback" and self.after is None:
            raise PydanticCustomError("incident_after", "a rollback says what serves now, in after", {})
        if self.action == "page" and self.outcome is None:
            raise PydanticCustomError("incident_page", "a page is closed at once: it says so, in outcome", {})
        return self


class Incident(Envelope):
    """The record of one automated decision; opened once, closed once."""

    kind: Literal["Incident"]
    metadata: IncidentMetadata
    spec: IncidentSpec

    @property
    def automatic(self) -> bool:
        """Whether mrc moved the model by itself."""
        return self.spec.action == "rollback" and self.spec.cause.kind not in ("request", "abort")
