"""A syncer as small as one can be: what main of the remote renders is applied, the newest commit at a time."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from world.control_plane import ControlPlane
from world.repository import ENVIRONMENT, git


@dataclass
class Syncer:
    """Applies `rendered/<environment>` of the remote to the cluster, as Flux does, with `kubectl apply -k`."""

    plane: ControlPlane
    remote: Path
    tree: Path
    applied: dict[str, float] = field(default_factory=dict)  # commit -> when

    def sync(self) -> None:
        """Apply the newest commit unless it is applied already."""
        if not self.tree.exists():
            git("clone", "-q", self.remote, self.tree, cwd=self.remote)
        git("fetch", "-q", "origin", "main", cwd=self.tree)
        commit = git("rev-parse", "FETCH_HEAD", cwd=self.tree)
        if commit in self.applied:
            return
        git("reset", "-q", "--hard", commit, cwd=self.tree)
        self.plane.kubectl("apply", "-k", self.tree / "rendered" / ENVIRONMENT)
        self.applied[commit] = time.time()
