"""The model rollout compiler."""

import os

__version__ = "0.1.0"

# No plugin of another package may change how documents are read.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
