"""Jinja, whose compiler is imported when a template has to be compiled: mostly it was, by an earlier run.

Nor is what it takes for functions and filters that no template of mrc uses, and for caches in other places.
"""

from mrc.standins import StandIn, standing_in

_COMPILES = ("jinja2.compiler", "jinja2.lexer", "jinja2.parser")

with standing_in(*map(StandIn, (*_COMPILES, "inspect", "random", "tempfile"))):
    from jinja2 import Environment, FileSystemBytecodeCache, FileSystemLoader, StrictUndefined
    from jinja2.bccache import Bucket

__all__ = ["Bucket", "Environment", "FileSystemBytecodeCache", "FileSystemLoader", "StrictUndefined"]
