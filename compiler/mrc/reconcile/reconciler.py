"""One pass: look, decide, commit, push; on a race, fetch and decide again. Everything with I/O is passed in."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from mrc.reconcile import evidence, following, telling
from mrc.reconcile.branch import Branch, RefusedError
from mrc.reconcile.change import Change, compose
from mrc.reconcile.decide import Decision, decide
from mrc.reconcile.evidence import gathered
from mrc.reconcile.failure import Failure, Running
from mrc.reconcile.following import followed, went_on
from mrc.reconcile.git import GitError
from mrc.reconcile.gittree import GitTree
from mrc.reconcile.holding import Holding
from mrc.reconcile.hooks import Call
from mrc.reconcile.ledger import Ledger
from mrc.reconcile.message import message
from mrc.reconcile.pages import Pager, Pages
from mrc.reconcile.proposal import Step
from mrc.reconcile.proposals import Proposals
from mrc.reconcile.recovery import Progress
from mrc.reconcile.state import State
from mrc.reconcile.survey import Survey, Surveys, count
from mrc.reconcile.telemetry import Telemetry
from mrc.schema import Environment, Incident
from mrc.schema.incident import Told
from mrc.schema.reconcile import Reconcile

RACES = 10
RECHECK_SECONDS = 10.0
"""How long a failure that asks for nothing is not looked at again, and how old git may be while something is held."""
IDLE_SECONDS = 60.0
"""How often git is asked when nothing is the case: a person may have gone back by hand, and that has an end, too."""


class Monitoring(evidence.Monitoring, following.Monitoring, Pager, Protocol):
    """What is asked of Prometheus and Alertmanager."""


@dataclass
class Seen:
    """What the cluster and Alertmanager say now."""

    failures: list[Failure] = field(default_factory=list)
    running: dict[str, Running] = field(default_factory=dict)


class Reconciler:
    """The reconciler of one environment. What it keeps in memory saves work, and is never needed."""

    def __init__(
        self,
        ledger: Ledger,
        environment: str,
        monitoring: Monitoring,
        telemetry: Telemetry,
        clock: Callable[[], datetime],
        pushed: Callable[[str], object] = lambda commit: None,
        hook: Callable[[Call], Told | None] = lambda call: None,
        proposing: Callable[[Reconcile], Proposals] | None = None,
    ) -> None:
        self.ledger, self.environment, self.monitoring = ledger, environment, monitoring
        self.telemetry, self.clock, self.pushed, self.hook = telemetry, clock, pushed, hook
        self._surveys = Surveys(environment)
        self._detected: dict[str, datetime] = {}
        self._quiet: dict[str, float] = {}
        self._pages = Pages(telemetry)
        self._holding = Holding(ledger, environment, self._pages, telemetry, lambda commit: self.pushed(commit))
        self._branch = Branch(
            ledger, environment, self._pages, telemetry, clock, lambda commit: self.pushed(commit), proposing
        )
        self._observed: set[str] = set()

    def start(self) -> Environment:
        """Fetch, and take up what was begun. Raises GitError, RefusedError."""
        return self._branch.start()

    def step(self, seen: Seen) -> None:
        """One pass over everything that is the case.

        Raises GitError when the remote does not answer, ForgeError when its forge does not, RefusedError.
        """
        now, tick = self.clock(), time.monotonic()
        telling.note(self.telemetry, seen.failures, len(self._branch.incidents.open))
        self._pages.send(self.monitoring, now)
        for failure in seen.failures:
            self._detected.setdefault(failure.cause, now)
        due = [one for one in seen.failures if self._quiet.get(one.cause, 0) <= tick]
        ended = self._progress(seen) if self._branch.incidents.open else []
        asking = self._branch.proposals is not None and self._branch.proposals.open()
        patience = RECHECK_SECONDS if self._branch.incidents.open or self._branch.held or asking else IDLE_SECONDS
        if not due and not ended and tick - self._branch.fetched <= patience:
            return
        if not self._converge(due, seen):
            self.ledger.tidy()
        self._surveys.keep(self._branch.incidents.models() | {failure.model for failure in seen.failures})
        current = {failure.cause for failure in seen.failures}
        self._detected = {cause: at for cause, at in self._detected.items() if cause in current}
        self._quiet = {cause: until for cause, until in self._quiet.items() if cause in current}
        self._observed &= current
        if self._branch.proposals is not None and self._branch.proposals.trouble is not None:
            raise self._branch.proposals.trouble

    def _converge(self, due: list[Failure], seen: Seen) -> bool:
        """Whether anything was written."""
        for _ in range(RACES):
            tree = self._branch.fetch()
            shared = self._branch.shared(tree)
            environment = shared.environments[self.environment][1]
            now = self.clock()
            had = self._branch.proposals
            if self._branch.mode(environment.spec.reconcile) == "pullRequest" and had is None:
                continue  # with the branches
            if not self._branch.held:
                self._pages.held(now)
            elif not self._holding.again(tree, shared, now):
                continue
            if self._branch.proposals is not None:
                self._branch.proposals.tend(tree)
            ended = self._progress(seen)
            decisions = self._decide(tree, environment, due, seen, now)
            for decision in decisions:
                if decision.action == "nothing":
                    self._quiet[decision.failure.cause] = time.monotonic() + RECHECK_SECONDS
            wanted = [one for one in decisions if one.action != "nothing"]
            if not wanted and not ended:
                return False
            if environment.spec.reconcile.mode == "observe":
                self._observe(wanted)
                return False
            write = self._write if self._branch.proposals is None else self._propose
            if write(tree, wanted, ended, now):
                return True
        raise GitError(
            1, f"in {RACES} tries, the branch moves faster than it can be written to, or what is in the way stays"
        )

    def _decide(
        self, tree: GitTree, environment: Environment, due: list[Failure], seen: Seen, now: datetime
    ) -> list[Decision]:
        if not seen.failures:
            self._pages.unread(self.environment, {}, now)
        if not due:
            return []
        found = self._surveys.survey(tree, {failure.model for failure in seen.failures})
        if found is None:
            raise RefusedError(f"environments/{self.environment}.yaml cannot be read")
        stuck = {failure.model: failure.version for failure in seen.failures if failure.model in found.unread}
        if self._pages.unread(self.environment, stuck, now):
            self._pages.send(self.monitoring, now)
        if self._branch.proposals is not None:
            found = self._branch.proposals.counted(found)
        state = self._state(tree, found, due, seen, now)
        state, later = gathered(state, due, tree, self.monitoring, now, apart=self._branch.proposals is not None)
        decisions = decide(due, state, now)
        if later:
            # They come with the next pass, and so does the hold on everything: it pins what serves after all of them.
            decisions = [replace(one, frozen=False) for one in decisions if one.failure.cause not in later]
        for decision in decisions:
            if decision.action != "nothing" or decision.failure.cause not in self._quiet:
                telling.decided(self.telemetry, decision)
        return decisions

    def _state(self, tree: GitTree, found: Survey, due: list[Failure], seen: Seen, now: datetime) -> State:
        waiting = self._branch.proposals.waiting() if self._branch.proposals is not None else []
        causes = {failure.cause for failure in due}
        return State(
            self.environment,
            found.environment.spec.reconcile,
            found.models,
            count(tree, self.environment),
            found.environment.spec.limits.validated,
            self._branch.incidents.failing(tree, now, waiting),
            found.hold,
            found.cleared,
            frozenset(self._branch.incidents.withdrawn & {failure.incident for failure in due}),
            running=seen.running,
            others=tuple(one for one in seen.failures if one.cause not in causes),
        )

    def _progress(self, seen: Seen) -> list[Progress]:
        """What became of the open incidents; those whose records change now."""
        if self._branch.tree is None:
            return []
        found = self._surveys.survey(self._branch.tree, self._branch.incidents.models())
        if found is None:
            return []
        now, following = self.clock(), self._branch.incidents.open
        for path, before in following.items():
            running = seen.running.get(before.incident.metadata.model)
            following[path] = followed(
                before, found, running, self.monitoring, self.hook, self.telemetry, now
            )  # fmt: skip
        if found.environment.spec.reconcile.mode == "observe":
            return []
        return [one for one in following.values() if one.changed and not self._asked(one)]

    def _asked(self, one: Progress) -> bool:
        """Whether a pull request asks for how it went on."""
        step: Step = "close" if one.outcome is not None else "affected"
        return self._branch.proposals is not None and self._branch.proposals.asked(step, one.incident)

    def _write(self, tree: GitTree, decisions: list[Decision], ended: list[Progress], now: datetime) -> bool:
        """One commit for all of it, pushed. False: somebody was faster, decide again."""
        change = compose(tree, self.environment, decisions, self._detected, now)
        later = went_on(change, ended)
        begin = time.monotonic()
        said = message(self.environment, [*change.incidents, *later])
        commit = self.ledger.commit(tree.commit, change.edits, said, now)
        if commit is None:
            return True
        pushed = self.ledger.push(commit)
        self.telemetry.count("mrc_reconciler_pushes_total", state=pushed.state)
        ids = [one.metadata.id for one in (*change.incidents, *later)]
        if pushed.state == "raced":
            self.telemetry.log("somebody pushed first; deciding again", incidents=ids, said=pushed.text)
            return False
        if pushed.state != "done":
            self.telemetry.log(f"the push was {pushed.state}", level="error", incidents=ids, said=pushed.text)
            if pushed.state == "refused":
                models = {one.metadata.model for one in change.incidents}
                self._pages.refused(self.environment, pushed.text, models, self.clock())
                self._pages.send(self.monitoring, self.clock())
            raise GitError(1, f"the push was {pushed.state}: {pushed.text}")
        took = time.monotonic() - begin
        self.telemetry.set("mrc_reconciler_decided_to_pushed_seconds", took)
        self.telemetry.log("pushed", commit=commit, incidents=ids, seconds=round(took, 3))
        self._done(change, later, commit)
        return True

    def _propose(self, tree: GitTree, decisions: list[Decision], ended: list[Progress], now: datetime) -> bool:
        """A pull request for each of it. False: somebody was faster, decide again."""
        assert self._branch.proposals is not None
        for decision in decisions:
            change = compose(tree, self.environment, [decision], self._detected, now)
            (record,) = change.incidents
            if not self._branch.proposals.propose(tree, "rollback", record, change.edits, now):
                return False
            self._pages.add([record])
        for one in ended[: evidence.REQUESTS]:  # the others come with the next pass
            change = Change()
            (record,) = went_on(change, [one])
            step: Step = "close" if one.outcome is not None else "affected"
            if not self._branch.proposals.propose(tree, step, record, change.edits, now):
                return False
            self._pages.add([record])
        self._pages.send(self.monitoring, now)
        return True

    def _done(self, change: Change, later: list[Incident], commit: str) -> None:
        at = self.clock()
        self._branch.incidents.wrote([*change.incidents, *later], self.ledger.tree(commit), at)
        if any(one.spec.outcome is None for one in change.incidents):
            self.pushed(commit)  # first: an Alertmanager that is slow holds up nobody
        telling.closed(self.telemetry, later)
        self._pages.let_in(at)
        self._pages.add([*change.incidents, *later])
        self._pages.send(self.monitoring, at)

    def _observe(self, decisions: list[Decision]) -> None:
        for decision in decisions:
            if decision.failure.cause not in self._observed:
                self._observed.add(decision.failure.cause)
                self.telemetry.log(
                    "observing only: nothing was written", incident=decision.failure.incident, would=decision.action
                )
            self._quiet[decision.failure.cause] = time.monotonic() + RECHECK_SECONDS
