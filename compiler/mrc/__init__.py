"""The model rollout compiler."""

__version__ = "0.1.0"
