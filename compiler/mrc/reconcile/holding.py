"""What is held stays what is rendered: a change that was rendered before the hold is rendered again, and pushed."""

from collections.abc import Callable
from datetime import datetime

from mrc.load import Objects
from mrc.reconcile.gittree import GitTree
from mrc.reconcile.ledger import Ledger
from mrc.reconcile.pages import Pages
from mrc.reconcile.pins import Pins, pinned_again, said
from mrc.reconcile.telemetry import Telemetry


class Holding:
    """The holds of one environment."""

    def __init__(
        self,
        ledger: Ledger,
        environment: str,
        pages: Pages,
        telemetry: Telemetry,
        pushed: Callable[[str], object],
    ) -> None:
        self._pushed = pushed
        self._ledger, self._environment, self._pages, self._telemetry = ledger, environment, pages, telemetry
        self._pins = Pins(environment)

    def again(self, tree: GitTree, shared: Objects, now: datetime) -> bool:
        """Whether to go on with this tree; what has slipped is pushed, or people are paged."""
        found = self._pins.slipped(tree, shared)
        edits = {path: data for name in found for path, data in pinned_again(tree, self._environment, name).items()}
        if not found:
            self._pages.held(now)
            return True
        moved = {name: f"{rendered} instead of {version}" for name, (version, rendered) in found.items()}
        mode = shared.environments[self._environment][1].spec.reconcile.mode
        if mode != "commit" or not edits:
            why = f"in the mode {mode} mrc does not push" if mode != "commit" else "what is held does not render"
            if self._pages.slipped(self._environment, moved, why, now):
                self._telemetry.log("held, and rendered otherwise: mrc render", level="error", models=moved, why=why)
            return True
        commit = self._ledger.commit(tree.commit, edits, said(self._environment, found), now)
        if commit is None:
            return True
        pushed = self._ledger.push(commit)
        self._telemetry.count("mrc_reconciler_pushes_total", state=pushed.state)
        self._telemetry.log("held again", models=moved, commit=commit, push=pushed.state, said=pushed.text)
        if pushed.state == "done":
            self._pushed(commit)
        if pushed.state in ("done", "raced"):
            return False
        # A remote that does not take it must not stop what else is to be done.
        self._pages.slipped(self._environment, moved, f"the push was {pushed.state}: {pushed.text}", now)
        return True
