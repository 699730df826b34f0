"""pydantic without plugins, nor looking for any: for that it imports `importlib.metadata`, and `email` with it."""

import contextlib
import importlib

from mrc.standins import StandIn, standing_in

# It takes the function, which it never calls: mrc says that there are no plugins.
with standing_in(StandIn("importlib.metadata")), contextlib.suppress(ImportError):
    importlib.import_module("pydantic.plugin._loader")
