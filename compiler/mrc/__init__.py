"""The model rollout compiler."""

import importlib.util
import os
import sys

__version__ = "0.1.0"

# No plugin of another package may change how documents are read; looking for them costs 25 ms a run besides.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


def _postpone(name: str) -> None:
    """Let a module be loaded when something of it is first used."""
    spec = importlib.util.find_spec(name)
    if name not in sys.modules and spec is not None and spec.loader is not None:
        spec.loader = importlib.util.LazyLoader(spec.loader)
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])


_postpone("importlib.metadata")  # pydantic imports it to look for plugins
