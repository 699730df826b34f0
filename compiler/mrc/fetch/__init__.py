"""Lay a Triton model repository down from a rendered manifest: verified first, then renamed into place."""

from mrc.fetch.manifest import Manifest, RemoteFile, parse_manifest
from mrc.fetch.problem import FetchError, InvalidUseError, Problem
from mrc.fetch.run import fetch_repository
from mrc.fetch.sources import Sources
from mrc.fetch.verify import verify_artifact

__all__ = [
    "FetchError",
    "InvalidUseError",
    "Manifest",
    "Problem",
    "RemoteFile",
    "Sources",
    "fetch_repository",
    "parse_manifest",
    "verify_artifact",
]
