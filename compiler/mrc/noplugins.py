"""pydantic without plugins, nor looking for any: for that it imports `importlib.metadata`, and `email` with it."""

import contextlib
import importlib
import sys
from types import ModuleType

_WHERE = "importlib.metadata"

if _WHERE not in sys.modules:
    nothing = ModuleType(_WHERE)
    nothing.__dict__["entry_points"] = lambda **group: ()
    sys.modules[_WHERE] = nothing
    try:
        # It takes the function, which it never calls: mrc says that there are no plugins.
        with contextlib.suppress(ImportError):
            importlib.import_module("pydantic.plugin._loader")
    finally:
        del sys.modules[_WHERE]
