"""What of a repository is renamed as one: version directories, and the files beside them."""

from dataclasses import dataclass

from mrc.fetch.manifest import Manifest


@dataclass(frozen=True)
class Tree:
    """One directory of a model (`<model>/42`), whole: paths relative to the repository's root."""

    files: frozenset[str]
    directories: frozenset[str]  # the tree itself is one of them


@dataclass(frozen=True)
class Layout:
    """`trees` by path, renamed first; `loose` files of models' directories, renamed after in this order."""

    trees: dict[str, Tree]
    loose: tuple[str, ...]

    @property
    def models(self) -> list[str]:
        """The directories of the repository's root that are written to."""
        return sorted({path.split("/")[0] for path in (*self.trees, *self.loose)})


def lay_out(manifest: Manifest) -> Layout:
    """Group the manifest's paths; pure."""
    files: dict[str, set[str]] = {}
    directories: dict[str, set[str]] = {}
    loose: list[str] = []
    for path in [*(file.path for file in manifest.files), *(config.path for config in manifest.configs)]:
        tree = tree_of(path)
        if tree == path:
            loose.append(path)
        else:
            files.setdefault(tree, set()).add(path)
            directories.setdefault(tree, set()).update(_within(tree, path.rpartition("/")[0]))
    for path in manifest.directories:
        tree = tree_of(path)
        directories.setdefault(tree, set()).update(_within(tree, path))
    trees = {tree: Tree(frozenset(files.get(tree, ())), frozenset(inside)) for tree, inside in directories.items()}
    # A server that reads a configuration must find what it names: config.pbtxt goes last.
    return Layout(trees, tuple(sorted(loose, key=lambda path: path.endswith("/config.pbtxt"))))


def tree_of(path: str) -> str:
    """Return the tree that `path` belongs to, or `path` itself when it is a loose file."""
    return "/".join(path.split("/")[:2])


def _within(tree: str, path: str) -> list[str]:
    # `path` and what is above it, down to `tree`.
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(tree.count("/") + 1, len(parts) + 1)]
