"""A git revision as a tree, read through git's plumbing; nothing is checked out."""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from mrc.tree import LARGEST, ROOTS, UnreadableError, below

if TYPE_CHECKING:
    from git import Repo


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
        return git.Repo(root, search_parent_directories=True)
    except (git.InvalidGitRepositoryError, git.NoSuchPathError):
        return None


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
        self._repo = repo
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

    def forget_but(self, models: Collection[str]) -> None:
        """Leave out the policies and versions of every other model: what is not asked for is not read."""
        wanted = {f"policies/{name}" for name in models}
        self._blobs = {
            path: blob
            for path, blob in self._blobs.items()
            if not path.startswith("policies/") or "/".join(path.split("/", 2)[:2]) in wanted
        }

    def files(self, under: str = "") -> list[str]:
        return below(self._blobs, under)

    def read(self, path: str) -> bytes:
        if path not in self._blobs:
            raise UnreadableError("there is no such file")
        _, _, size, stream = self._repo.git.stream_object_data(self._blobs[path])
        if size > LARGEST:
            raise UnreadableError(f"it has more than {LARGEST >> 20} MiB")
        data: bytes = stream.read()
        return data


def changed(repo: "Repo", root: Path, commit: str) -> list[str]:
    """What mrc reads below `root` and what differs between the commit and the work tree, untracked files too."""
    prefix = _prefix(repo, root)
    wanted = ["--", *(f":(top,literal){prefix}{name}" for name in ROOTS)]
    differing = repo.git.diff("--name-only", "-z", "--no-renames", "--no-ext-diff", commit, *wanted)
    new = repo.git.ls_files("--others", "--full-name", "-z", *wanted)
    paths = {path for listed in (differing, new) for path in listed.split("\0") if path}
    return sorted(path.removeprefix(prefix) for path in paths)


def _prefix(repo: "Repo", root: Path) -> str:
    top = Path(repo.working_tree_dir or root).resolve()
    prefix = root.resolve().relative_to(top).as_posix()
    return "" if prefix == "." else f"{prefix}/"
