"""What a reconciler acts on: one failure, named by its cause."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from mrc.schema.incident import CauseKind


@dataclass(frozen=True)
class Failure:
    """A version that failed in one environment, or that a person wants to go back from.

    `cause` names it: seen again, by whichever replica, it is the same failure. `blamed` says that the version was found
    worse, not that it could not be judged. `evidence` are guardrails and what they saw.
    """

    cause: str
    kind: CauseKind
    model: str
    version: int
    onset: datetime
    message: str
    blamed: bool
    evidence: tuple[tuple[str, str], ...] = ()
    target: int | None = None  # what a person asks for
    by: str = "mrc"

    @property
    def aborted(self) -> bool:
        """Whether Argo has taken the traffic away already, so that git only follows."""
        return self.kind in ("analysis", "deadline", "abort")

    @property
    def incident(self) -> str:
        """The incident's id: the onset, and a digest of the cause."""
        digest = hashlib.sha256(f"{self.model}\0{self.cause}".encode()).hexdigest()[:8]
        return f"{self.onset.astimezone(UTC):%Y%m%d-%H%M%S}-{digest}"


Phase = Literal["stable", "progressing", "paused", "aborted", "unknown"]


@dataclass(frozen=True)
class Running:
    """What the cluster says of a Rollout: the version it was asked for, and how far that is."""

    model: str
    version: int
    phase: Phase
    since: datetime | None = None
