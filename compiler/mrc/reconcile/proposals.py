"""Changes that are asked for in pull requests: the branch of an incident is its record until it is merged.

`mrc/<environment>/<step>/<incident>` is pushed first and the request opened after it, so that a crash between the two
leaves what the next run goes on with. A request that a person closed is a decision: nothing asks for it again.
"""

import re
import time
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from mrc.reconcile.change import Change, Edits, compose
from mrc.reconcile.decide import Decision
from mrc.reconcile.failure import Failure
from mrc.reconcile.forges import Forge, ForgeError, Request
from mrc.reconcile.gates import Gate
from mrc.reconcile.git import GitError
from mrc.reconcile.gittree import GitTree
from mrc.reconcile.ledger import Ledger
from mrc.reconcile.message import message
from mrc.reconcile.records import emit
from mrc.reconcile.survey import Survey, incident, incident_path, survey
from mrc.reconcile.telemetry import Telemetry
from mrc.schema import Incident
from mrc.tree import Tree, UnreadableError

Step = Literal["rollback", "affected", "close"]
_STEPS: dict[str, Step] = {"rollback": "rollback", "affected": "affected", "close": "close"}
LOOK_SECONDS = 30.0
"""How often the forge is asked for a request that is open; more seldom when there are many."""


@dataclass(frozen=True)
class Proposal:
    """A branch, and the record of the incident as its commit has it."""

    branch: str
    step: Step
    commit: str
    record: Incident


