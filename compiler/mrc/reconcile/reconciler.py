"""One pass: look, decide, commit, push; on a race, fetch and decide again. Everything with I/O is passed in."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from mrc import __version__
from mrc.load import Objects, load
from mrc.reconcile import evidence, following, telling
from mrc.reconcile.change import Change, compose
from mrc.reconcile.decide import Decision, decide
from mrc.reconcile.evidence import gathered
from mrc.reconcile.failure import Failure, Running
from mrc.reconcile.following import followed, went_on
from mrc.reconcile.git import GitError
from mrc.reconcile.gittree import GitTree
from mrc.reconcile.holding import Holding
from mrc.reconcile.hooks import Call
from mrc.reconcile.incidents import Incidents
from mrc.reconcile.ledger import Ledger
from mrc.reconcile.message import message
from mrc.reconcile.monitoring import PAGED_FOR
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
from mrc.schema.repository import allows

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


class RefusedError(Exception):
    """The reconciler must not work on this tree; the message says why."""


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
        self._proposing = proposing
        self._proposals: Proposals | None = None  # in the mode pullRequest alone
        self._surveys, self._incidents = Surveys(environment), Incidents(environment)
        self._detected: dict[str, datetime] = {}
        self._quiet: dict[str, float] = {}
        self._pages = Pages(telemetry)
        self._holding = Holding(ledger, environment, self._pages, telemetry, lambda commit: self.pushed(commit))
        self._observed: set[str] = set()
        self._held = False
        self._tree: GitTree | None = None
        self._fetched = float("-inf")

    # What is read.

    def start(self) -> Environment:
        """Fetch, and take up what was begun. Raises GitError, RefusedError."""
        tree = self._fetch()
        environment = self._environment(tree)
        if self._mode(environment.spec.reconcile) == "pullRequest":
            self._tree = None  # once more, with the branches
            self._incidents.forget()
            self._fetch()
        return environment

    def _fetch(self) -> GitTree:
        commit = self.ledger.fetch(self._proposals.folder if self._proposals is not None else "")
        self._fetched = time.monotonic()
        if self._proposals is not None:
            self._proposals.read()
        if self._tree is None or self._tree.commit != commit:
            self._tree = self.ledger.tree(commit)
            self._take_up(self._tree)
        return self._tree

    def _environment(self, tree: GitTree) -> Environment:
        return self._shared(tree).environments[self.environment][1]

    def _shared(self, tree: GitTree) -> Objects:
        """What all models share, and whether something is held."""
        objects, _ = load(tree, [])
        if objects.repository is None:
            raise RefusedError("mrc.yaml cannot be read")
        pin = objects.repository[1].spec.mrc
        if not allows(pin, __version__):
            raise RefusedError(f"mrc.yaml pins mrc {pin}, and this is mrc {__version__}")
        if self.environment not in objects.environments:
            raise RefusedError(f"environments/{self.environment}.yaml is not there, or cannot be read")
        here = (hold for (environment, _), (_, hold) in objects.holds.items() if environment == self.environment)
        self._held = any(hold.spec.cleared is None for hold in here)
        return objects

    def _mode(self, settings: Reconcile) -> str:
        """How changes are written now, with what that needs."""
        if settings.mode != "pullRequest":
            self._proposals = None
        elif self._proposals is None:
            if self._proposing is None:
                raise RefusedError("nobody can be asked for pull requests here")
            self._proposals = self._proposing(settings)
        return settings.mode

    def _take_up(self, tree: GitTree) -> None:
        taken = self._incidents.take_up(tree)
        now = self.clock()
        telling.closed(self.telemetry, taken.closed)
        # A page may be ours, and the answer to its push was lost.
        self._pages.add(
            one for one in taken.over if one.spec.outcome is not None and one.spec.outcome.at > now - PAGED_FOR
        )
        for path in taken.opened:
            one = self._incidents.open[path]
            if self._proposals is None:
                self._incidents.open[path] = one if one.pushed is not None else replace(one, pushed=now)
            elif one.incident.spec.affected is None:
                self._incidents.open[path] = replace(one, pushed=now, begun=now)  # it is merged
                self.pushed(tree.commit)

    # What is done.

    def step(self, seen: Seen) -> None:
        """One pass over everything that is the case.

        Raises GitError when the remote does not answer, ForgeError when its forge does not, RefusedError.
        """
        now, tick = self.clock(), time.monotonic()
        telling.note(self.telemetry, seen.failures, len(self._incidents.open))
        self._pages.send(self.monitoring, now)
        for failure in seen.failures:
            self._detected.setdefault(failure.cause, now)
        due = [one for one in seen.failures if self._quiet.get(one.cause, 0) <= tick]
        ended = self._progress(seen) if self._incidents.open else []
        asking = self._proposals is not None and self._proposals.open()
        patience = RECHECK_SECONDS if self._incidents.open or self._held or asking else IDLE_SECONDS
        if not due and not ended and tick - self._fetched <= patience:
            return
        if not self._converge(due, seen):
            self.ledger.tidy()
        self._surveys.keep(self._incidents.models() | {failure.model for failure in seen.failures})
        current = {failure.cause for failure in seen.failures}
        self._detected = {cause: at for cause, at in self._detected.items() if cause in current}
        self._quiet = {cause: until for cause, until in self._quiet.items() if cause in current}
        self._observed &= current
        if self._proposals is not None and self._proposals.trouble is not None:
            raise self._proposals.trouble

    def _converge(self, due: list[Failure], seen: Seen) -> bool:
        """Whether anything was written."""
        for _ in range(RACES):
            tree = self._fetch()
            shared = self._shared(tree)
            environment = shared.environments[self.environment][1]
            now = self.clock()
            had = self._proposals
            if self._mode(environment.spec.reconcile) == "pullRequest" and had is None:
                continue  # with the branches
            if not self._held:
                self._pages.held(now)
            elif not self._holding.again(tree, shared, now):
                continue
            if self._proposals is not None:
                self._proposals.tend(tree)
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
            write = self._write if self._proposals is None else self._propose
            if write(tree, wanted, ended, now):
                return True
        raise GitError(
            1, f"in {RACES} tries, the branch moves faster than it can be written to, or what is in the way stays"
        )

    def _decide(
        self, tree: GitTree, environment: Environment, due: list[Failure], seen: Seen, now: datetime
    ) -> list[Decision]:
        if not due:
            return []
        found = self._surveys.survey(tree, {failure.model for failure in seen.failures})
        if found is None:
            raise RefusedError(f"environments/{self.environment}.yaml cannot be read")
        if self._proposals is not None:
            found = self._proposals.counted(found)
        state = self._state(tree, found, due, seen, now)
        state, later = gathered(state, due, tree, self.monitoring, now, apart=self._proposals is not None)
        decisions = decide(due, state, now)
        if later:
            # They come with the next pass, and so does the hold on everything: it pins what serves after all of them.
            decisions = [replace(one, frozen=False) for one in decisions if one.failure.cause not in later]
        for decision in decisions:
            if decision.action != "nothing" or decision.failure.cause not in self._quiet:
                telling.decided(self.telemetry, decision)
        return decisions

    def _state(self, tree: GitTree, found: Survey, due: list[Failure], seen: Seen, now: datetime) -> State:
        waiting = self._proposals.waiting() if self._proposals is not None else []
        causes = {failure.cause for failure in due}
        return State(
            self.environment,
            found.environment.spec.reconcile,
            found.models,
            count(tree, self.environment),
            found.environment.spec.limits.validated,
            self._incidents.failing(tree, now, waiting),
            found.hold,
            found.cleared,
            frozenset(self._incidents.withdrawn & {failure.incident for failure in due}),
            running=seen.running,
            others=tuple(one for one in seen.failures if one.cause not in causes),
        )

    def _progress(self, seen: Seen) -> list[Progress]:
        """What became of the open incidents; those whose records change now."""
        if self._tree is None:
            return []
        found = self._surveys.survey(self._tree, self._incidents.models())
        if found is None:
            return []
        now, following = self.clock(), self._incidents.open
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
        return self._proposals is not None and self._proposals.asked(step, one.incident)

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
        assert self._proposals is not None
        for decision in decisions:
            change = compose(tree, self.environment, [decision], self._detected, now)
            (record,) = change.incidents
            if not self._proposals.propose(tree, "rollback", record, change.edits, now):
                return False
            self._pages.add([record])
        for one in ended[: evidence.REQUESTS]:  # the others come with the next pass
            change = Change()
            (record,) = went_on(change, [one])
            step: Step = "close" if one.outcome is not None else "affected"
            if not self._proposals.propose(tree, step, record, change.edits, now):
                return False
            self._pages.add([record])
        self._pages.send(self.monitoring, now)
        return True

    def _done(self, change: Change, later: list[Incident], commit: str) -> None:
        at = self.clock()
        self._incidents.wrote([*change.incidents, *later], self.ledger.tree(commit), at)
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
