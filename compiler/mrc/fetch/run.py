"""The passes of one fetch: read, look at what is there, receive what is not, and only then place it."""

import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from mrc.fetch import place
from mrc.fetch.layout import Layout, lay_out, tree_of
from mrc.fetch.manifest import Manifest, read_manifest
from mrc.fetch.problem import FetchError, Problem, human_size, printable
from mrc.fetch.sources import Sources, open_file
from mrc.fetch.verify import DELAYS, Artifact, receive, remote_artifact

THREADS = 4

_WRITABLE = "a volume that can be written"
_VOLUME = "check the volume's space, its mount and its owner (fsGroup)"

_T = TypeVar("_T")
_R = TypeVar("_R")


def fetch_repository(manifest: Path, to: Path, say: Callable[[str], None], delays: tuple[float, ...] = DELAYS) -> None:
    """Make the Triton model repository `to` hold what the file `manifest` lists.

    Nothing in `to` changes before all of it is verified. A version directory then holds what the manifest
    says and nothing else; other versions and models in `to` are left alone. `say` gets one line of progress
    a file, from several threads; `delays` are the waits in seconds between tries of one file.

    Raises InvalidUseError for a bad manifest or destination, FetchError for everything else.
    """
    parsed = read_manifest(manifest)
    root = place.destination(to)
    try:
        with place.staging(root) as staged, Sources() as sources:
            artifacts = _artifacts(parsed, manifest.parent, sources)
            _lay_down(artifacts, lay_out(parsed), root, staged, delays, say)
    except OSError as error:
        where = printable(str(error.filename or to))
        found = error.strerror or type(error).__name__
        raise FetchError([Problem(where, _WRITABLE, found, _VOLUME)]) from error
    say(f"{parsed.model} version {parsed.version} is complete in {printable(str(to))}")


def _lay_down(
    artifacts: list[Artifact],
    layout: Layout,
    root: Path,
    staged: Path,
    delays: tuple[float, ...],
    say: Callable[[str], None],
) -> None:
    _raise_if(place.obstacles(root, layout))
    sound = _parallel(partial(_is_there, root), artifacts)
    there = {artifact.path for artifact, right in zip(artifacts, sound, strict=True) if right}
    trees = [
        path
        for path, tree in layout.trees.items()
        if not (tree.files <= there and place.holds_exactly(root, path, tree))
    ]
    for path in trees:
        for directory in layout.trees[path].directories:
            place.make_directory(staged / directory)
    kept = {path for path in there if tree_of(path) not in trees or place.linked(root / path, staged / path)}
    for artifact in artifacts:
        if artifact.path in kept:
            say(f"{artifact.path}  {human_size(artifact.size)}  already there, verified")
    needed = [artifact for artifact in artifacts if artifact.path not in kept]
    shortage = place.lacking_space(root.parent, sum(artifact.size for artifact in needed))
    _raise_if([shortage] if shortage else [])
    problems = _parallel(partial(_obtain, staged, delays, say), needed)
    _raise_if([problem for problem in problems if problem])
    place.place(staged, root, trees, [path for path in layout.loose if path not in there])


def _artifacts(manifest: Manifest, beside: Path, sources: Sources) -> list[Artifact]:
    remote = [remote_artifact(file, sources) for file in manifest.files]
    # kubelet lays a ConfigMap's files as symbolic links.
    rendered = [
        Artifact(
            config.path,
            printable(str(beside / config.source)),
            config.size,
            config.sha256,
            partial(open_file, beside / config.source, follow=True),
        )
        for config in manifest.configs
    ]
    return remote + rendered


def _is_there(root: Path, artifact: Artifact) -> bool:
    path = root / artifact.path
    opener = partial(open_file, path)
    local = Artifact(artifact.path, str(path), artifact.size, artifact.sha256, opener)
    return os.path.lexists(path) and receive(local, None, ()) is None


def _obtain(staged: Path, delays: tuple[float, ...], say: Callable[[str], None], artifact: Artifact) -> Problem | None:
    started = time.monotonic()
    target = staged / artifact.path
    try:
        place.make_directory(target.parent)
        with target.open("xb") as sink:
            os.fchmod(sink.fileno(), place.FILE_MODE)
            problem = receive(artifact, sink, delays)
            if problem is None:
                sink.flush()
                os.fsync(sink.fileno())
    except OSError as error:
        found = error.strerror or type(error).__name__
        return Problem(artifact.path, _WRITABLE, found, _VOLUME)
    if problem is None:
        say(f"{artifact.path}  {human_size(artifact.size)}  {time.monotonic() - started:.1f} s")
    return problem


def _parallel(work: Callable[[_T], _R], items: Iterable[_T]) -> list[_R]:
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(work, items))


def _raise_if(problems: list[Problem]) -> None:
    if problems:
        raise FetchError(problems)