class Proposals:
    """The branches and requests of one environment. What it keeps in memory saves questions, and is never needed."""

    def __init__(self, ledger: Ledger, forge: Forge, environment: str, telemetry: Telemetry) -> None:
        self._ledger, self._forge, self._environment, self._telemetry = ledger, forge, environment, telemetry
        self.folder = f"mrc/{environment}"
        self._there: dict[str, Proposal] = {}
        self._declined: set[str] = set()
        self._looked: dict[str, tuple[str, str, float]] = {}
        self._arranged: set[str] = set()
        self._own: set[str] = set()
        self._foreign: set[str] = set()

    def read(self) -> None:
        """What the branches say; after a fetch."""
        there: dict[str, Proposal] = {}
        for branch, commit in self._ledger.branches(self.folder).items():
            before = self._there.get(branch)
            found = before if before is not None and before.commit == commit else self._proposal(branch, commit)
            if found is not None:
                there[branch] = found
        self._there = there

    def _proposal(self, branch: str, commit: str) -> Proposal | None:
        step, _, name = branch.removeprefix(f"{self.folder}/").partition("/")
        tree = self._ledger.tree(commit)
        paths = [path for path in tree.files(f"incidents/{self._environment}") if path.endswith(f"/{name}.yaml")]
        record = incident(tree, paths[0]) if len(paths) == 1 else None
        return Proposal(branch, _STEPS[step], commit, record) if record is not None and step in _STEPS else None

    def waiting(self) -> list[Incident]:
        """The incidents whose first request is open. What somebody else wrote is none: it must hold nothing up."""
        return [one.record for one in self._first() if one.branch not in self._declined and self._is_own(one)]

    def _first(self) -> list[Proposal]:
        return [one for one in self._there.values() if one.step == "rollback"]

    def open(self) -> bool:
        """Whether any request is."""
        return any(branch not in self._declined for branch in self._there)

    def asked(self, step: Step, record: Incident) -> bool:
        """Whether there is a request, or was one that a person closed."""
        branch = self._branch(step, record)
        return branch in self._there or branch in self._declined

    def _branch(self, step: Step, record: Incident) -> str:
        return f"{self.folder}/{step}/{record.metadata.id}"

    def counted(self, found: Survey) -> Survey:
        """The same models, with what is asked for: it counts for cooldown and breaker as if it were done."""
        prefix = f"{self.folder}/rollback/"
        declined = frozenset(one.removeprefix(prefix) for one in self._declined if one.startswith(prefix))
        declined |= {one.record.metadata.id for one in self._first() if not self._is_own(one)}
        models, waiting = {}, self.waiting()
        for name, state in found.models.items():
            known = {one.metadata.id for one in state.incidents}
            mine = [one for one in waiting if one.metadata.model == name and one.metadata.id not in known]
            every = sorted((*state.incidents, *mine), key=lambda one: one.metadata.id)
            asked = frozenset(one.metadata.id for one in mine)
            models[name] = replace(state, incidents=tuple(every), asked=asked, declined=declined)
        return replace(found, models=models)

    def propose(self, tree: GitTree, step: Step, record: Incident, edits: Edits, when: datetime) -> bool:
        """Ask for a change. False: somebody was faster, decide again. Raises GitError, ForgeError."""
        branch = self._branch(step, record)
        before = self._forge.find(branch)
        if before is not None and before.state != "open":
            self._decline(branch, before)
            return True
        text = message(self._environment, [record])
        commit = self._ledger.commit(tree.commit, edits, text, when)
        if commit is None:
            return True
        if not self._push(branch, commit, over=""):
            return False
        self._own.add(commit)
        self._there[branch] = Proposal(branch, step, commit, record)
        self._go_on(self._there[branch], tree)
        return True

    def tend(self, tree: GitTree) -> None:
        """Go on with every request: open it, renew it, have it merged, or end it. Raises GitError, ForgeError."""
        now = time.monotonic()
        every = max(LOOK_SECONDS, 2.0 * len(self._there))
        for one in list(self._there.values()):
            tip, commit, at = self._looked.get(one.branch, ("", "", 0.0))
            if (tip, commit) != (tree.commit, one.commit) or now - at > every:
                self._go_on(one, tree)

    def _go_on(self, one: Proposal, tree: GitTree) -> None:
        """One that the forge refuses for good is told, and holds up no other."""
        self._looked[one.branch] = (tree.commit, one.commit, time.monotonic())
        try:
            self._look(one, tree)
        except ForgeError as problem:
            if problem.temporary:
                self._looked.pop(one.branch, None)
                raise
            self._telemetry.count("mrc_reconciler_errors_total", what="forge")
            said = "the forge refuses the pull request"
            self._telemetry.log(said, level="error", branch=one.branch, error=str(problem))

    def _look(self, one: Proposal, tree: GitTree) -> None:
        main = incident(tree, incident_path(one.record))
        if _done(one, main):
            self._telemetry.log("the pull request is merged", branch=one.branch)
            self._remove(one)
            return
        request = self._forge.find(one.branch)
        if request is not None and request.state == "closed":
            self._decline(one.branch, request)
        elif request is None or request.state == "open":
            self._declined.discard(one.branch)
            if not self._is_own(one):
                return
            one, over = self._renewed(one, tree, main)
            if over:
                self._end(one, request, over)
                return
            if request is None:
                text = message(self._environment, [one.record])
                request = self._forge.open(one.branch, *described(text))
                self._telemetry.log("asked for in a pull request", branch=one.branch, url=request.url)
            self._merge(one, replace(request, commit=one.commit))

    def _is_own(self, one: Proposal) -> bool:
        """Whether the branch has what mrc writes for its record, and nothing else.

        Whoever may push a branch could have mrc merge what they like, by rights that mrc has and they have not.
        """
        if one.commit not in self._own | self._foreign:
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
            found = survey(tree, self._environment, [metadata.model])
            if found is None or metadata.model not in found.models:
                return False
            edits = self._composed(tree, one.record).edits
        return self._ledger.makes(one.commit, tree, edits) and self._ledger.signed(one.commit)

    def _composed(self, tree: Tree, record: Incident) -> Change:
        """What was decided then, as a change of a tree."""
        times = record.spec.times
        return compose(
            tree, self._environment, [decided(record)], {record.spec.cause.id: times.detected}, times.decided
        )

    def _merge(self, one: Proposal, request: Request) -> None:
        if one.commit in self._arranged:
            return
        why = self._forge.merge(request)
        if why is None:
            self._arranged.add(one.commit)
            self._telemetry.log("it is merged as soon as the branch's rules let it", url=request.url)
        else:
            self._telemetry.log("it cannot be merged yet", level="warning", url=request.url, said=why)

    def _renewed(self, one: Proposal, tree: GitTree, main: Incident | None) -> tuple[Proposal, str]:
        """The request on today's main, and what speaks against it by now, if something does."""
        metadata, spec = one.record.metadata, one.record.spec
        if one.step != "rollback":  # it touches the record alone, which nobody else does
            return one, "" if main is not None else "the incident is not in git any more"
        if self._ledger.parents(one.commit) == [tree.commit] or spec.action == "page":
            return one, ""
        found = survey(tree, self._environment, [metadata.model])
        state = found.models.get(metadata.model) if found is not None else None
        if state is None:
            return one, f"{metadata.model} does not serve in {metadata.environment} any more"
        if state.serve.version != spec.before.version:
            return one, f"git names version {int(state.serve.version)} by now"
        change = self._composed(tree, one.record)
        (record,) = change.incidents
        if record.spec.action != spec.action:
            return one, next(gate.saw for gate in record.spec.reasons if not gate.passed)
        there = self._ledger.tree(one.commit)
        if all(_bytes(there, path) == data for path, data in change.edits.items()):
            return one, ""
        text = message(self._environment, [record])
        commit = self._ledger.commit(tree.commit, change.edits, text, spec.times.decided)
        if commit is None or not self._push(one.branch, commit, over=one.commit):
            return one, ""
        self._own.add(commit)
        self._there[one.branch] = replace(one, commit=commit, record=record)
        self._telemetry.log("the pull request is renewed, for the branch has moved", branch=one.branch, commit=commit)
        return self._there[one.branch], ""

    def _end(self, one: Proposal, request: Request | None, why: str) -> None:
        self._telemetry.log("the pull request is closed: it is superseded", branch=one.branch, saw=why)
        if request is not None:
            self._forge.close(request, f"Closed by mrc: {why}.")
        self._remove(one)

    def _decline(self, branch: str, request: Request) -> None:
        if branch not in self._declined:
            self._declined.add(branch)
            self._telemetry.log(f"the pull request was {request.state}: it is not asked for again", url=request.url)

    def _remove(self, one: Proposal) -> None:
        """A branch that did its work; whoever moved it since keeps it."""
        self._ledger.push("", one.branch, over=one.commit)
        self._there.pop(one.branch, None)
        self._looked.pop(one.branch, None)
        self._arranged.discard(one.commit)

    def _push(self, branch: str, commit: str, over: str) -> bool:
        pushed = self._ledger.push(commit, branch, over=over)
        self._telemetry.count("mrc_reconciler_pushes_total", state=pushed.state)
        if pushed.state == "raced":
            self._telemetry.log("somebody pushed first; deciding again", branch=branch, said=pushed.text)
        elif pushed.state != "done":
            raise GitError(1, f"the push of {branch} was {pushed.state}: {pushed.text}")
        return pushed.state == "done"


def described(text: str) -> tuple[str, str]:
    """Title and body of a request, from the message of its commit.

    The body is in a fence: what an alert says is text, never Markdown, a mention or a command to the forge.
    """
    title, _, rest = text.partition("\n")
    longest = max((len(each) for each in re.findall("`+", rest)), default=0)
    fence = "`" * max(3, longest + 1)
    return title, f"{fence}text\n{rest.strip()}\n{fence}\n"


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


def _done(one: Proposal, main: Incident | None) -> bool:
    """Whether the branch that is synced says what the request asks for."""
    if main is None:
        return False
    if one.step == "affected":
        return main.spec.affected is not None or main.spec.outcome is not None
    return one.step == "rollback" or main.spec.outcome is not None


def _bytes(tree: Tree, path: str) -> bytes | None:
    try:
        return tree.read(path)
    except UnreadableError:
        return None
