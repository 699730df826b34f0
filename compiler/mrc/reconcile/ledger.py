"""One commit on a bare repository, pushed as a compare-and-swap. What was not pushed did not happen.

A crash at any instant leaves objects that nothing names; the next run fetches, and decides again.
"""

import re
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from mrc.reconcile.git import IDLE_SECONDS, Git, GitError
from mrc.reconcile.gittree import GitTree
from mrc.reconcile.objects import Objects
from mrc.reconcile.trees import write

_PATH = re.compile(r"(?!.*(?:^|/)\.{1,2}(?:/|$))[a-zA-Z0-9_.-]+(?:/[a-zA-Z0-9_.-]+)*")
# A race: somebody else's push came first. What is not listed here is final.
_RACES = ("fetch first", "non-fast-forward", "cannot lock ref", "incorrect old value", "failed to update ref",
          "stale info", "reference already exists", "refname conflict")  # fmt: skip

_PROGRESS = re.compile(r"(?:Enumerating|Counting|Compressing|Writing) objects|Delta compression|Total \d")

# What a remote says that would have taken it, but for what git has no place for.
_IMPOSSIBLE = ("atomic", "failed to update ref", "cannot lock ref", "refname conflict")
_PROBE = "Prove that mrc may push\n\nNothing is changed by it, and no branch has it.\n"


@dataclass(frozen=True)
class Pushed:
    """How a push ended: `raced` is tried again on the new tip, `refused` never, `unreachable` later."""

    state: Literal["done", "raced", "refused", "unreachable"]
    text: str = ""


@dataclass(frozen=True)
class Identity:
    """Who commits, and with what SSH key it is signed."""

    name: str = "mrc"
    email: str = "mrc@localhost"
    signing_key: Path | None = None


