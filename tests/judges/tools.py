"""Where the tools are, what pins them, and how they are run.

The cache is `$MRC_TOOLS`, else `~/.cache/mrc-tools`, one folder a tool: `<name>-<version>-<digest of its
pins>`. A folder that exists is complete: `install.py` makes it beside and renames it. Standard library only.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
REQUIREMENTS = TESTS / "requirements"
SCHEMAS = TESTS / "schemas"
CLUSTER = TESTS / "cluster"
ANALYSIS_SOURCE = SCHEMAS / "argo-analysis" / "main.go"
ARGO_ROLLOUTS = "github.com/argoproj/argo-rollouts"
KUBERNETES = "k8s.io/kubernetes"
OWN_MODULES = {"alertmanager": "github.com/prometheus/alertmanager", "kwok": "sigs.k8s.io/kwok"}
"""Programs of the cluster that are built inside their own modules, each pinned by a folder of its name."""
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"  # Triton's backend is built for one


class MissingToolError(RuntimeError):
    """A tool that the tests need is not on this machine."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is not installed; run tests/install-tools")


def cache() -> Path:
    """The folder that holds the installed tools; it need not exist."""
    return Path(os.environ.get("MRC_TOOLS") or Path.home() / ".cache" / "mrc-tools")


def home(name: str) -> Path:
    """The folder of one tool for the present pins, whether or not it is installed.

    `name` is a file of `requirements/` without its suffix, or one of `crds`, `argo-rollouts`, `control-plane`,
    `prometheus`, `openssh` and `OWN_MODULES`.
    """
    if name in ("prometheus", "openssh"):  # the distribution pins it
        return cache() / f"{name}-apt"
    if name == "control-plane" or name in OWN_MODULES:
        pinned, main = (CLUSTER / name, OWN_MODULES[name]) if name in OWN_MODULES else (CLUSTER, KUBERNETES)
        return cache() / f"{name}-{modules(pinned)[main]}-{_digest([pinned / 'go.mod', pinned / 'go.sum'])}"
    if name == "crds":
        files = [SCHEMAS / "go.mod", SCHEMAS / "go.sum"]
        return cache() / f"crds-{_digest(files)}"
    if name == "argo-rollouts":
        files = [SCHEMAS / "go.mod", SCHEMAS / "go.sum", ANALYSIS_SOURCE]
        return cache() / f"argo-rollouts-{modules()[ARGO_ROLLOUTS]}-{_digest(files)}"
    pins = REQUIREMENTS / f"{name}.txt"
    version = re.search(r"^[\w-]+==(\S+)", pins.read_text(), re.MULTILINE)
    if version is None:
        raise ValueError(f"{pins} pins nothing")
    suffix = f"-py{PYTHON}" if name == "triton" else ""
    return cache() / f"{name}-{version[1]}-{_digest([pins])}{suffix}"


def modules(folder: Path = SCHEMAS) -> dict[str, str]:
    """The Go modules that the go.mod of a folder pins, path to version."""
    return dict(re.findall(r"^\t(\S+) (v\S+)", (folder / "go.mod").read_text(), re.MULTILINE))


def _digest(files: Sequence[Path]) -> str:
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:8]


def site(environment: Path) -> Path:
    """Where a venv of this interpreter's version has its packages."""
    return environment / "lib" / f"python{PYTHON}" / "site-packages"


def installed(name: str) -> Path:
    """The folder of an installed tool. Raises MissingToolError."""
    folder = home(name)
    if not folder.is_dir():
        raise MissingToolError(name)
    return folder


def promtool() -> str:
    """promtool: the one on PATH, else the installed one."""
    return shutil.which("promtool") or str(installed("prometheus") / "usr/bin/promtool")


def prometheus() -> str:
    """prometheus: the one on PATH, else the installed one."""
    return shutil.which("prometheus") or str(installed("prometheus") / "usr/bin/prometheus")


def alertmanager() -> str:
    """Alertmanager, as the distribution calls it: the one on PATH, else the installed one."""
    return shutil.which("prometheus-alertmanager") or str(installed("alertmanager") / "alertmanager")


def openssh() -> Path:
    """A root folder with OpenSSH's server, and the library that gives it an account without one on the machine."""
    return installed("openssh")


def kubectl() -> str:
    """kubectl: the installed one, else the one on PATH."""
    pinned = home("kubectl") / "bin" / "kubectl"
    found = str(pinned) if pinned.is_file() else shutil.which("kubectl")
    if found is None:
        raise MissingToolError("kubectl")
    return found


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a judge: English messages, UTC, no cluster to talk to by accident."""
    return os.environ | {"LC_ALL": "C.UTF-8", "TZ": "UTC", "KUBECONFIG": os.devnull} | dict(extra or {})


def run(command: Sequence[str | Path], *, stdin: str = "", seconds: float = 60) -> subprocess.CompletedProcess[str]:
    """Run one command to its end, whatever its exit code. Raises TimeoutExpired after `seconds`."""
    return subprocess.run(
        [str(part) for part in command],
        input=stdin,
        capture_output=True,
        env=environment(),
        timeout=seconds,
        text=True,
        check=False,
    )
