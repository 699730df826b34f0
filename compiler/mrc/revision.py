"""A git revision as a tree, read through git's plumbing; nothing is checked out, and nothing of the repository runs."""

import hashlib
import os
from bisect import bisect_left
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from mrc.tree import LARGEST, ROOTS, UnreadableError, WorkTree

if TYPE_CHECKING:
    from git import Git, Repo


class RevisionError(Exception):
    """The revision cannot be had; the message says why and what to do."""


class UnreachableError(RevisionError):
    """There is a repository, and comparing with nothing in silence would let a change through."""


def repository(root: Path) -> "Repo | None":
    """The git repository around `root`, or None outside one; UnreachableError when git is not installed."""
    try:
        import git
    except ImportError:
        if any((folder / ".git").exists() for folder in (root.resolve(), *root.resolve().parents)):
            raise UnreachableError("git is not installed, and this is a git repository: install git") from None
        return None

    try:
        found = git.Repo(root, search_parent_directories=True)
    except (git.InvalidGitRepositoryError, git.NoSuchPathError):
        return None
    found.git.update_environment(**_nothing_runs())
    return found


def _nothing_runs() -> dict[str, str]:
    """The environment in which git starts no program that the repository names, and asks no server for objects.

    What else would start one (filters, textconv, drivers of diff, hooks of commands that write) is never called.
    """
    count = int(os.environ.get("GIT_CONFIG_COUNT") or 0)  # CI says safe.directory there
    settings = {"core.fsmonitor": "false", "core.hooksPath": os.devnull}
    found = {"GIT_CONFIG_COUNT": str(count + len(settings)), "GIT_OPTIONAL_LOCKS": "0", "GIT_ALLOW_PROTOCOL": ""}
    for number, (key, value) in enumerate(settings.items(), count):
        found |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return found


def base_commit(repo: "Repo", revision: str) -> str:
    """The merge base of HEAD and `revision`; RevisionError when there is none."""
    import git

    try:
        tip = repo.git.rev_parse("--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        return str(repo.git.merge_base("--", "HEAD", tip))
    except git.GitCommandError as problem:
        if "dubious ownership" in problem.stderr:
            raise UnreachableError(
                f"git does not trust {repo.working_tree_dir}, which belongs to another user: "
                f"git config --global --add safe.directory {repo.working_tree_dir}"
            ) from None
        if (Path(repo.git_dir) / "shallow").exists():
            raise UnreachableError(
                f"this shallow clone does not reach {revision}: fetch the history (in CI, fetch-depth: 0)"
            ) from None
        raise RevisionError(f"git does not know {revision}, or it shares no history with HEAD") from None


def base_tree(repo: "Repo", root: Path, revision: str) -> "RevisionTree":
    """The files at the merge base of HEAD and `revision`; RevisionError when it is not there."""
    return RevisionTree(repo, root, base_commit(repo, revision))


class RevisionTree:
    """What mrc reads of one commit. A file is read from git when it is asked for."""

    def __init__(self, repo: "Repo", root: Path, commit: str) -> None:
        self.commit = commit
        self.refused: dict[str, str] = {}
        self._disk = WorkTree(root)
        self._repo, self._process = repo, os.getpid()
        self._blobs: dict[str, str] = {}
        prefix = _prefix(repo, root)
        for entry in repo.git.ls_tree("-r", "-z", "--full-tree", commit).split("\0"):
            meta, _, whole = entry.partition("\t")
            path = whole.removeprefix(prefix)
            if not whole.startswith(prefix) or path.partition("/")[0] not in ROOTS:
                continue
            mode, _, name = meta.split(" ")
            if mode in ("120000", "160000"):
                self.refused[path] = "a symbolic link" if mode == "120000" else "a submodule"
            else:
                self._blobs[path] = name
        self._paths = sorted(self._blobs)

    def forget_but(self, models: Collection[str]) -> None:
        """Leave out the policies and versions of every other model: what is not asked for is not read."""
        wanted = {f"policies/{name}" for name in models}
        self._blobs = {
            path: blob
            for path, blob in self._blobs.items()
            if not path.startswith("policies/") or "/".join(path.split("/", 2)[:2]) in wanted
        }
        self._paths = sorted(self._blobs)

    def files(self, under: str = "") -> list[str]:
        if not under:
            return list(self._paths)
        first, end = (bisect_left(self._paths, f"{under}{sign}") for sign in "/0")  # 0 is what comes after /
        return [*([under] if under in self._blobs else []), *self._paths[first:end]]

    def read(self, path: str) -> bytes:
        if path not in self._blobs:
            raise UnreadableError("there is no such file")
        unchanged = self._unchanged(path)
        if unchanged is not None:
            return unchanged
        try:
            _, _, size, stream = self._objects().stream_object_data(self._blobs[path])
        except ValueError:
            # Taken for a broken file, what was merged would not be compared with, and nobody would be told.
            message = f"this clone does not have {path} of {self.commit[:12]}: fetch it whole, without --filter"
            raise UnreachableError(message) from None
        if size > LARGEST:
            raise UnreadableError(f"it has more than {LARGEST >> 20} MiB")
        data: bytes = stream.read()
        return data

    def _unchanged(self, path: str) -> bytes | None:
        """What lies in the work tree, if git has it under the same name: a file is read faster than git is asked."""
        try:
            data = self._disk.read(path)
        except UnreadableError:
            return None
        return data if _named(data, self._blobs[path]) else None

    def _objects(self) -> "Git":
        """What reads objects, through a process of git's that no two processes of mrc can share."""
        if self._process != os.getpid():
            self._of_parent, self._process = self._repo, os.getpid()  # kept: dropped, it would end the parent's
            self._repo = repository(self._disk.root) or self._repo
        return self._repo.git


def changed(repo: "Repo", root: Path, commit: str) -> list[str]:
    """What mrc reads below `root` and what differs between the commit and the work tree, untracked files too."""
    prefix = _prefix(repo, root)
    wanted = ["--", *(f":(top,literal){prefix}{name}" for name in ROOTS)]
    # The plumbing looks at no content, so that no filter runs; what only has another time is told apart below.
    parts = repo.git.diff_index("-z", "--no-renames", "--ignore-submodules=dirty", commit, *wanted).split("\0")
    differing = {path for meta, path in zip(parts[::2], parts[1::2], strict=False) if not _same(repo, meta, path)}
    new = repo.git.ls_files("--others", "--full-name", "-z", *wanted).split("\0")
    return sorted(path.removeprefix(prefix) for path in differing | set(filter(None, new)))


def _same(repo: "Repo", meta: str, path: str) -> bool:
    """Whether a file that may differ holds the bytes of the commit. `meta` is what diff-index says of it."""
    old_mode, new_mode, old, _, _ = meta.removeprefix(":").split(" ")
    place = Path(repo.working_tree_dir or "") / path
    if old_mode != new_mode or not new_mode.startswith("100") or place.is_symlink() or not place.is_file():
        return False  # another kind of thing; to read from a pipe would be to wait for ever
    try:
        data = place.read_bytes()
    except OSError:
        return False
    return _named(data, old)


def _named(data: bytes, name: str) -> bool:
    """Whether these are the bytes of the blob that git has under this name."""
    algorithm = "sha1" if len(name) == 40 else "sha256"
    return hashlib.new(algorithm, b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest() == name


def _prefix(repo: "Repo", root: Path) -> str:
    top = Path(repo.working_tree_dir or root).resolve()
    prefix = root.resolve().relative_to(top).as_posix()
    return "" if prefix == "." else f"{prefix}/"
