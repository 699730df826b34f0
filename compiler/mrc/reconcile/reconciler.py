"""One pass: look, decide, commit, push; on a race, fetch and decide again. Everything with I/O is passed in."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from mrc import __version__
from mrc.compile import analyse
from mrc.load import Objects, load
from mrc.reconcile.change import Change, back, closed, compose
from mrc.reconcile.decide import Decision, decide, targets
from mrc.reconcile.failure import Failure, Running
from mrc.reconcile.git import GitError
from mrc.reconcile.gittree import GitTree
from mrc.reconcile.hooks import Call, calls, declared
from mrc.reconcile.ledger import Ledger
from mrc.reconcile.message import message
from mrc.reconcile.monitoring import PAGED_FOR, MonitoringError
from mrc.reconcile.pages import Pages
from mrc.reconcile.pins import Pins, pinned_again, said
from mrc.reconcile.proposals import Proposals, Step
from mrc.reconcile.records import emit
from mrc.reconcile.recovery import Progress, affected, progress, resumed
from mrc.reconcile.state import ModelState, State
from mrc.reconcile.survey import Survey, Surveys, count, incident, incident_path
from mrc.reconcile.telemetry import Telemetry
from mrc.reconcile.verify import manifest, problem
from mrc.schema import Environment, Incident
from mrc.schema.incident import HookName, Told
from mrc.schema.policy import Hooks
from mrc.schema.reconcile import Reconcile
from mrc.schema.repository import allows

RACES = 10
RECHECK_SECONDS = 10.0
"""How long a failure that asks for nothing is not looked at again, and how old git may be while something is held."""
BATCH = 100
"""How many rollbacks one commit carries, so that the first of a thousand does not wait for the last."""
IDLE_SECONDS = 60.0
"""How often git is asked when nothing is the case: a person may have gone back by hand, and that has an end, too."""


class Monitoring(Protocol):
    """What is asked of Prometheus and Alertmanager."""

    def problems(self, healthy: Mapping[str, str]) -> tuple[str, ...]: ...
    def worse(self, environment: str, model: str, guardrail: str, version: int) -> str | None: ...
    def verdicts(self, environment: str, model: str, version: int) -> Mapping[str, bool]: ...
    def page(self, alerts: Iterable[Mapping[str, object]]) -> None: ...


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
        self._surveys, self._pins = Surveys(environment), Pins(environment)
        self._records: dict[str, tuple[str, list[str]]] = {}  # by model: the id of the folder, the paths of incidents
        self._decided: dict[str, tuple[str, datetime | None]] = {}
        self._open: dict[str, Progress] = {}
        self._ended: set[str] = set()
        self._detected: dict[str, datetime] = {}
        self._quiet: dict[str, float] = {}
        self._pages = Pages(telemetry)
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
            self._records.clear()
            self._open.clear()
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
        """Every incident of the tree that has no outcome yet, and every page that stands: whoever wrote it is gone."""
        folder = f"incidents/{self.environment}"
        folders = tree.folders(folder)
        for model in self._records.keys() - folders.keys():
            self._forget(self._records.pop(model)[1])
        for model, own in folders.items():
            before, had = self._records.get(model, ("", []))
            if own == before:
                continue
            paths = tree.files(f"{folder}/{model}")
            self._forget(path for path in had if path not in paths)
            for path in paths:
                self._take(tree, path)
            self._records[model] = own, paths

    def _take(self, tree: GitTree, path: str) -> None:
        if path in self._ended:
            return
        found = incident(tree, path)
        if found is None:
            self._open.pop(path, None)  # mrc check says why it cannot be read
        elif found.spec.outcome is not None or found.spec.action == "page":
            self._ended.add(path)
            self._open.pop(path, None)
            if found.spec.outcome is not None and found.spec.outcome.at > self.clock() - PAGED_FOR:
                self._pages.add([found])  # it may be ours, and the answer to the push was lost
        elif path not in self._open or self._open[path].incident != found:
            self._open[path] = resumed(found)
            if self._proposals is not None and found.spec.affected is None:
                self._open[path] = replace(self._open[path], pushed=self.clock())  # it is merged
                self.pushed(tree.commit)

    def _forget(self, paths: Iterable[str]) -> None:
        """Somebody removed the records: there is nothing left to end."""
        for path in paths:
            self._open.pop(path, None)

    # What is done.

    def step(self, seen: Seen) -> None:
        """One pass over everything that is the case. Raises GitError when the remote does not answer, RefusedError."""
        now, tick = self.clock(), time.monotonic()
        self._note(seen)
        self._pages.send(self.monitoring, now)
        for failure in seen.failures:
            self._detected.setdefault(failure.cause, now)
        due = [one for one in seen.failures if self._quiet.get(one.cause, 0) <= tick]
        ended = self._progress(seen) if self._open else []
        asking = self._proposals is not None and self._proposals.open()
        patience = RECHECK_SECONDS if self._open or self._held or asking else IDLE_SECONDS
        if not due and not ended and tick - self._fetched <= patience:
            return
        self._converge(due, seen)
        if not due and not ended:
            self.ledger.tidy()
        opened = {one.incident.metadata.model for one in self._open.values()}
        self._surveys.keep(opened | {failure.model for failure in seen.failures})
        current = {failure.cause for failure in seen.failures}
        self._detected = {cause: at for cause, at in self._detected.items() if cause in current}
        self._quiet = {cause: until for cause, until in self._quiet.items() if cause in current}

    def _note(self, seen: Seen) -> None:
        self.telemetry.clear("mrc_reconciler_failures")
        for kind in ("analysis", "deadline", "abort", "alert"):
            same = sum(failure.kind == kind for failure in seen.failures)
            self.telemetry.set("mrc_reconciler_failures", same, kind=kind)
        self.telemetry.set("mrc_reconciler_incidents_open", len(self._open))

    def _converge(self, due: list[Failure], seen: Seen) -> None:
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
            elif not self._hold_again(tree, shared, now):
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
                return
            if environment.spec.reconcile.mode == "observe":
                self._observe(wanted)
                return
            write = self._write if self._proposals is None else self._propose
            if write(tree, wanted, ended, now):
                return
        self.telemetry.log("the branch moves faster than it can be written to", level="error", tries=RACES)

    def _hold_again(self, tree: GitTree, shared: Objects, now: datetime) -> bool:
        """Whether to go on: what is held and rendered otherwise is rendered again and pushed, or people are paged."""
        found = self._pins.slipped(tree, shared)
        edits = {path: data for name in found for path, data in pinned_again(tree, self.environment, name).items()}
        if not found:
            self._pages.held(now)
            return True
        moved = {name: f"{rendered} instead of {version}" for name, (version, rendered) in found.items()}
        mode = shared.environments[self.environment][1].spec.reconcile.mode
        if mode != "commit" or not edits:
            why = f"in the mode {mode} mrc does not push" if mode != "commit" else "what is held does not render"
            if self._pages.slipped(self.environment, moved, why, now):
                self.telemetry.log("held, and rendered otherwise: mrc render", level="error", models=moved, why=why)
            return True
        commit = self.ledger.commit(tree.commit, edits, said(self.environment, found), now)
        if commit is None:
            return True
        pushed = self.ledger.push(commit)
        self.telemetry.count("mrc_reconciler_pushes_total", state=pushed.state)
        self.telemetry.log("held again", models=moved, commit=commit, push=pushed.state, said=pushed.text)
        if pushed.state in ("done", "raced"):
            return False
        # A remote that does not take it must not stop what else is to be done.
        self._pages.slipped(self.environment, moved, f"the push was {pushed.state}: {pushed.text}", now)
        return True

    def _decide(
        self, tree: GitTree, environment: Environment, due: list[Failure], seen: Seen, now: datetime
    ) -> list[Decision]:
        if not due:
            return []
        found = self._surveys.survey(tree, {failure.model for failure in due})
        if found is None:
            raise RefusedError(f"environments/{self.environment}.yaml cannot be read")
        if self._proposals is not None:
            found = self._proposals.counted(found)
        state, later = self._state(tree, found, due, seen, now)
        decisions = decide(due, state, now)
        if later:
            # They come with the next pass, and so does the hold on everything: it pins what serves after all of them.
            decisions = [replace(one, frozen=False) for one in decisions if one.failure.cause not in later]
        for decision in decisions:
            if decision.action != "nothing" or decision.failure.cause not in self._quiet:
                self._tell(decision)
        return decisions

    def _state(
        self, tree: GitTree, found: Survey, due: list[Failure], seen: Seen, now: datetime
    ) -> tuple[State, set[str]]:
        """What decisions rest on, and the causes that are too many for one commit."""
        settings = found.environment.spec.reconcile
        state = State(
            self.environment,
            settings,
            found.models,
            count(tree, self.environment),
            found.environment.spec.limits.validated,
            self._failing(tree, now),
            found.hold,
            (),
            {},
            {},
            seen.running,
        )
        # Where the answer is known already, nothing is asked: most failures are seen again and again.
        first = decide(due, state, now)
        moving = [one for one in first if one.action == "rollback"]
        if not moving:
            return state, set()
        moving, later = moving[:BATCH], {one.failure.cause for one in moving[BATCH:]}
        unhealthy = self.monitoring.problems(settings.healthy)
        worse: dict[tuple[str, str, int], str] = {}
        unfit: dict[tuple[str, int], str] = {}
        for decision in moving:
            failure, model = decision.failure, found.models[decision.failure.model]
            unfit |= self._unfit(tree, failure, state, settings.verify.seconds)
            if decision.verdict != "rejected" or failure.kind == "request" or unhealthy:
                continue
            tried = targets(model, failure.version, demands_validated=state.demands_validated)
            if failure.aborted:  # git follows in any case: what the target does bears on the verdict alone
                tried = [number for number in tried if (failure.model, number) not in unfit][:1]
            for number in tried:
                for name, _ in failure.evidence:
                    if (saw := self._worse(failure.model, name, number)) is not None:
                        worse[failure.model, name, number] = saw
        return replace(state, unhealthy=unhealthy, worse=worse, unfit=unfit), later

    def _worse(self, model: str, guardrail: str, version: int) -> str | None:
        try:
            return self.monitoring.worse(self.environment, model, guardrail, version)
        except MonitoringError as fault:
            return f"cannot be asked: {fault}"

    def _unfit(self, tree: GitTree, failure: Failure, state: State, seconds: float) -> dict[tuple[str, int], str]:
        """The targets up to the first good one that are not what was promised."""
        fleet = analyse(tree, [failure.model]).fleet
        model = state.models[failure.model]
        found: dict[tuple[str, int], str] = {}
        for number in targets(model, failure.version, demands_validated=state.demands_validated):
            promised = manifest(fleet, failure.model, self.environment, number)
            if promised is None:
                found[failure.model, number] = "cannot be rendered"
                continue
            fault = problem(promised, seconds, patient=failure.aborted)
            if fault is None:
                break
            found[failure.model, number] = fault
        return found

    def _failing(self, tree: GitTree, now: datetime) -> dict[str, datetime]:
        """The models with an incident within the last hour, and when the last one was decided."""
        since = f"{now - timedelta(hours=2):%Y%m%d-%H%M%S}"  # it may have begun long before; names sort by that
        recent = {
            path: (model, own)
            for model, (own, paths) in self._records.items()
            for path in paths
            if path.rpartition("/")[2] >= since
        }
        waiting = self._proposals.waiting() if self._proposals is not None else []
        self._decided = {path: self._when(tree, path, own) for path, (_, own) in recent.items()}
        ended = [(model, self._decided[path][1]) for path, (model, _) in recent.items()]
        asked = [(one.metadata.model, _failed(one)) for one in waiting]
        found: dict[str, datetime] = {}
        for name, at in (*ended, *asked):
            if at is not None:
                found[name] = max(found.get(name, at), at)
        return found

    def _when(self, tree: GitTree, path: str, folder: str) -> tuple[str, datetime | None]:
        """The id of the model's folder, and when it was decided that something failed."""
        known = self._decided.get(path)
        if known is not None and known[0] == folder:
            return known
        found = incident(tree, path)
        return folder, _failed(found) if found is not None else None

    def _progress(self, seen: Seen) -> list[Progress]:
        """What became of the open incidents; those whose records change now."""
        if self._tree is None:
            return []
        found = self._surveys.survey(self._tree, {one.incident.metadata.model for one in self._open.values()})
        if found is None:
            return []
        settings, now = found.environment.spec.reconcile, self.clock()
        for path, before in self._open.items():
            model = before.incident.metadata.model
            state, running = found.models.get(model), seen.running.get(model)
            assert before.incident.spec.after is not None
            verdicts: Mapping[str, bool] | None = None
            if running is not None and running.phase == "stable":
                try:
                    version = int(before.incident.spec.after.version)
                    verdicts = self.monitoring.verdicts(self.environment, model, version)
                except MonitoringError:
                    self.telemetry.count("mrc_reconciler_errors_total", what="prometheus")
            serve = state.serve if state is not None else None
            if model in found.unread:
                serve = before.incident.spec.after  # a policy that cannot be read moves nothing
            hooks = self._hooks(before.incident, state)
            before = replace(before, outcome=None, told=self._told(before, hooks, settings))
            wanted = tuple(declared(hooks))
            after = progress(before, serve, running, verdicts, wanted, settings.recover, now)
            if after.outcome is None and after.routed is not None and wanted and state is not None:
                after = replace(after, affected=before.incident.spec.affected or affected(after, state.guardrails))
            self._open[path] = after
        if settings.mode == "observe":
            return []
        return [one for one in self._open.values() if one.changed and not self._asked(one)]

    def _asked(self, one: Progress) -> bool:
        """Whether a pull request asks for how it went on."""
        step: Step = "close" if one.outcome is not None else "affected"
        return self._proposals is not None and self._proposals.asked(step, one.incident)

    @staticmethod
    def _hooks(found: Incident, state: ModelState | None) -> Hooks:
        """What has to be told: of a version that was rejected, and of no other."""
        return state.hooks if state is not None and found.spec.verdict == "rejected" else Hooks()

    def _told(self, before: Progress, hooks: Hooks, settings: Reconcile) -> dict[HookName, Told]:
        """What came of the hooks so far. They are called when git says whom the version affected."""
        told = dict(before.told)
        if settings.mode == "observe":
            return told
        for call in calls(before.incident, hooks):
            known = told.get(call.hook)
            if known is None or not known.accepted:
                answer = self.hook(call)
                if answer is not None and answer != known:
                    told[call.hook] = answer
                    self._tell_hook(before.incident, answer)
        return told

    def _tell_hook(self, found: Incident, told: Told) -> None:
        self.telemetry.log(
            f"{told.hook} was called", level="info" if told.accepted else "warning", incident=found.metadata.id,
            model=found.metadata.model, accepted=told.accepted, found=told.found,
        )  # fmt: skip
        if not told.accepted:
            self.telemetry.count("mrc_reconciler_errors_total", what="hook")

    def _write(self, tree: GitTree, decisions: list[Decision], ended: list[Progress], now: datetime) -> bool:
        """One commit for all of it, pushed. False: somebody was faster, decide again."""
        detected = min((self._detected.get(one.failure.cause, now) for one in decisions), default=now)
        change = compose(tree, self.environment, decisions, detected, now)
        later = _go_on(change, ended)
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
            detected = self._detected.get(decision.failure.cause, now)
            change = compose(tree, self.environment, [decision], detected, now)
            (record,) = change.incidents
            if not self._proposals.propose(tree, "rollback", record, change.edits, now):
                return False
            self._pages.add([record])
        for one in ended:
            change = Change()
            (record,) = _go_on(change, [one])
            step: Step = "close" if one.outcome is not None else "affected"
            if not self._proposals.propose(tree, step, record, change.edits, now):
                return False
            self._pages.add([record])
        self._pages.send(self.monitoring, now)
        return True

    def _done(self, change: Change, later: list[Incident], commit: str) -> None:
        at = self.clock()
        for one in later:
            if one.spec.outcome is None:
                self._open[incident_path(one)] = replace(self._open[incident_path(one)], incident=one)
                continue
            self._open.pop(incident_path(one), None)
            self._ended.add(incident_path(one))
            self.telemetry.count("mrc_reconciler_incidents_closed_total", state=one.spec.outcome.state)
            self.telemetry.log(
                "incident closed", incident=one.metadata.id, model=one.metadata.model, state=one.spec.outcome.state,
                saw=one.spec.outcome.message, times={name: str(at) for name, at in one.spec.times if at is not None},
            )  # fmt: skip
        for one in change.incidents:
            if one.spec.outcome is None:
                self._open[incident_path(one)] = Progress(one, pushed=at)
        self._pages.let_in(at)
        self._pages.add([*change.incidents, *later])
        self._pages.send(self.monitoring, at)
        if any(one.spec.outcome is None for one in change.incidents):
            self.pushed(commit)

    # What is told.

    def _tell(self, decision: Decision) -> None:
        failure = decision.failure
        self.telemetry.count("mrc_reconciler_decisions_total", action=decision.action, verdict=decision.verdict)
        self.telemetry.log(
            "decided", action=decision.action, model=failure.model, version=failure.version, incident=failure.incident,
            cause=failure.cause, saw=failure.message, verdict=decision.verdict,
            to=int(decision.after.version) if decision.after is not None else None, held=decision.held,
            reasons=[f"{gate.name}: {'yes' if gate.passed else 'NO'}, {gate.saw}" for gate in decision.reasons],
        )  # fmt: skip

    def _observe(self, decisions: list[Decision]) -> None:
        for decision in decisions:
            if decision.failure.cause not in self._observed:
                self._observed.add(decision.failure.cause)
                self.telemetry.log(
                    "observing only: nothing was written", incident=decision.failure.incident, would=decision.action
                )
            self._quiet[decision.failure.cause] = time.monotonic() + RECHECK_SECONDS


def _failed(found: Incident) -> datetime | None:
    """When it was decided that a version failed; None where a person wanted it so."""
    return found.spec.times.decided if found.spec.cause.kind not in ("request", "abort") else None


def _go_on(change: Change, later: list[Progress]) -> list[Incident]:
    """How earlier rollbacks went on, added to the change."""
    found = []
    for one in later:
        if one.outcome is not None:
            record = closed(one.incident, one.outcome, one.times, one.told.values())
        else:
            assert one.affected is not None
            record = back(one.incident, one.affected, one.times)
        change.edits[incident_path(record)] = emit(record)
        found.append(record)
    return found
