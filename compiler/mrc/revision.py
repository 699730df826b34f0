"""A git revision as a tree, read through git's plumbing; nothing is checked out."""

from pathlib import Path
from typing import TYPE_CHECKING

from mrc.tree import MemoryTree

if TYPE_CHECKING:
    from git import Repo


class RevisionError(Exception):
    """The revision cannot be had; the message says why and what to do."""


def repository(root: Path) -> "Repo | None":
    """The git repository around `root`, or None outside one."""
    import git

    try:
        return git.Repo(root, search_parent_directories=True)
    except (git.InvalidGitRepositoryError, git.NoSuchPathError):
        return None


def base_tree(repo: "Repo", root: Path, revision: str) -> MemoryTree:
    """The documents at the merge base of HEAD and `revision`; RevisionError when it is not there."""
    import git

    try:
        tip = repo.git.rev_parse("--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        base = repo.git.merge_base("--", "HEAD", tip)
    except git.GitCommandError:
        if repo.git.rev_parse("--is-shallow-repository") == "true":
            raise RevisionError(
                f"this shallow clone does not reach {revision}: fetch the history (in CI, fetch-depth: 0)"
            ) from None
        raise RevisionError(f"git does not know {revision}, or it shares no history with HEAD") from None
    return _tree(repo, root, base)


def _tree(repo: "Repo", root: Path, commit: str) -> MemoryTree:
    top = Path(repo.working_tree_dir or root).resolve()
    prefix = root.resolve().relative_to(top).as_posix()
    prefix = "" if prefix == "." else f"{prefix}/"
    listed = repo.git.ls_tree("-r", "-z", "--full-tree", commit)
    files: dict[str, bytes] = {}
    refused: dict[str, str] = {}
    for entry in listed.split("\0"):
        meta, _, path = entry.partition("\t")
        if not path.startswith(prefix) or not _ours(path[len(prefix) :]):
            continue
        mode, _, name = meta.split(" ")
        if mode in ("120000", "160000"):
            refused[path[len(prefix) :]] = "a symbolic link" if mode == "120000" else "a submodule"
            continue
        _, _, _, stream = repo.git.stream_object_data(name)
        files[path[len(prefix) :]] = stream.read()
    return MemoryTree(files, refused)


def _ours(path: str) -> bool:
    return path == "mrc.yaml" or path.startswith(("policies/", "environments/"))
