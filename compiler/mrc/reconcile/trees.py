"""A commit's tree with some files changed: only the folders on the way to a change are read and written.

git's index would be read and written whole, which in a large repository takes longer than everything else.
"""

from collections.abc import Mapping

from mrc.reconcile.gittree import FILE, FOLDER, Entries, GitTree
from mrc.reconcile.objects import Objects


def write(objects: Objects, tree: GitTree, edits: Mapping[str, bytes | None]) -> str:
    """The id of the tree with the files changed; None removes a file. Raises GitError."""
    folders = {""} | {above for path in edits for above in _above(path)}
    trees: dict[str, Entries] = {folder: dict(tree.entries(folder)) for folder in folders}
    for path, data in sorted(edits.items()):
        folder, _, name = path.rpartition("/")
        if data is not None:
            trees[folder][name.encode()] = (FILE, bytes.fromhex(objects.write("blob", data)))
        elif trees[folder].get(name.encode(), (FOLDER, b""))[0] != FOLDER:
            del trees[folder][name.encode()]
    written = tree.root
    for folder in sorted(folders, key=lambda each: each.count("/") if each else -1, reverse=True):
        above, _, name = folder.rpartition("/")
        if trees[folder] or not folder:
            written = objects.write("tree", _data(trees[folder]))
        if folder and trees[folder]:
            trees[above][name.encode()] = (FOLDER, bytes.fromhex(written))
        elif folder and trees[above].get(name.encode(), (FILE, b""))[0] == FOLDER:
            del trees[above][name.encode()]
    return written


def _above(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[: depth + 1]) for depth in range(len(parts))]


def _data(entries: Entries) -> bytes:
    """As git sorts them: a folder as if its name ended in a slash."""
    ordered = sorted((name + b"/" if mode == FOLDER else name, mode, own) for name, (mode, own) in entries.items())
    return b"".join([mode + b" " + name.removesuffix(b"/") + b"\0" + own for name, mode, own in ordered])
