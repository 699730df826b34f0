"""The incidents of one environment, commit after commit: which are open, and which models failed lately.

What is kept in memory saves reading, and is never needed: the records in git say all of it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from mrc.reconcile.gittree import GitTree
from mrc.reconcile.recovery import Progress, resumed
from mrc.reconcile.survey import incident, incident_path
from mrc.schema import Incident

LATELY = timedelta(hours=2)
"""How far back records are read for what failed; it may have begun long before it was decided on."""


@dataclass
class Taken:
    """What is new in a commit: the records that are over, those of them that were open, the paths of open ones."""

    over: list[Incident] = field(default_factory=list)
    closed: list[Incident] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)


class Incidents:
    """The records below incidents/<environment>/."""

    def __init__(self, environment: str) -> None:
        self._folder = f"incidents/{environment}"
        self.open: dict[str, Progress] = {}
        """What was seen of those without an outcome, by path."""
        self.withdrawn: set[str] = set()
        """The ids of those that were in git, and that somebody took out of it again."""
        self._ended: dict[str, str | None] = {}  # by path: what names the record that is over
        self._records: dict[str, tuple[str, list[str]]] = {}  # by model: the id of the folder, the paths of incidents
        self._decided: dict[str, tuple[str, datetime | None]] = {}

    def models(self) -> set[str]:
        """The models with an open incident."""
        return {one.incident.metadata.model for one in self.open.values()}

    def forget(self) -> None:
        """Read everything again."""
        self._records.clear()
        self.open.clear()

    def take_up(self, tree: GitTree) -> Taken:
        """What is new in a commit, whoever wrote it."""
        folders = tree.folders(self._folder)
        for model in self._records.keys() - folders.keys():
            self._gone(self._records.pop(model)[1])
        taken = Taken()
        for model, own in folders.items():
            before, had = self._records.get(model, ("", []))
            if own == before:
                continue
            paths = tree.files(f"{self._folder}/{model}")
            self._gone(path for path in had if path not in paths)
            for path in paths:
                self._take(tree, path, taken)
            self._records[model] = own, paths
        return taken

    def _take(self, tree: GitTree, path: str, taken: Taken) -> None:
        own = tree.id(path)
        if own is not None and self._ended.get(path) == own:
            return
        self.withdrawn.discard(_id(path))
        self._ended.pop(path, None)  # somebody has taken back how it ended
        found = incident(tree, path)
        if found is None:
            self.open.pop(path, None)  # mrc check says why it cannot be read
        elif found.spec.outcome is not None or found.spec.action == "page":
            self._ended[path] = own
            taken.over.append(found)
            if self.open.pop(path, None) is not None:
                taken.closed.append(found)
        elif path not in self.open or self.open[path].incident != found:
            self.open[path] = _resumed(found, self.open.get(path))
            taken.opened.append(path)

    def _gone(self, paths: Iterable[str]) -> None:
        """Somebody removed the records: there is nothing left to end."""
        for path in paths:
            self.open.pop(path, None)
            self._ended.pop(path, None)
            self.withdrawn.add(_id(path))

    def wrote(self, incidents: Iterable[Incident], tree: GitTree, at: datetime) -> None:
        """What was pushed a moment ago, and stands in this tree."""
        for one in incidents:
            path, model = incident_path(one), one.metadata.model
            had = self._records.get(model, ("", []))[1]
            self._records[model] = "", sorted({*had, path})  # it is another folder by now
            if one.spec.outcome is not None:
                self.open.pop(path, None)
                self._ended[path] = tree.id(path)
            elif path in self.open:
                self.open[path] = replace(self.open[path], incident=one)
            else:
                self.open[path] = Progress(one, pushed=at, begun=at)

    def failing(self, tree: GitTree, now: datetime, waiting: Iterable[Incident]) -> dict[str, datetime]:
        """The models that failed lately, and when that was last decided; `waiting` are not merged yet."""
        since = f"{now - LATELY:%Y%m%d-%H%M%S}"  # names sort by that
        recent = {
            path: (model, own)
            for model, (own, paths) in self._records.items()
            for path in paths
            if path.rpartition("/")[2] >= since
        }
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


def _id(path: str) -> str:
    return path.rpartition("/")[2].removesuffix(".yaml")


def _resumed(found: Incident, before: Progress | None) -> Progress:
    """A record, and what this process saw besides, if it knew it already."""
    one = resumed(found)
    if before is None:
        return one
    pushed, begun = (one.pushed, one.begun) if one.pushed is not None else (before.pushed, before.begun)
    return replace(
        one, pushed=pushed, begun=begun, synced=one.synced or before.synced, routed=one.routed or before.routed
    )


def _failed(found: Incident) -> datetime | None:
    """When it was decided that a version failed; None where a person wanted it so."""
    return found.spec.times.decided if found.spec.cause.kind not in ("request", "abort") else None
