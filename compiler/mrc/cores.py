"""Many models on every core: each is compiled on its own, so that none waits for another."""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

# Below this many names, starting processes costs more than it saves.
_WORTH_PROCESSES = 40
_AT_ONCE = 8  # names that a process takes

Said = TypeVar("Said")


def on_every_core(work: Callable[[str], Said], names: Sequence[str], *, first_here: bool = True) -> Iterator[Said]:
    """What `work` says of each name, in their order; in processes that inherit what this one has read and loaded.

    `first_here` does the first name before they start, so that they also inherit what one of them needs.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    if len(names) < _WORTH_PROCESSES or cores == 1:
        yield from map(work, names)
        return
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    if first_here:
        yield work(names[0])
        names = names[1:]
    with ProcessPoolExecutor(cores, multiprocessing.get_context("fork"), _begin, (work,)) as pool:
        yield from pool.map(_work, names, chunksize=_AT_ONCE)


_inherited: Callable[[str], Any]


def _begin(work: Callable[[str], Any]) -> None:
    global _inherited
    _inherited = work


def _work(name: str) -> Any:
    return _inherited(name)
