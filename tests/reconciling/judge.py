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
from reconciling.world import ENVIRONMENT, MODELS, VERSIONS, errors

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


def incidents(files: Files, model: str = "") -> dict[str, Incident]:
    """The records of a commit by path."""
    found = {}
    for path in files:
        if path.startswith(f"incidents/{ENVIRONMENT}/{model}"):
            one = _document(files, path, Incident)
            assert isinstance(one, Incident), f"{path} cannot be read: {files[path]!r}"
            found[path] = one
    return found


def hold(files: Files, model: str | None) -> Hold | None:
    """A hold that is not cleared."""
    found = _document(files, f"holds/{ENVIRONMENT}/{model or '_all'}.yaml", Hold)
    return found if isinstance(found, Hold) and found.spec.cleared is None else None


def served(files: Files, model: str) -> int | None:
    """What serves: a hold goes before the line; None where nobody can tell."""
    for one in (hold(files, model), hold(files, None)):
        pin = one.serves(model) if one is not None else None
        if pin is not None:
            return int(pin.version)
    line = SERVE.search(files.get(f"policies/{model}/policy.yaml", b"").decode())
    return int(line[1]) if line is not None else None


def rendered(files: Files, model: str) -> int:
    """The version that the cluster is told."""
    found = LABEL.search(files[f"rendered/{ENVIRONMENT}/{model}/rollout.yaml"].decode())
    assert found is not None
    return int(found[1])


def rejected(files: Files, model: str) -> set[int]:
    """The versions that were rejected."""
    found = set()
    for path in files:
        if path.startswith(f"policies/{model}/verdicts/"):
            one = _document(files, path, Verdict)
            if isinstance(one, Verdict) and ENVIRONMENT in one.spec.rejected:
                found.add(int(one.metadata.version))
    return found


