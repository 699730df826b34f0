"""The manifest of one version: hostile bytes until parsed, a frozen object afterwards."""

import json
import re
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from mrc.fetch.problem import InvalidUseError, Problem, printable, redact
from mrc.fetch.sources import PermanentError, open_file

MAX_MANIFEST = 1 << 20  # bytes; a ConfigMap holds no more
MAX_CONFIG = 1 << 20  # bytes
MAX_FILE = 1 << 40  # bytes
MAX_PATH = 1024  # characters

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
_VERSION = re.compile(r"[1-9][0-9]*")
_RENDERED = "render the model again with mrc; a manifest is never edited by hand"


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError("a plain name: letters, digits, '.', '_' and '-', beginning with a letter or digit")
    return value


def _parts(value: str) -> list[str]:
    parts = value.split("/")
    if len(value) > MAX_PATH or not all(_NAME.fullmatch(part) for part in parts):
        raise ValueError("a relative path whose parts are letters, digits, '.', '_' and '-', without '..'")
    if len(parts) < 2:
        raise ValueError("a path inside a model's directory; the repository's root holds models only")
    return parts


def _file_path(value: str) -> str:
    parts = _parts(value)
    if len(parts) > 2:
        _directory_path("/".join(parts[:-1]))
    elif parts[1][0].isdigit():
        raise ValueError("a name that does not begin with a digit: Triton reads it as a version")
    return value


def _directory_path(value: str) -> str:
    child = _parts(value)[1]
    # Triton parses 44-tmp as version 44, and skips versions with leading zeros.
    if child[0].isdigit() and not _VERSION.fullmatch(child):
        raise ValueError("a version directory that is a positive integer without leading zeros")
    return value


def _uri(value: str) -> str:
    if not value.isprintable() or " " in value:
        raise ValueError("an address without blanks and control characters")
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("an address: s3://bucket/key, https://host/path or file:///path") from None
    if "@" in parts.netloc:
        raise ValueError("an address without credentials; give a token with MRC_FETCH_TOKEN_FILE")
    if parts.fragment or (parts.query and parts.scheme != "https"):
        raise ValueError("an address without '#', and with '?' for https only")
    complete = {
        "file": not parts.netloc and parts.path.startswith("/") and unquote(parts.path).isprintable(),
        "https": bool(host),
        "s3": bool(parts.netloc) and len(parts.path) > 1,
    }
    if not complete.get(parts.scheme, False):
        raise ValueError("an address: s3://bucket/key, https://host/path or file:///path")
    return value


Name = Annotated[str, AfterValidator(_name)]
FilePath = Annotated[str, AfterValidator(_file_path)]
DirectoryPath = Annotated[str, AfterValidator(_directory_path)]
Uri = Annotated[str, AfterValidator(_uri)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class RemoteFile(_Strict):
    """One artifact: where it comes from and where it goes; `size` in bytes."""

    path: FilePath
    uri: Uri
    size: int = Field(ge=0, le=MAX_FILE)
    sha256: Sha256


class ConfigFile(_Strict):
    """One rendered file, beside the manifest under the plain name `source` ("from"); `size` in bytes."""

    path: FilePath
    source: Name = Field(alias="from")
    size: int = Field(ge=0, le=MAX_CONFIG)
    sha256: Sha256


class Manifest(_Strict):
    """All of one version's model repository."""

    model: Name
    version: int = Field(ge=1, le=2**63 - 1)
    files: tuple[RemoteFile, ...]
    configs: tuple[ConfigFile, ...]
    directories: tuple[DirectoryPath, ...]

    @model_validator(mode="after")
    def _no_path_twice(self) -> Self:
        paths = [file.path for file in self.files] + [config.path for config in self.configs]
        conflicts = _conflicts([*paths, *self.directories])
        if conflicts:
            found = {"found": "; ".join(conflicts[:20])}
            raise PydanticCustomError("conflict", "paths that do not contain each other", found)
        return self


def _conflicts(paths: Iterable[str]) -> list[str]:
    # In the order of their parts, a path is followed at once by what lies below it.
    ordered = sorted(tuple(path.split("/")) for path in paths)
    return [
        f"'{'/'.join(first)}' stands beside '{'/'.join(second)}'"
        for first, second in pairwise(ordered)
        if second[: len(first)] == first
    ]


def parse_manifest(data: bytes, name: str = "manifest") -> Manifest:
    """Parse the JSON in `data`; `name` is what problems call it.

    Raises InvalidUseError with every problem, and nothing else, whatever the bytes are.
    """
    if len(data) > MAX_MANIFEST:
        raise _invalid(name, f"at most {MAX_MANIFEST} bytes", f"at least {len(data)} bytes")
    try:
        manifest = Manifest.model_validate_json(data)
    except ValidationError as error:
        raise InvalidUseError([_problem(name, detail) for detail in error.errors()]) from None
    try:
        # The parse above keeps the last of two equal keys; its depth limit makes this second one safe.
        json.loads(data, object_pairs_hook=_unique)
    except ValueError as error:
        raise _invalid(name, "each key once", printable(str(error))) from None
    return manifest


def read_manifest(path: Path) -> Manifest:
    """Read and parse the manifest at `path`, which may be a symbolic link as kubelet lays them.

    Raises InvalidUseError.
    """
    data = b""
    try:
        with open_file(path, 0, follow=True) as body:
            for chunk in body.chunks:
                data += chunk
                if len(data) > MAX_MANIFEST:
                    break
    except PermanentError as error:
        problem = Problem(printable(str(path)), "a manifest written by mrc", error.found, error.action)
        raise InvalidUseError([problem]) from None
    return parse_manifest(data, printable(str(path)))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key that is written twice")
    return result


def _invalid(name: str, expected: str, found: str) -> InvalidUseError:
    return InvalidUseError([Problem(name, expected, found, _RENDERED)])


def _problem(name: str, detail: Any) -> Problem:
    # `detail` is one entry of pydantic's ValidationError.errors().
    where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in detail["loc"])
    place = printable(where.removeprefix("."), 100)
    expected = detail["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    if detail["type"] == "json_invalid":
        expected = "JSON in UTF-8"
    return Problem(f"{name}: {place}" if place else name, expected, _found(detail), _RENDERED)


def _found(detail: Any) -> str:
    value, key = detail["input"], detail["loc"][-1] if detail["loc"] else ""
    match detail["type"]:
        case "missing":
            return "nothing"
        case "extra_forbidden":
            return "an unknown key"
        case "conflict":
            return str(detail["ctx"]["found"])
        case "json_invalid":
            return printable(detail["msg"])
    if key == "uri" and isinstance(value, str):
        return redact(value)
    # Any other value may hold a secret: only what is known to be harmless is shown.
    if key in ("model", "version", "path", "from", "size", "sha256") or detail["loc"][:1] == ("directories",):
        if isinstance(value, str):
            return f"'{printable(value, 100)}'"
        if isinstance(value, int) and abs(value) < 1 << 64:
            return str(value)
    return f"a value of type {type(value).__name__}"
