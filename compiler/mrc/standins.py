"""What stands in for a module while a package is imported that takes it along and, for mrc, seldom or never uses it."""

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any


class StandIn(ModuleType):
    """A module by its name. What is given is had at once; all else of it is functions that import it when called."""

    def __init__(self, name: str, **given: Any) -> None:
        super().__init__(name)
        self.__dict__.update(given)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Later(self.__name__, name)


class _Later:
    """A function of a module, imported when it is called. No class that keeps it makes a method of it."""

    __slots__ = ("module", "name")

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return getattr(importlib.import_module(self.module), self.name)(*arguments, **named)


@contextmanager
def standing_in(*modules: StandIn) -> Iterator[None]:
    """What is imported meanwhile takes these; but what has been imported before stays what it is."""
    absent = {module.__name__: module for module in modules if module.__name__ not in sys.modules}
    sys.modules.update(absent)
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]
