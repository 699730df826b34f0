"""Pull requests, wherever the repository is: what a reconciler asks of a forge, and which forge that is."""

from collections.abc import Callable
from typing import Protocol

from mrc.reconcile.forges.client import ForgeError, Request
from mrc.schema.reconcile import Forge as Settings

__all__ = ["Forge", "ForgeError", "Request", "forge"]


class Forge(Protocol):
    """One repository of a forge, and the pull requests to one of its branches. Everything raises ForgeError."""

    def prove(self) -> None:
        """Refuse a token that may not push, or not ask for pull requests."""

    def takes(self) -> bool:
        """Whether the branch's own rules would take a push of who has the token."""

    def find(self, branch: str) -> Request | None:
        """The pull request from a branch: the open one, else the newest."""

    def open(self, branch: str, title: str, body: str) -> Request:
        """A pull request from a branch; the one that is there, if there is one."""

    def merge(self, request: Request) -> str | None:
        """Have it merged as soon as the branch's rules let it; None when that is arranged, else why not now."""

    def close(self, request: Request, why: str) -> None:
        """Close it without merging, and say why."""


def forge(settings: Settings, base: str, token: Callable[[], str]) -> Forge:
    """The forge of an environment, whose requests ask for changes of the branch `base`."""
    if settings.github is not None:
        from mrc.reconcile.forges.github import GitHub

        return GitHub(settings.github, base, token)
    if settings.gitlab is not None:
        from mrc.reconcile.forges.gitlab import GitLab

        return GitLab(settings.gitlab, base, token)
    assert settings.gitea is not None
    from mrc.reconcile.forges.gitea import Gitea

    return Gitea(settings.gitea, base, token)
