"""Who is called, for as long as a page stands: what is told once is lost with the Alertmanager that heard it."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from mrc import labels
from mrc.reconcile import monitoring
from mrc.reconcile.monitoring import MonitoringError
from mrc.reconcile.telemetry import Telemetry
from mrc.schema import Incident

RESEND = timedelta(minutes=1)
"""How often a page is told again, as Prometheus does with its alerts."""

ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)


class Pager(Protocol):
    """What takes alerts, and raises MonitoringError when it does not."""

    def page(self, alerts: Iterable[Mapping[str, Any]]) -> None: ...


class Pages:
    """The pages that stand. What fails to go out is sent again at the next call."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._standing: dict[str, dict[str, Any]] = {}
        self._over: list[dict[str, Any]] = []
        self._due = ALWAYS

    def add(self, incidents: Iterable[Incident]) -> None:
        """A page for each incident that asks for a person."""
        for one in incidents:
            if asks(one):
                self._standing[one.metadata.id] = _alert(one)
                self._due = ALWAYS

    def refused(self, environment: str, text: str, models: Iterable[str], now: datetime) -> None:
        """A page for a remote that does not take the commit."""
        names = ", ".join(sorted(models))
        description = f"The remote refused the commit for {names}: {text}. Until it is let in, go back by hand."
        summary = f"git refuses the reconciler of {environment}"
        own = {labels.SERIES_ENVIRONMENT: environment}
        self._standing["refused"] = monitoring.alert("MrcPushRefused", own, summary, description, now)
        self._due = ALWAYS

    def let_in(self, now: datetime) -> None:
        """The remote takes commits again."""
        self._end("refused", now)

    def slipped(self, environment: str, models: Mapping[str, str], why: str, now: datetime) -> bool:
        """A page for what is held and rendered otherwise, with what that is by model. Whether it is a new one."""
        moved = "; ".join(f"{name} {what}" for name, what in sorted(models.items()))
        description = (
            f"Rendered and synced is {moved}, and {why}. Let it be held: mrc render in a work tree of the branch."
        )
        before = self._standing.get("slipped")
        if before is not None and before["annotations"]["description"] == description:
            return False
        own = {labels.SERIES_ENVIRONMENT: environment}
        summary = f"a hold in {environment} is not what serves: {', '.join(sorted(models))}"
        self._standing["slipped"] = monitoring.alert("MrcHoldSlipped", own, summary, description, now)
        self._due = ALWAYS
        return True

    def held(self, now: datetime) -> None:
        """What is held is rendered again."""
        self._end("slipped", now)

    def unread(self, environment: str, failures: Mapping[str, int], now: datetime) -> bool:
        """A page for what fails, by model and version, and cannot be gone back from: the policy cannot be read. It is
        taken back when that is over. Whether it is a new one."""
        if not failures:
            self._end("unread", now)
            return False
        which = ", ".join(f"version {version} of {name}" for name, version in sorted(failures.items()))
        files = ", ".join(f"policies/{name}/policy.yaml" for name in sorted(failures))
        summary = f"{environment}: {which} failed, and the policy cannot be read"
        before = self._standing.get("unread")
        if before is not None and before["annotations"]["summary"] == summary:
            return False
        description = f"Nothing is rolled back before it can be read: {files}. mrc check says what is wrong there."
        own = {labels.SERIES_ENVIRONMENT: environment}
        self._standing["unread"] = monitoring.alert("MrcNeedsAPerson", own, summary, description, now)
        self._due = ALWAYS
        return True

    def _end(self, key: str, now: datetime) -> None:
        """What stands no longer is taken back: nobody is called for it four hours more."""
        one = self._standing.pop(key, None)
        if one is not None:
            self._over.append({**one, "endsAt": monitoring.stamp(now)})
            self._due = ALWAYS

    def send(self, pager: Pager, now: datetime) -> None:
        """Tell what is new or due, and forget what has ended."""
        self._standing = {key: one for key, one in self._standing.items() if one["endsAt"] > monitoring.stamp(now)}
        # A clock that was put back must not make people wait for what it said before.
        if not (self._standing or self._over) or self._due - RESEND <= now < self._due:
            return
        try:
            pager.page([*self._standing.values(), *self._over])
        except MonitoringError as fault:
            self._telemetry.count("mrc_reconciler_errors_total", what="page")
            self._telemetry.log("people could not be paged", level="error", error=str(fault))
            return
        self._over.clear()
        self._due = now + RESEND


def asks(found: Incident) -> bool:
    """Whether an incident asks for a person."""
    spec = found.spec
    return spec.action == "page" or (spec.outcome is not None and spec.outcome.state == "escalated")


def _by_hand(found: Incident) -> str:
    """What a person can do: nothing that would make it worse."""
    spec, metadata = found.spec, found.metadata
    command = f"mrc rollback {metadata.model} -e {metadata.environment} --reason TEXT"
    if spec.after is not None:
        served = int(spec.after.version)
        return f"Git names version {served}. Only if it is bad, too: {command}, which rejects it and goes further back."
    if any(each.gate == "target" and not each.passed for each in spec.reasons):
        return "No version is left to go back to: promote one that is good, or let one be tried again by its verdict."
    return f"Going back by hand: {command}."


def _alert(found: Incident) -> dict[str, Any]:
    spec, metadata = found.spec, found.metadata
    own = {
        labels.SERIES_ENVIRONMENT: metadata.environment,
        labels.SERIES_MODEL: metadata.model,
        "incident": metadata.id,
    }
    where = f"{metadata.model} in {metadata.environment}"
    assert spec.outcome is not None
    if spec.action == "page":
        summary = f"{where}: version {int(spec.cause.version)} failed, and nothing was rolled back"
    else:
        assert spec.after is not None
        summary = f"{where}: going back to version {int(spec.after.version)} did not help in time"
    failed = "; ".join(f"{each.gate}: {each.saw}" for each in spec.reasons if not each.passed)
    text = f"{spec.cause.message}. {spec.outcome.message}. {failed}".strip()
    text += f" {_by_hand(found)}"
    return monitoring.alert("MrcNeedsAPerson", own, summary, text, spec.outcome.at)