class Ledger:
    """A branch of a remote."""

    def __init__(self, git: Git, url: str, branch: str, identity: Identity, *, seconds: float = IDLE_SECONDS) -> None:
        self.git, self.url, self.branch, self.identity = git, url, branch, identity
        self._seconds = seconds
        self._objects = Objects(git)
        self._tree: GitTree | None = None
        self._own = f"refs/remotes/origin/{branch}"
        self._begun = False

    def fetch(self, beside: str = "") -> str:
        """The commit at the tip of the branch; with the branches below the folder `beside`. Raises GitError."""
        try:
            self._fetch(beside)
        except GitError as problem:
            if self._begun or problem.status is None:
                raise
            # What an earlier process has left, or a machine that lost power, may be what fails: it is a cache.
            self.git.renew()
            self._fetch(beside)
        self._begun = True
        found = self._objects.read(f"{self._own}^{{commit}}")
        if found is None:
            raise GitError(None, f"the tip of {self.branch} cannot be read")
        return found.id

    def _fetch(self, beside: str) -> None:
        # A depth makes git walk the whole tree again; after the first time, what is new is little.
        depth = [] if self._begun else ["--depth=1"]
        self.git.run(
            "fetch", "--progress", "--no-tags", "--no-auto-maintenance", *depth,
            "--no-write-fetch-head", "--no-recurse-submodules", "--force",
            *(["--prune"] if beside else []), "--", self.url, f"refs/heads/{self.branch}:{self._own}",
            *([f"refs/heads/{beside}/*:refs/remotes/origin/{beside}/*"] if beside else []), seconds=self._seconds,
        )  # fmt: skip

    def tidy(self) -> None:
        """Pack what has gathered. In a large repository that takes seconds: for when nothing is the case."""
        self.git.told("gc", "--auto", "--quiet", seconds=self._seconds)

    def branches(self, beside: str) -> dict[str, str]:
        """The branches below a folder and their commits, as they were fetched."""
        form = "--format=%(refname:lstrip=3) %(objectname)"
        lines = self.git.run("for-each-ref", form, f"refs/remotes/origin/{beside}/").splitlines()
        return {name: commit for name, _, commit in (line.partition(" ") for line in lines)}

    def parents(self, commit: str) -> list[str]:
        """The commits that another one was made on; their own objects need not be here."""
        head, _, _ = self.git.run("cat-file", "commit", commit).partition("\n\n")
        return [line.removeprefix("parent ") for line in head.splitlines() if line.startswith("parent ")]

    def bring(self, commit: str) -> GitTree:
        """The files of a commit that may not be here yet. Raises GitError."""
        try:
            return GitTree(self._objects, commit)
        except GitError:
            self.git.run("fetch", "--progress", "--no-tags", "--depth=1", "--no-write-fetch-head",
                         "--no-recurse-submodules", "--", self.url, commit, seconds=self._seconds)  # fmt: skip
            return GitTree(self._objects, commit)

    def makes(self, commit: str, parent: GitTree, edits: Mapping[str, bytes | None]) -> bool:
        """Whether a commit has the files of `parent` with those changed, and nothing else. Raises GitError."""
        return write(self._objects, parent, edits) == GitTree(self._objects, commit).root

    def signed(self, commit: str) -> bool:
        """Whether a commit has the signature of this process' key; always where it signs nothing. Raises GitError."""
        key = self.identity.signing_key
        if key is None:
            return True
        command = ["ssh-keygen", "-y", "-f", str(key)]  # found as git finds it, when it signs
        said = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        if said.returncode != 0:
            raise GitError(said.returncode, "the signing key cannot be read")
        signers = self.git.folder / "allowed_signers"
        signers.write_text(f"mrc {said.stdout}")
        config = ["gpg.format=ssh", f"gpg.ssh.allowedSignersFile={signers}"]
        status, _, _ = self.git.told("verify-commit", commit, config=config)
        return status == 0

    def tree(self, commit: str) -> GitTree:
        """The files of a commit. Raises GitError."""
        if self._tree is None or self._tree.commit != commit:
            self._tree = GitTree(self._objects, commit)
        return self._tree

    def commit(self, parent: str, edits: Mapping[str, bytes | None], message: str, when: datetime) -> str | None:
        """A commit on `parent` with the files changed; None when nothing would change.

        The same arguments give the same commit, signed or not.
        """
        for path in edits:
            if not _PATH.fullmatch(path):
                raise ValueError(f"{path!r} is no path that mrc writes")
        before = self.tree(parent)
        tree = write(self._objects, before, edits)
        if tree == before.root:
            return None
        return self._commit(parent, tree, message, when)

    def _commit(self, parent: str, tree: str, message: str, when: datetime) -> str:
        stamp = f"{int(when.timestamp())} +0000"
        own = {
            f"GIT_{role}_{what}": value
            for role in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", self.identity.name), ("EMAIL", self.identity.email), ("DATE", stamp))
        }
        key = self.identity.signing_key
        config = ["gpg.format=ssh", f"user.signingKey={key}"] if key is not None else []
        sign = ["-S"] if key is not None else []
        with tempfile.TemporaryFile(dir=self.git.folder) as said:  # without a name: nobody has to remove it
            said.write(message.encode())
            said.seek(0)
            return self.git.run("commit-tree", tree, "-p", parent, *sign, env=own, stdin=said, config=config).strip()

    def push(
        self, commit: str, branch: str | None = None, *, dry: bool = False, over: str | None = None
    ) -> Pushed:  # fmt: skip
        """Put the commit on the branch, if the branch is still where its parent is.

        `over` is where the branch must be instead, "" where there must be none; an empty `commit` removes it.
        """
        ref = f"refs/heads/{branch or self.branch}"
        refspec = f"{commit}:{ref}"
        options = ["--porcelain", "--progress", "--no-verify", *(["--dry-run"] if dry else [])]
        options += [f"--force-with-lease={ref}:{over}"] if over is not None else []
        try:
            _, out, error = self.git.told("push", *options, "--", self.url, refspec, seconds=self._seconds)
        except GitError as problem:
            return Pushed("unreachable", str(problem))
        for line in out.splitlines():
            flag, _, rest = line.partition("\t")
            if flag in (" ", "=", "*", "+", "-"):
                if branch is None and not dry:
                    # Else the next fetch would walk the whole tree, to see whether it has all of what it made itself.
                    self.git.told("update-ref", self._own, commit)
                return Pushed("done", rest)
            if flag == "!":
                raced = any(words in rest or words in error for words in _RACES)
                return Pushed("raced" if raced else "refused", _said(rest, error))
        return Pushed("unreachable", _said("", error) or "the remote did not answer")

    def may_push(self) -> Pushed:
        """Whether the remote would let mrc write: asked, without writing. Nothing of the branch's rules is asked."""
        return self.push(self.fetch(), "mrc/probe", dry=True)

    def probe(self, when: datetime) -> str:
        """A commit that changes nothing and goes nowhere: whether mrc can make one, and sign it. Raises GitError."""
        tip = self.fetch()
        return self._commit(tip, self.tree(tip).root, _PROBE, when)

    def would_take(self, when: datetime) -> Pushed:
        """Whether hooks and rules of the branch would take a commit of mrc, signed if it signs.

        They are asked with a push that cannot succeed: whole or not at all, it moves the branch, and it makes another
        one below the branch, which git has no place for. `unreachable` when the remote does not tell.
        """
        commit = self.probe(when)
        (tip,) = self.parents(commit)
        ref, below = f"refs/heads/{self.branch}", f"refs/heads/{self.branch}/mrc-probe"
        status, error = self._tried(ref, ["--atomic"], [f"{commit}:{ref}", f"{tip}:{below}"])
        said = _said(status, error)
        if any(words in status for words in _IMPOSSIBLE):
            return Pushed("done", said)
        # Where a hook declines all of it, it may be for the new branch.
        if "declined" in status and "declined" not in self._tried(below, [], [f"{tip}:{below}"])[0]:
            return Pushed("refused", said)
        return Pushed("unreachable", said)

    def _tried(self, ref: str, options: list[str], refspecs: list[str]) -> tuple[str, str]:
        """What a push that fails says of one reference, and standard error."""
        options = ["--porcelain", "--progress", "--no-verify", *options]
        try:
            _, out, error = self.git.told("push", *options, "--", self.url, *refspecs, seconds=self._seconds)
        except GitError as problem:
            return "", str(problem)
        found = [line.split("\t", 2) for line in out.splitlines() if line.startswith("!\t")]
        return next((f"\t{rest}" for _, both, rest in found if both.endswith(f":{ref}")), ""), error


def _said(status: str, error: str) -> str:
    told = [line.removeprefix("remote:").strip() for line in error.splitlines() if line.startswith("remote:")]
    told = told or [line.strip() for line in error.splitlines() if line.strip() and not _PROGRESS.match(line)]
    return "; ".join(part for part in (status.partition("\t")[2], *told) if part)[:500]
