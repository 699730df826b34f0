"""What the reconciler tells of its decisions and of incidents that end."""

from collections.abc import Iterable

from mrc.reconcile.decide import Decision
from mrc.reconcile.failure import Failure
from mrc.reconcile.telemetry import Telemetry
from mrc.schema import Incident

_KINDS = ("analysis", "deadline", "abort", "alert")


def note(telemetry: Telemetry, failures: Iterable[Failure], opened: int) -> None:
    """What is the case now, as gauges."""
    kinds: list[str] = [failure.kind for failure in failures]
    telemetry.clear("mrc_reconciler_failures")
    for kind in _KINDS:
        telemetry.set("mrc_reconciler_failures", kinds.count(kind), kind=kind)
    telemetry.set("mrc_reconciler_incidents_open", opened)


def decided(telemetry: Telemetry, decision: Decision) -> None:
    """A decision, with everything that it rests on."""
    failure = decision.failure
    telemetry.count("mrc_reconciler_decisions_total", action=decision.action, verdict=decision.verdict)
    telemetry.log(
        "decided", action=decision.action, model=failure.model, version=failure.version, incident=failure.incident,
        cause=failure.cause, saw=failure.message, verdict=decision.verdict,
        to=int(decision.after.version) if decision.after is not None else None, held=decision.held,
        reasons=[f"{gate.name}: {'yes' if gate.passed else 'NO'}, {gate.saw}" for gate in decision.reasons],
    )  # fmt: skip


def closed(telemetry: Telemetry, incidents: Iterable[Incident]) -> None:
    """Those of them that are over."""
    for one in incidents:
        outcome = one.spec.outcome
        if outcome is None:
            continue
        telemetry.count("mrc_reconciler_incidents_closed_total", state=outcome.state)
        telemetry.log(
            "incident closed", incident=one.metadata.id, model=one.metadata.model, state=outcome.state,
            saw=outcome.message, times={name: str(at) for name, at in one.spec.times if at is not None},
        )  # fmt: skip
