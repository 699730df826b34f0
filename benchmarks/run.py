"""Side by side in one run, on the same fleet: `mrc`, `helm template` and `kubectl kustomize`.

    benchmarks/run.py [--models 1,100,1000] [--repeat 3] [--kustomize-up-to 100]

Each figure is a whole process with all that it starts, the best of `--repeat` runs taken in turns. What is printed is
the table of docs/explanation/speed.md.
"""

import argparse
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import chart
import fleet
import yaml

MRC = Path(sys.executable).parent / "mrc"
IDENTITY = ["-c", "user.name=benchmark", "-c", "user.email=benchmark@example.com", "-c", "commit.gpgsign=false"]


@cache
def helm() -> str:
    """helm: the one on PATH, else one that is built once from the pinned module beside this file."""
    on_path = shutil.which("helm")
    if on_path:
        return on_path
    module = Path(__file__).parent / "helm"
    pins = hashlib.sha256((module / "go.sum").read_bytes()).hexdigest()[:8]
    tools = Path(os.environ.get("MRC_TOOLS") or Path.home() / ".cache" / "mrc-tools")
    built = tools / f"helm-{pins}" / "helm"
    if not built.exists():
        print("building helm, once ...", file=sys.stderr)
        build = ["go", "build", "-trimpath", "-ldflags", "-s -w", "-o", str(built), "helm.sh/helm/v4/cmd/helm"]
        subprocess.run(build, cwd=module, check=True, env={**os.environ, "GOFLAGS": "-mod=readonly"})
    return str(built)


class Run(NamedTuple):
    """One run of a command: seconds on the clock, seconds of all processors."""

    seconds: float
    cpu: float


def run(command: list[str], cwd: Path, output: Path, cache: Path) -> tuple[Run, float]:
    """A whole process with all that it starts, and the peak of its memory in MiB, looked at four times a second.

    Standard output goes to a file, as it would to a cluster.
    """
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    environment.pop(
        "PYTHONDONTWRITEBYTECODE", None
    )  # what is compiled beside the files is there from the second run on
    with output.open("wb") as file:
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=cwd, stdout=file, stderr=subprocess.PIPE, env=environment)
        assert process.stderr is not None
        ended, peak = threading.Event(), [0.0]
        watch = threading.Thread(target=lambda: _watch(process.pid, ended, peak))
        watch.start()
        said = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        ended.set()
        watch.join()
    # 2 is what `mrc plan` says of changes.
    if os.waitstatus_to_exitcode(status) not in ((0, 2) if "plan" in command else (0,)):
        raise SystemExit(f"{' '.join(command)} failed:\n{said.decode()[-2000:]}")
    return Run(seconds, usage.ru_utime + usage.ru_stime), max(peak[0], usage.ru_maxrss / 1024)


def _watch(root: int, ended: threading.Event, peak: list[float]) -> None:
    while not ended.wait(0.25):
        peak[0] = max(peak[0], _memory(root))


