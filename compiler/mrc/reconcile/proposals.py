"""Changes that are asked for in pull requests: the branch of an incident is its record until it is merged.

`mrc/<environment>/<step>/<incident>` is pushed first and the request opened after it, so that a crash between the two
leaves what the next run goes on with. A request that a person closed is a decision: nothing asks for it again.
"""

import re
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from mrc.reconcile.change import Change, Edits
from mrc.reconcile.forges import Forge, ForgeError, Request
from mrc.reconcile.git import GitError
from mrc.reconcile.gittree import GitTree
from mrc.reconcile.ledger import Ledger
from mrc.reconcile.message import message
from mrc.reconcile.proposal import Own, Proposal, Step, composed
from mrc.reconcile.survey import Survey, incident, incident_path, survey
from mrc.reconcile.telemetry import Telemetry
from mrc.schema import Incident
from mrc.tree import Tree, UnreadableError

_STEPS: dict[str, Step] = {"rollback": "rollback", "affected": "affected", "close": "close"}
LOOK_SECONDS = 30.0
"""How often the forge is asked for a request that is open; more seldom when there are many."""
TEND_SECONDS = 20.0
"""How long one pass goes on with requests: /healthz has two minutes, and a failure may be waiting."""

_NEVER = ("", "", float("-inf"))


