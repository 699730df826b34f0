"""A syncer as small as one can be: what main of the remote renders is applied, the newest commit at a time.

A model is an application: what a commit does not change is not applied again.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from world.control_plane import ControlPlane
from world.repository import ENVIRONMENT, git

# Neither patching what CRDs define nor applying needs OpenAPI, whose reading takes kubectl longer than all the rest.
CHEAPLY = ("--openapi-patch=false", "--validate=ignore")


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
        commit = git("rev-parse", "main", cwd=self.remote)
        if commit in self.applied:
            return
        git("fetch", "-q", "origin", "main", cwd=self.tree)
        before = list(self.applied)[-1:] or [git("hash-object", "-t", "tree", "/dev/null", cwd=self.tree)]
        changed = git("diff", "--name-only", *before, commit, "--", f"rendered/{ENVIRONMENT}", cwd=self.tree)
        git("reset", "-q", "--hard", commit, cwd=self.tree)
        for model in sorted({path.split("/")[2] for path in changed.splitlines() if path.count("/") == 3}):
            self.plane.kubectl("apply", *CHEAPLY, "-k", self.tree / "rendered" / ENVIRONMENT / model)
        self.applied[commit] = time.time()
