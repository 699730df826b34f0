"""kustomize, as kubectl carries it: what a rendered folder builds to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from judges import tools


class BuildError(RuntimeError):
    """kustomize refused; the text is its own."""


def build(directory: Path) -> list[dict[str, Any]]:
    """The objects that `kubectl kustomize DIRECTORY` writes, in its order. Raises BuildError."""
    done = tools.run([tools.kubectl(), "kustomize", directory])
    if done.returncode != 0 or done.stderr:  # it warns of what a next release refuses
        raise BuildError(done.stderr.strip())
    return [each for each in yaml.safe_load_all(done.stdout) if each]