def _memory(pid: int) -> float:
    """What a process and its children hold, in MiB; pages that they share count once."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (OSError, ProcessLookupError):
        return 0.0
    found = re.search(r"^Pss: +(\d+) kB", rollup, re.MULTILINE)
    return (int(found[1]) / 1024 if found else 0.0) + sum(_memory(int(child)) for child in children)


def machine() -> str:
    """What ran this, in a line."""
    cpus = re.findall(r"^model name\s*: (.*)", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    version = subprocess.run([helm(), "version", "--short"], check=True, capture_output=True, text=True).stdout.strip()
    cores = len(os.sched_getaffinity(0))
    return (
        f"{cores} cores of {cpus[0] if cpus else platform.machine()}, {memory:.0f} GiB, {platform.system()} "
        f"{platform.release().split('-')[0]}, Python {platform.python_version()}, Helm {version}."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default="1,100,1000")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--kustomize-up-to", type=int, default=100, help="it takes minutes beyond")
    options = parser.parse_args()
    if shutil.which("kubectl") is None:
        options.kustomize_up_to = 0
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory(prefix="mrc-benchmark-") as temporary:
        for models in (int(number) for number in options.models.split(",")):
            folder = Path(temporary) / str(models)
            folder.mkdir()
            compare(folder, models, options.repeat, kustomize=models <= options.kustomize_up_to)


def compare(folder: Path, models: int, repeat: int, *, kustomize: bool) -> None:
    """Make the fleet, run every command on it `repeat` times in turns, print a table in Markdown."""
    repository, templates, output, cache = folder / "fleet", folder / "chart", folder / "output", folder / "cache"
    fleet.make(repository, models)
    run([str(MRC), "render"], repository, output, cache)
    objects = chart.make(repository, templates, models)
    if models <= 10:
        same_objects(repository, templates)
    for arguments in (["init", "-q", "-b", "main"], ["add", "-A"], [*IDENTITY, "commit", "-q", "-m", "Begin"]):
        subprocess.run(["git", *arguments], cwd=repository, check=True)

    def mrc(*arguments: str) -> tuple[Run, float]:
        return run([str(MRC), *arguments], repository, output, cache)

    def cold() -> tuple[Run, float]:
        # Moved aside, not removed: for half a minute ext4 makes no file where one was just removed, and looks long for
        # another place. Where nothing has been rendered yet, nothing was removed.
        aside = folder / "before"
        aside.mkdir(exist_ok=True)
        (repository / "rendered").rename(aside / str(len(list(aside.iterdir()))))
        shutil.rmtree(cache, ignore_errors=True)
        return mrc("render")

    def one_changed() -> tuple[Run, float]:
        policy = repository / "policies" / fleet.name_of(0) / "policy.yaml"
        more = re.sub(r"replicas: (\d+)", lambda match: f"replicas: {int(match[1]) + 1}", policy.read_text(), count=1)
        policy.write_text(more)
        return mrc("render")

    commands: dict[str, Callable[[], tuple[Run, float]]] = {
        "`mrc render`, nothing rendered yet": cold,
        "`mrc render`, nothing changed": lambda: mrc("render"),
        "`mrc render`, one policy changed": one_changed,
        "`mrc plan`, one policy changed": lambda: mrc("plan", "--base", "main"),
        "`mrc check`, one policy changed": lambda: mrc("check", "--base", "main"),
        "`helm template`": lambda: run([helm(), "template", "fleet", str(templates)], folder, output, cache),
    }
    if kustomize:
        for environment in fleet.ENVIRONMENTS:
            build = ["kubectl", "kustomize", str(repository / "rendered" / environment)]
            commands[f"`kubectl kustomize`, {environment}"] = lambda build=build: run(build, folder, output, cache)
    runs: dict[str, list[tuple[Run, float]]] = {name: [] for name in commands}
    for _ in range(repeat):
        for name, command in commands.items():
            runs[name].append(command())
    reference = min(one.seconds for one, _ in runs["`helm template`"])
    counted = f"{models:,} model{'s' if models > 1 else ''}"
    print(f"\n| {counted}, {objects:,} objects | seconds | of Helm | CPU seconds | µs an object | MiB |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, found in runs.items():
        (seconds, cpu), memory = min(found)
        each = seconds / objects * 1e6
        print(f"| {name} | {seconds:.2f} | {seconds / reference:.2f} | {cpu:.2f} | {each:,.0f} | {memory:.0f} |")
    sys.stdout.flush()


def same_objects(repository: Path, templates: Path) -> None:
    """Stop unless the chart yields exactly the objects that mrc rendered."""
    rendered = [
        document
        for file in sorted((repository / "rendered").glob("*/*/*.yaml"))
        if file.name not in chart.OTHERS
        for document in yaml.load_all(file.read_text(), yaml.CSafeLoader)
    ]
    text = subprocess.run([helm(), "template", "fleet", templates], check=True, capture_output=True, text=True).stdout
    templated = [document for document in yaml.load_all(text, yaml.CSafeLoader) if document]

    def key(one: dict[str, dict[str, str]]) -> str:
        return repr(sorted(one.items(), key=lambda item: item[0]))

    if sorted(map(key, rendered)) != sorted(map(key, templated)):
        raise SystemExit("the chart does not yield the objects that mrc rendered")


if __name__ == "__main__":
    main()
