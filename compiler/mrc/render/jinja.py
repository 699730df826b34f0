"""Jinja, whose compiler is imported when a template has to be compiled: mostly it was, by an earlier run."""

import importlib
import sys
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment, FileSystemBytecodeCache, FileSystemLoader, StrictUndefined
    from jinja2.bccache import Bucket
else:
    # What `jinja2.environment` takes from the parts that are left out, and calls when it compiles.
    _COMPILING = {
        "jinja2.compiler": ("CodeGenerator", "generate"),
        "jinja2.lexer": ("Lexer", "TokenStream", "get_lexer"),
        "jinja2.parser": ("Parser",),
    }

    def _call(module: str, name: str, *arguments: Any, **named: Any) -> Any:
        return getattr(importlib.import_module(module), name)(*arguments, **named)

    def _imported() -> ModuleType:
        if "jinja2" in sys.modules:
            return importlib.import_module("jinja2")
        for part, names in _COMPILING.items():
            sys.modules[part] = ModuleType(part)
            for name in names:
                setattr(sys.modules[part], name, partial(_call, part, name))
        try:
            return importlib.import_module("jinja2")
        finally:
            for part in _COMPILING:
                del sys.modules[part]

    _jinja = _imported()
    Bucket = _jinja.bccache.Bucket
    Environment = _jinja.Environment
    FileSystemBytecodeCache = _jinja.FileSystemBytecodeCache
    FileSystemLoader = _jinja.FileSystemLoader
    StrictUndefined = _jinja.StrictUndefined

__all__ = ["Bucket", "Environment", "FileSystemBytecodeCache", "FileSystemLoader", "StrictUndefined"]