class Proposals:
    """The branches and requests of one environment. What it keeps in memory saves questions, and is never needed."""

    def __init__(
        self,
        ledger: Ledger,
        forge: Forge,
        environment: str,
        telemetry: Telemetry,
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        """`alive` is told while what takes long goes on: after a start, every branch is read and looked at."""
        self._ledger, self._forge, self._environment, self._telemetry = ledger, forge, environment, telemetry
        self.folder = f"mrc/{environment}"
        self._there: dict[str, Proposal] = {}
        self._declined: set[str] = set()
        self._looked: dict[str, tuple[str, str, float]] = {}
        self._arranged: set[str] = set()
        self._alive = alive
        self._own = Own(ledger, telemetry, alive)
        self.trouble: ForgeError | None = None
        """Why the forge could not be asked, in the last pass."""

    def read(self) -> None:
        """What the branches say; after a fetch."""
        there: dict[str, Proposal] = {}
        for branch, commit in self._ledger.branches(self.folder).items():
            self._alive()
            before = self._there.get(branch)
            found = before if before is not None and before.commit == commit else self._proposal(branch, commit)
            if found is not None:
                there[branch] = found
        self._there = there
        self._looked = {branch: looked for branch, looked in self._looked.items() if branch in there}

    def _proposal(self, branch: str, commit: str) -> Proposal | None:
        step, _, name = branch.removeprefix(f"{self.folder}/").partition("/")
        tree = self._ledger.tree(commit)
        paths = [path for path in tree.files(f"incidents/{self._environment}") if path.endswith(f"/{name}.yaml")]
        record = incident(tree, paths[0]) if len(paths) == 1 else None
        return Proposal(branch, _STEPS[step], commit, record) if record is not None and step in _STEPS else None

    def waiting(self) -> list[Incident]:
        """The incidents whose first request is open. What somebody else wrote is none: it must hold nothing up."""
        return [one.record for one in self._first() if one.branch not in self._declined and self._own.has(one)]

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
        declined |= {one.record.metadata.id for one in self._first() if not self._own.has(one)}
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
        self._own.wrote(commit)
        self._there[branch] = Proposal(branch, step, commit, record)
        self._go_on(self._there[branch], tree)
        return True

    def tend(self, tree: GitTree) -> None:
        """Go on with every request: open it, renew it, have it merged, or end it. Raises GitError.

        Who has waited longest comes first; for whom there is no time, the next pass is. A forge that does not answer is
        `trouble`: what is to be decided does not wait for it.
        """
        begun, self.trouble = time.monotonic(), None
        for one in sorted(self._there.values(), key=lambda one: self._looked.get(one.branch, _NEVER)[2]):
            tip, commit, _ = self._looked.get(one.branch, _NEVER)
            if (tip, commit) != (tree.commit, one.commit) or not self._fresh(one):
                try:
                    self._go_on(one, tree)
                except ForgeError as problem:
                    self.trouble = problem
                    return
            if time.monotonic() - begun > TEND_SECONDS:
                return

    def _fresh(self, one: Proposal) -> bool:
        """Whether the forge said a moment ago how the request is."""
        _, commit, asked = self._looked.get(one.branch, _NEVER)
        return commit == one.commit and time.monotonic() - asked <= max(LOOK_SECONDS, 2.0 * len(self._there))

    def _go_on(self, one: Proposal, tree: GitTree) -> None:
        """One that the forge refuses for good is told, and holds up no other."""
        main = incident(tree, incident_path(one.record))
        quiet = self._fresh(one) and one.commit in self._arranged and not one.done(main)
        if quiet and self._wanted(one, tree, main) is None:  # what has moved on main is something else
            self._looked[one.branch] = (tree.commit, one.commit, self._looked[one.branch][2])
            return
        self._looked[one.branch] = (tree.commit, one.commit, time.monotonic())
        try:
            self._look(one, tree, main)
        except ForgeError as problem:
            if problem.temporary:
                self._looked[one.branch] = ("", "", time.monotonic())  # once more, after the others
                raise
            self._telemetry.count("mrc_reconciler_errors_total", what="forge")
            said = "the forge refuses the pull request"
            self._telemetry.log(said, level="error", branch=one.branch, error=str(problem))

    def _look(self, one: Proposal, tree: GitTree, main: Incident | None) -> None:
        if one.done(main):
            self._telemetry.log("the pull request is merged", branch=one.branch)
            self._remove(one)
            return
        request = self._forge.find(one.branch)
        if request is not None and request.state == "closed":
            self._decline(one.branch, request)
        elif request is None or request.state == "open":
            self._declined.discard(one.branch)
            if not self._own.has(one):
                return
            wanted = self._wanted(one, tree, main)
            if isinstance(wanted, str):
                self._end(one, request, wanted)
                return
            if wanted is not None:
                one = self._renewed(one, tree, wanted)
            if request is None:
                text = message(self._environment, [one.record])
                request = self._forge.open(one.branch, *described(text))
                self._telemetry.log("asked for in a pull request", branch=one.branch, url=request.url)
            self._merge(one, replace(request, commit=one.commit))

    def _merge(self, one: Proposal, request: Request) -> None:
        if one.commit in self._arranged:
            return
        why = self._forge.merge(request)
        if why is None:
            self._arranged.add(one.commit)
            self._telemetry.log("it is merged as soon as the branch's rules let it", url=request.url)
        else:
            self._telemetry.log("it cannot be merged yet", level="warning", url=request.url, said=why)

    def _wanted(self, one: Proposal, tree: GitTree, main: Incident | None) -> Change | str | None:
        """What the request must have on today's main, if that is something else, or what speaks against it by now."""
        metadata, spec = one.record.metadata, one.record.spec
        if one.step != "rollback":  # it touches the record alone, which nobody else does
            return None if main is not None else "the incident is not in git any more"
        if self._ledger.parents(one.commit) == [tree.commit] or spec.action == "page":
            return None
        found = survey(tree, metadata.environment, [metadata.model])
        state = found.models.get(metadata.model) if found is not None else None
        if state is None:
            return f"{metadata.model} does not serve in {metadata.environment} any more"
        if state.serve.version != spec.before.version:
            return f"git names version {int(state.serve.version)} by now"
        change = composed(tree, one.record)
        (record,) = change.incidents
        if record.spec.action != spec.action:
            return next(gate.saw for gate in record.spec.reasons if not gate.passed)
        there = self._ledger.tree(one.commit)
        return None if all(_bytes(there, path) == data for path, data in change.edits.items()) else change

    def _renewed(self, one: Proposal, tree: GitTree, change: Change) -> Proposal:
        (record,) = change.incidents
        text = message(self._environment, [record])
        commit = self._ledger.commit(tree.commit, change.edits, text, one.record.spec.times.decided)
        if commit is None or not self._push(one.branch, commit, over=one.commit):
            return one
        self._own.wrote(commit)
        self._there[one.branch] = replace(one, commit=commit, record=record)
        self._telemetry.log("the pull request is renewed, for the branch has moved", branch=one.branch, commit=commit)
        return self._there[one.branch]

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


def _bytes(tree: Tree, path: str) -> bytes | None:
    try:
        return tree.read(path)
    except UnreadableError:
        return None
