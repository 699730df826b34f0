"""A commit of a bare repository as a tree: a folder is listed when it is asked for, a file read when it is read."""

from typing import TYPE_CHECKING

from mrc.tree import LARGEST, UnreadableError

if TYPE_CHECKING:
    from git import Repo


class GitTree:
    """The files of one commit. Symbolic links and submodules are refused, never followed."""

    def __init__(self, repo: "Repo", commit: str) -> None:
        self.commit = commit
        self.refused: dict[str, str] = {}
        self._repo = repo
        self._listed: dict[str, list[str]] = {}
        self._blobs: dict[str, str] = {}

    def files(self, under: str = "") -> list[str]:
        if under not in self._listed:
            self._listed[under] = self._list(under)
        return self._listed[under]

    def _list(self, under: str) -> list[str]:
        found = []
        options = ["-r", "-z", "--full-tree", self.commit]
        for entry in self._repo.git.ls_tree(*options, *(["--", under] if under else [])).split("\0"):
            meta, _, path = entry.partition("\t")
            if not path:
                continue
            mode, _, name = meta.split(" ")
            if mode in ("120000", "160000"):
                self.refused[path] = "a symbolic link" if mode == "120000" else "a submodule"
            else:
                self._blobs[path] = name
                found.append(path)
        return sorted(found)

    def folders(self, under: str) -> list[str]:
        """The names of the folders directly in a folder."""
        out = self._repo.git.ls_tree("-d", "-z", "--name-only", "--full-tree", self.commit, "--", f"{under}/")
        return [path.rpartition("/")[2] for path in out.split("\0") if path]

    def read(self, path: str) -> bytes:
        if path not in self._blobs:
            self.files(path)
        if path not in self._blobs:
            raise UnreadableError("there is no such file")
        _, _, size, stream = self._repo.git.stream_object_data(self._blobs[path])
        data: bytes = stream.read()
        if int(size) > LARGEST:
            raise UnreadableError(f"it has more than {LARGEST >> 20} MiB")
        return data
