"""A fleet of any size: copies of one model of the example fleet, each with a name and digests of its own."""

import functools
import hashlib
import re
import shutil
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
MODEL = "sentiment"
ENVIRONMENTS = ("production", "staging")  # those of the model
_DIGEST = re.compile(r"\b[0-9a-f]{64}\b")


def name_of(number: int) -> str:
    """`m00042`: the names sort as the numbers do."""
    return f"m{number:05d}"


@functools.cache
def _documents() -> dict[str, str]:
    files = sorted((TOP / "policies" / MODEL).rglob("*.yaml"))
    return {str(file.relative_to(TOP)): file.read_text() for file in files}


def model_files(number: int) -> dict[str, str]:
    """The documents of model `number`, by path."""
    name = name_of(number)
    found: dict[str, str] = {}
    for path, text in _documents().items():
        text = text.replace(MODEL, name)
        found[path.replace(MODEL, name)] = _DIGEST.sub(lambda match: _digest(name, match[0]), text)
    return found


def _digest(name: str, digest: str) -> str:
    return hashlib.sha256(f"{name}{digest}".encode()).hexdigest()


def make(root: Path, models: int) -> None:
    """A repository of `models` models in the two environments; what was there is removed."""
    shutil.rmtree(root, ignore_errors=True)
    (root / "environments").mkdir(parents=True)
    shutil.copy(TOP / "mrc.yaml", root)
    for name in ENVIRONMENTS:
        shutil.copy(TOP / "environments" / f"{name}.yaml", root / "environments")
    for number in range(models):
        for path, text in model_files(number).items():
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
