"""Jinja, whose compiler is imported when a template has to be compiled: mostly it was, by an earlier run.

Nor is what it takes for functions and filters that no template of mrc uses, and for keeping templates its own way.
"""

import hashlib
import marshal
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from mrc import cache
from mrc.standins import StandIn, standing_in


class _EvalContext:
    """Whether a template that runs escapes what it writes: all that it needs of the nodes that a compiler has."""

    def __init__(self, environment: Any, template_name: str | None = None) -> None:
        self.environment, self.volatile = environment, False
        escapes = environment.autoescape
        self.autoescape = escapes(template_name) if callable(escapes) else escapes

    def save(self) -> dict[str, Any]:
        return dict(vars(self))

    def revert(self, old: dict[str, Any]) -> None:
        self.__dict__ = dict(old)


_COMPILES = ("jinja2.compiler", "jinja2.lexer", "jinja2.parser")
_SELDOM = ("inspect", "jinja2.bccache", "random", "urllib.parse")

with standing_in(*map(StandIn, _COMPILES + _SELDOM), StandIn("jinja2.nodes", EvalContext=_EvalContext)):
    from jinja2 import BaseLoader, Environment, StrictUndefined, Template


class Loader(BaseLoader):
    """The templates of a folder, and in another, if there is one, what each was compiled to by this very mrc.

    Jinja's own keeps them in a form that is read byte by byte, which takes five times as long.
    """

    def __init__(self, folder: Path, kept: Path | None) -> None:
        self.folder, self.kept = folder, kept

    def load(self, environment: Environment, name: str, globals: MutableMapping[str, Any] | None = None) -> Template:  # noqa: A002
        path = self.folder / name
        source = path.read_text()
        file = self.kept / f"{name.replace('/', '-')}.compiled" if self.kept is not None else None
        known = hashlib.sha256(f"{cache.fingerprint()}{source}".encode()).digest()
        data = cache.load(file) if file is not None else None
        if data is not None and data.startswith(known):
            code = marshal.loads(data[len(known) :])  # noqa: S302  it is what mrc has kept, where Python would keep it
        else:
            code = environment.compile(source, name, str(path))
            if file is not None:
                cache.save(file, known + marshal.dumps(code))
        return environment.template_class.from_code(environment, code, globals or {})


__all__ = ["Environment", "Loader", "StrictUndefined"]
