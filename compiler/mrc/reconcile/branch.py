"""What the branch that is synced says: its files, what is held, open incidents, and what pull requests ask for."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from mrc import __version__
from mrc.load import Objects, load
from mrc.reconcile import telling
from mrc.reconcile.gittree import GitTree
from mrc.reconcile.incidents import Incidents
from mrc.reconcile.ledger import Ledger
from mrc.reconcile.monitoring import PAGED_FOR
from mrc.reconcile.pages import Pages
from mrc.reconcile.proposals import Proposals
from mrc.reconcile.telemetry import Telemetry
from mrc.schema import Environment
from mrc.schema.reconcile import Reconcile
from mrc.schema.repository import allows


class RefusedError(Exception):
    """The reconciler must not work on this tree; the message says why."""


class Branch:
    """The branch, as it was fetched last. What it keeps in memory saves work, and is never needed."""

    def __init__(
        self,
        ledger: Ledger,
        environment: str,
        pages: Pages,
        telemetry: Telemetry,
        clock: Callable[[], datetime],
        pushed: Callable[[str], object],
        proposing: Callable[[Reconcile], Proposals] | None,
    ) -> None:
        self._ledger, self._environment, self._pages = ledger, environment, pages
        self._telemetry, self._clock, self._pushed = telemetry, clock, pushed
        self._proposing = proposing
        self.proposals: Proposals | None = None  # in the mode pullRequest alone
        self.incidents = Incidents(environment)
        self._namespace: str | None = None
        self.held = False
        self.tree: GitTree | None = None
        self.fetched = float("-inf")

    def start(self) -> Environment:
        """Fetch, and take up what was begun. Raises GitError, RefusedError."""
        tree = self.fetch()
        environment = self.shared(tree).environments[self._environment][1]
        if self.mode(environment.spec.reconcile) == "pullRequest":
            self.tree = None  # once more, with the branches
            self.incidents.forget()
            self.fetch()
        return environment

    def fetch(self) -> GitTree:
        """The files at its tip. Raises GitError."""
        commit = self._ledger.fetch(self.proposals.folder if self.proposals is not None else "")
        self.fetched = time.monotonic()
        if self.proposals is not None:
            self.proposals.read()
        if self.tree is None or self.tree.commit != commit:
            self.tree = self._ledger.tree(commit)
            self._take_up(self.tree)
        return self.tree

    def shared(self, tree: GitTree) -> Objects:
        """What all models share. Raises RefusedError."""
        objects, _ = load(tree, [])
        if objects.repository is None:
            raise RefusedError("mrc.yaml cannot be read")
        pin = objects.repository[1].spec.mrc
        if not allows(pin, __version__):
            raise RefusedError(f"mrc.yaml pins mrc {pin}, and this is mrc {__version__}")
        if self._environment not in objects.environments:
            raise RefusedError(f"environments/{self._environment}.yaml is not there, or cannot be read")
        namespace = objects.environments[self._environment][1].spec.namespace
        self._namespace = self._namespace or namespace
        if namespace != self._namespace:
            moved = f"environments/{self._environment}.yaml names the namespace {namespace}"
            said = f"{moved}, and {self._namespace} is watched"
            raise RefusedError(f"{said}: end this process, and the next one watches the other")
        here = (hold for (environment, _), (_, hold) in objects.holds.items() if environment == self._environment)
        self.held = any(hold.spec.cleared is None for hold in here)
        return objects

    def mode(self, settings: Reconcile) -> str:
        """How changes are written now, with what that needs. Raises RefusedError, ForgeError."""
        if settings.mode != "pullRequest":
            self.proposals = None
        elif self.proposals is None:
            if self._proposing is None:
                raise RefusedError("nobody can be asked for pull requests here")
            self.proposals = self._proposing(settings)
        return settings.mode

    def _take_up(self, tree: GitTree) -> None:
        taken = self.incidents.take_up(tree)
        now = self._clock()
        telling.closed(self._telemetry, taken.closed)
        # A page may be ours, and the answer to its push was lost.
        self._pages.add(
            one for one in taken.over if one.spec.outcome is not None and one.spec.outcome.at > now - PAGED_FOR
        )
        for path in taken.opened:
            one = self.incidents.open[path]
            if self.proposals is None:
                self.incidents.open[path] = one if one.pushed is not None else replace(one, pushed=now)
            elif one.incident.spec.affected is None:
                self.incidents.open[path] = replace(one, pushed=now, begun=now)  # it is merged
                self._pushed(tree.commit)