class Judge:
    """Looks at each commit once, in order."""

    def __init__(self, remote: Remote) -> None:
        self.remote = remote
        self._done = 1
        self.convicted = False
        self._moves: dict[str, list[Incident]] = {model: [] for model in MODELS}
        self._cleared: dict[str, datetime] = {}
        self._causes: set[tuple[str, str]] = set()

    def look(self) -> None:
        """At everything that was pushed since."""
        self.convicted = True
        for tip in self.remote.tips[self._done :]:
            commit = self.remote.commits[tip]
            parent = self.remote.commits[commit.parent or ""]
            assert commit.parent == self.remote.tips[self._done - 1], "history only grows, and no commit is lost"
            self._clears(parent.files, commit.files)
            self._records(parent, commit)
            if commit.by == "mrc":
                self._scope(parent.files, commit.files)
            self._done += 1
        self.convicted = False

    def _clears(self, before: Files, after: Files) -> None:
        for model in MODELS:
            path = f"holds/{ENVIRONMENT}/{model}.yaml"
            if before.get(path) != after.get(path):
                found = _document(after, path, Hold)
                if isinstance(found, Hold) and found.spec.cleared is not None:
                    self._cleared[model] = found.spec.cleared.at

    def _records(self, parent: Commit, commit: Commit) -> None:
        had, have = incidents(parent.files), incidents(commit.files)
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
        model, spec = one.metadata.model, one.spec
        key = (model, spec.cause.id)
        assert key not in self._causes, "one cause, one record: at most one rollback an incident"
        self._causes.add(key)
        if spec.action == "page":
            assert served(parent.files, model) == served(commit.files, model), "a page moves nothing"
            self._paged(parent, one)
            return
        assert spec.after is not None
        target = int(spec.after.version)
        assert served(parent.files, model) == int(spec.cause.version), "only what serves is gone back from"
        assert served(commit.files, model) == target != int(spec.cause.version)
        assert target not in rejected(commit.files, model), "nothing rejected is gone back to"
        self._checked(parent, commit, model)
        self._gates(parent, commit, one)
        self._moves[model].append(one)

    def _paged(self, parent: Commit, one: Incident) -> None:
        """Nothing was moved: for a reason that is there, and that nobody was called for within the hour."""
        model, spec = one.metadata.model, one.spec
        failed, at = int(spec.cause.version), spec.times.decided
        why = {each.gate: each.saw for each in spec.reasons if not each.passed}
        assert why, "a page says why"
        if spec.cause.kind in ("analysis", "deadline", "abort"):
            assert why.keys() & {"target", "check"}, f"an abort is followed: {why}"
        if spec.cause.kind == "alert":
            recent = [each for each in incidents(parent.files, model).values()
                      if each.spec.action == "page" and at - each.spec.times.decided < PAGED_AGAIN]  # fmt: skip
            assert all(each.spec.cause.version != failed for each in recent), "the same page is not told as a new one"
        if "hold" in why:
            assert any(hold(parent.files, each) for each in (model, None)), "a hold that was cleared holds nothing"
        if "cooldown" in why:
            assert any(at - each.spec.times.decided < COOLDOWN for each in self._moves[model]), "the cooldown ends"
        if "forward" in why:
            back = [each.spec.after.version for each in self._moves[model] if each.automatic and each.spec.after]
            assert failed in back, "what was promoted may be gone back from"
        if "target" in why and "cannot be rendered" not in why["target"]:
            older = {version for version in VERSIONS if version < failed} - rejected(parent.files, model)
            assert not older, f"there is a version to go back to: {older}"
        assert "check" not in why, f"what was decided can be written: {why}"

    def _checked(self, parent: Commit, commit: Commit, model: str) -> None:
        """The revert passes `check` on its parent, and what is rendered is what it says."""
        base, tree = MemoryTree(parent.files), MemoryTree(commit.files)
        after = analyse(tree, [model], base)
        new = errors(after) - errors(analyse(base, [model], base))
        assert not new, f"the revert of {model} does not pass check: {new}"
        for folder, rendered in artifacts(after.fleet, [ENVIRONMENT]).items():
            wanted = {one.path: one.text.encode() for one in rendered}
            assert {path: commit.files[path] for path in tree.files(folder)} == wanted, "what is rendered is true"

    def _gates(self, parent: Commit, commit: Commit, one: Incident) -> None:
        model, decided = one.metadata.model, one.spec.times.decided
        if one.spec.cause.kind == "alert":
            assert not any(hold(parent.files, each) for each in (model, None)), "what is held stays"
            assert all(decided - each.spec.times.decided >= COOLDOWN for each in self._moves[model]), "cooldown"
            moves = [each for each in self._moves[model] if each.automatic]
            if moves:
                assert moves[-1].spec.after is not None
                assert moves[-1].spec.after.version != one.spec.cause.version, "no rollback of a rollback"
        if one.automatic:
            since = max(at for at in (decided - WINDOW, self._cleared.get(model)) if at is not None)
            spent = 1 + sum(each.automatic and each.spec.times.decided > since for each in self._moves[model])
            assert spent < BREAKER or hold(commit.files, model) is not None, "the breaker is never overspent"
            newly = all(hold(parent.files, each) is None for each in (model, None)) and hold(commit.files, model)
            assert spent >= BREAKER or not newly, "and a hold that a person has cleared starts it anew"
            assert one.spec.cause.kind != "alert" or spent <= BREAKER, "the breaker is never overspent"

    def _scope(self, before: Files, after: Files) -> None:
        """A commit of mrc's touches what it is about, and no other byte of anybody's."""
        moved = {path.split("/")[2] for path in after if path.startswith("incidents/") and path not in before}
        for path in sorted(path for path in {*before, *after} if before.get(path) != after.get(path)):
            top, _, rest = path.partition("/")
            model = rest.split("/")[1 if top in ("incidents", "rendered", "holds") else 0].removesuffix(".yaml")
            if top == "incidents":
                continue
            assert model in moved or path == f"holds/{ENVIRONMENT}/_all.yaml", f"{path} is none of its business"
            if path.endswith("/policy.yaml"):
                old, new = (SERVE.sub("SERVE", files[path].decode()) for files in (before, after))
                assert old == new, "the serve line changes, and no other byte of the policy"
            elif top == "holds":
                assert hold(after, None if model == "_all" else model) is not None, "mrc ends no hold"
            else:
                assert top == "rendered" or "/verdicts/" in path, path
