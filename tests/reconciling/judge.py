"""What must hold whatever happens, judged by the history of the branch alone and by none of the code that decides."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta

from mrc import labels
from mrc.compile import analyse, artifacts
from mrc.diagnostics import Diagnostic
from mrc.parse import parse
from mrc.read import read
from mrc.schema import Hold, Incident, Verdict
from mrc.tree import MemoryTree
from reconciling.memory import Commit, Remote
from reconciling.world import ENVIRONMENT, ENVIRONMENTS, PLACES, VERSIONS, errors

SERVE = re.compile(r"serve: \{version: (\d+)(?:, fallback: (\d+))?\}")
LABEL = re.compile(rf'^ +{re.escape(labels.VERSION)}: "(\d+)"$', re.MULTILINE)
PAGED_AGAIN = timedelta(hours=1)
COOLDOWN, WINDOW, BREAKER = timedelta(minutes=30), timedelta(days=1), 2
Files = Mapping[str, bytes]


def _document(files: Files, path: str, kind: type[Incident] | type[Hold] | type[Verdict]) -> object:
    document = read(path, files[path]) if path in files else None
    if document is None or isinstance(document, Diagnostic):
        return None
    return parse(document, kind.__name__)


def incidents(files: Files, model: str = "", place: str = ENVIRONMENT) -> dict[str, Incident]:
    """The records of a commit by path."""
    found = {}
    for path in files:
        if path.startswith(f"incidents/{place}/{model}"):
            one = _document(files, path, Incident)
            assert isinstance(one, Incident), f"{path} cannot be read: {files[path]!r}"
            found[path] = one
    return found


def hold(files: Files, model: str | None, place: str = ENVIRONMENT) -> Hold | None:
    """A hold that is not cleared."""
    found = _document(files, f"holds/{place}/{model or '_all'}.yaml", Hold)
    return found if isinstance(found, Hold) and found.spec.cleared is None else None


def served(files: Files, model: str, place: str = ENVIRONMENT) -> int | None:
    """What serves: a hold goes before the line; None where nobody can tell."""
    for one in (hold(files, model, place), hold(files, None, place)):
        pin = one.serves(model) if one is not None else None
        if pin is not None:
            return int(pin.version)
    own = files.get(f"policies/{model}/policy.yaml", b"").decode().partition(f"    {place}:\n")[2]
    line = SERVE.search(own)
    return int(line[1]) if line is not None else None


def rendered(files: Files, model: str, place: str = ENVIRONMENT) -> int:
    """The version that the cluster is told."""
    found = LABEL.search(files[f"rendered/{place}/{model}/rollout.yaml"].decode())
    assert found is not None
    return int(found[1])


def rejected(files: Files, model: str, place: str = ENVIRONMENT) -> set[int]:
    """The versions that were rejected."""
    found = set()
    for path in files:
        if path.startswith(f"policies/{model}/verdicts/"):
            one = _document(files, path, Verdict)
            if isinstance(one, Verdict) and place in one.spec.rejected:
                found.add(int(one.metadata.version))
    return found


class Judge:
    """Looks at each commit once, in order."""

    def __init__(self, remote: Remote) -> None:
        self.remote = remote
        self._done = 1
        self.convicted = False
        self._moves: dict[tuple[str, str], list[Incident]] = {
            (place, model): [] for place, models in PLACES.items() for model in models
        }
        self._cleared: dict[tuple[str, str], datetime] = {}
        self._causes: set[tuple[str, str, str]] = set()

    def look(self) -> None:
        """At everything that was pushed since."""
        self.convicted = True
        for tip in self.remote.tips[self._done :]:
            commit = self.remote.commits[tip]
            parent = self.remote.commits[commit.parent or ""]
            assert commit.parent == self.remote.tips[self._done - 1], "history only grows, and no commit is lost"
            self._clears(parent.files, commit.files)
            for place in ENVIRONMENTS:
                self._records(parent, commit, place)
            if commit.by != "person":
                self._scope(parent.files, commit.files, commit.by.removeprefix("mrc "))
            self._done += 1
        self.convicted = False

    def _clears(self, before: Files, after: Files) -> None:
        for place, model in self._moves:
            path = f"holds/{place}/{model}.yaml"
            if before.get(path) != after.get(path):
                found = _document(after, path, Hold)
                if isinstance(found, Hold) and found.spec.cleared is not None:
                    self._cleared[place, model] = found.spec.cleared.at

    def _records(self, parent: Commit, commit: Commit, place: str) -> None:
        had, have = incidents(parent.files, place=place), incidents(commit.files, place=place)
        assert had.keys() <= have.keys(), "no record goes away"
        for path, one in have.items():
            if path not in had:
                self._opened(parent, commit, one)
            elif had[path] != one:
                before = had[path].spec
                assert before.outcome is None, "an incident is closed once"
                same = ("cause", "action", "before", "after", "verdict", "held", "reasons")
                assert all(getattr(before, name) == getattr(one.spec, name) for name in same), "a record stands"
                self._ended(one)

    def _ended(self, one: Incident) -> None:
        if one.spec.outcome is not None and one.spec.outcome.state == "recovered":
            times = [at for _, at in one.spec.times]
            assert None not in times[1:], f"what is over says when each step was: {times}"

    def _opened(self, parent: Commit, commit: Commit, one: Incident) -> None:
        place, model, spec = one.metadata.environment, one.metadata.model, one.spec
        key = (place, model, spec.cause.id)
        assert key not in self._causes, "one cause, one record: at most one rollback an incident"
        self._causes.add(key)
        if spec.action == "page":
            was, now = served(parent.files, model, place), served(commit.files, model, place)
            assert was == now, "a page moves nothing"
            self._paged(parent, one)
            return
        assert spec.after is not None
        target = int(spec.after.version)
        assert served(parent.files, model, place) == int(spec.cause.version), "only what serves is gone back from"
        assert served(commit.files, model, place) == target != int(spec.cause.version)
        assert target not in rejected(commit.files, model, place), "nothing rejected is gone back to"
        self._checked(parent, commit, model, place)
        self._gates(parent, commit, one)
        self._moves[place, model].append(one)

    def _paged(self, parent: Commit, one: Incident) -> None:
        """Nothing was moved: for a reason that is there, and that nobody was called for within the hour."""
        place, model, spec = one.metadata.environment, one.metadata.model, one.spec
        failed, at = int(spec.cause.version), spec.times.decided
        why = {each.gate: each.saw for each in spec.reasons if not each.passed}
        assert why, "a page says why"
        if spec.cause.kind in ("analysis", "deadline", "abort"):
            assert why.keys() & {"target", "check"}, f"an abort is followed: {why}"
        if spec.cause.kind == "alert":
            recent = [each for each in incidents(parent.files, model, place).values()
                      if each.spec.action == "page" and abs(at - each.spec.times.decided) < PAGED_AGAIN]  # fmt: skip
            assert all(each.spec.cause.version != failed for each in recent), "the same page is not told as a new one"
        if "hold" in why:
            assert any(hold(parent.files, each, place) for each in (model, None)), (
                "a hold that was cleared holds nothing"
            )
        if "cooldown" in why:
            assert any(at - each.spec.times.decided < COOLDOWN for each in self._moves[place, model]), (
                "the cooldown ends"
            )
        if "forward" in why:
            back = [each.spec.after.version for each in self._moves[place, model] if each.automatic and each.spec.after]
            assert failed in back, "what was promoted may be gone back from"
        if "target" in why and "cannot be rendered" not in why["target"]:
            older = {version for version in VERSIONS if version < failed} - rejected(parent.files, model, place)
            assert not older, f"there is a version to go back to: {older}"
        assert "check" not in why, f"what was decided can be written: {why}"

    def _checked(self, parent: Commit, commit: Commit, model: str, place: str) -> None:
        """The revert passes `check` on its parent, and what is rendered is what it says."""
        base, tree = MemoryTree(parent.files), MemoryTree(commit.files)
        after = analyse(tree, [model], base)
        new = errors(after) - errors(analyse(base, [model], base))
        assert not new, f"the revert of {model} does not pass check: {new}"
        for folder, rendered in artifacts(after.fleet, [place]).items():
            wanted = {one.path: one.text.encode() for one in rendered}
            assert {path: commit.files[path] for path in tree.files(folder)} == wanted, "what is rendered is true"

    def _gates(self, parent: Commit, commit: Commit, one: Incident) -> None:
        place, model, decided = one.metadata.environment, one.metadata.model, one.spec.times.decided
        if one.spec.cause.kind == "alert":
            assert not any(hold(parent.files, each, place) for each in (model, None)), "what is held stays"
            assert all(decided - each.spec.times.decided >= COOLDOWN for each in self._moves[place, model]), "cooldown"
            moves = [each for each in self._moves[place, model] if each.automatic]
            if moves:
                assert moves[-1].spec.after is not None
                assert moves[-1].spec.after.version != one.spec.cause.version, "no rollback of a rollback"
        if one.automatic:
            since = max(at for at in (decided - WINDOW, self._cleared.get((place, model))) if at is not None)
            spent = 1 + sum(each.automatic and each.spec.times.decided > since for each in self._moves[place, model])
            assert spent < BREAKER or hold(commit.files, model, place) is not None, "the breaker is never overspent"
            newly = all(hold(parent.files, each, place) is None for each in (model, None)) and hold(
                commit.files, model, place
            )
            assert spent >= BREAKER or not newly, "and a hold that a person has cleared starts it anew"
            assert one.spec.cause.kind != "alert" or spent <= BREAKER, "the breaker is never overspent"

    def _scope(self, before: Files, after: Files, where: str) -> None:
        """A commit of mrc's touches what it is about, and no other byte of anybody's."""
        moved = {path.split("/")[2] for path in after if path.startswith("incidents/") and path not in before}
        for path in sorted(path for path in {*before, *after} if before.get(path) != after.get(path)):
            top, _, rest = path.partition("/")
            model = rest.split("/")[1 if top in ("incidents", "rendered", "holds") else 0].removesuffix(".yaml")
            mine = top == "policies" or rest.startswith(f"{where}/")
            # A verdict is told in the runbook of every environment.
            assert mine or (top == "rendered" and path.endswith("/RUNBOOK.md")), f"{path} is not of {where}"
            if top == "incidents":
                continue
            assert model in moved or path == f"holds/{where}/_all.yaml", f"{path} is none of its business"
            if path.endswith("/policy.yaml"):
                own = f"    {where}:\n"
                old, new = (files[path].decode().partition(own) for files in (before, after))
                same = [SERVE.sub("SERVE", text[2], count=1) for text in (old, new)]
                assert old[0] == new[0], "the serve line of this environment changes"
                assert same[0] == same[1], "and no other byte of the policy"
            elif top == "holds":
                assert hold(after, None if model == "_all" else model, where) is not None, "mrc ends no hold"
            elif top == "policies":
                was, now = (_said(files, path, where) for files in (before, after))
                assert was == now, "what others have said of the version stays"
            else:
                assert top == "rendered", path


def _said(files: Files, path: str, where: str) -> object:
    """What a verdict says, but for the rejection there."""
    assert "/verdicts/" in path, path
    found = _document(files, path, Verdict)
    if not isinstance(found, Verdict):
        return None
    return found.spec.validated, {place: why for place, why in found.spec.rejected.items() if place != where}
