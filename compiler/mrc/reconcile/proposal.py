"""One branch that asks for a change: what it must have, and whether it is mrc's own."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from mrc.reconcile.change import Change, Edits, compose
from mrc.reconcile.decide import Decision
from mrc.reconcile.failure import Failure
from mrc.reconcile.gates import Gate
from mrc.reconcile.git import GitError
from mrc.reconcile.ledger import Ledger
from mrc.reconcile.records import emit
from mrc.reconcile.survey import incident_path, survey
from mrc.reconcile.telemetry import Telemetry
from mrc.schema import Incident
from mrc.tree import Tree

Step = Literal["rollback", "affected", "close"]


@dataclass(frozen=True)
class Proposal:
    """A branch, and the record of the incident as its commit has it."""

    branch: str
    step: Step
    commit: str
    record: Incident

    def done(self, main: Incident | None) -> bool:
        """Whether the branch that is synced, which has this record, says what the request asks for."""
        if main is None:
            return False
        if self.step == "affected":
            return main.spec.affected is not None or main.spec.outcome is not None
        return self.step == "rollback" or main.spec.outcome is not None


class Own:
    """Which branches have what mrc writes for their record, and nothing else.

    Whoever may push a branch could have mrc merge what they like, by rights that mrc has and they have not.
    """

    def __init__(self, ledger: Ledger, telemetry: Telemetry, alive: Callable[[], None]) -> None:
        self._ledger, self._telemetry, self._alive = ledger, telemetry, alive
        self._own: set[str] = set()
        self._foreign: set[str] = set()

    def wrote(self, commit: str) -> None:
        """This process made it."""
        self._own.add(commit)

    def has(self, one: Proposal) -> bool:
        """Whether it is one."""
        if one.commit not in self._own and one.commit not in self._foreign:
            self._alive()
            try:
                (self._own if self._written(one) else self._foreign).add(one.commit)
            except GitError as problem:  # what it was made on cannot be had: one branch holds up no other
                said = "it cannot be seen whether the branch is mrc's own"
                self._telemetry.log(said, level="warning", branch=one.branch, error=str(problem))
            if one.commit in self._foreign:
                said = "somebody else has changed the branch: mrc neither renews nor merges it"
                self._telemetry.log(said, level="warning", branch=one.branch, commit=one.commit)
        return one.commit in self._own

    def _written(self, one: Proposal) -> bool:
        parents = self._ledger.parents(one.commit)
        if len(parents) != 1:
            return False
        metadata = one.record.metadata
        tree = self._ledger.bring(parents[0])
        edits: Edits = {incident_path(one.record): emit(one.record)}
        if one.step == "rollback":
            found = survey(tree, metadata.environment, [metadata.model])
            if found is None or metadata.model not in found.models:
                return False
            edits = composed(tree, one.record).edits
        return self._ledger.makes(one.commit, tree, edits) and self._ledger.signed(one.commit)


def composed(tree: Tree, record: Incident) -> Change:
    """What was decided then, as a change of a tree."""
    times, environment = record.spec.times, record.metadata.environment
    return compose(tree, environment, [decided(record)], {record.spec.cause.id: times.detected}, times.decided)


def decided(record: Incident) -> Decision:
    """The decision that an incident records."""
    spec, metadata = record.spec, record.metadata
    gates = tuple(Gate(each.gate, each.passed, each.saw) for each in spec.reasons)
    evidence = tuple((each.guardrail, each.found) for each in spec.cause.evidence)
    failure = Failure(
        spec.cause.id, spec.cause.kind, metadata.model, int(spec.cause.version), spec.times.onset, spec.cause.message,
        spec.verdict == "rejected", evidence,
    )  # fmt: skip
    frozen = any(gate.name == "mass" and not gate.passed for gate in gates)
    return Decision(failure, spec.action, gates, spec.verdict, spec.before, spec.after, spec.held, frozen)
