"""Side by side in one run, on the same fleet: `mrc render`, `helm template` and `kubectl kustomize`.

    benchmarks/run.py [--models 1,100,1000] [--repeat 3] [--kustomize-up-to 100]

Each figure is a whole process, the best of `--repeat` runs taken in turns. Memory is the peak of the largest process.
"""

import argparse
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import chart
import fleet
import yaml

MRC = Path(sys.executable).parent / "mrc"


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


def timed(command: list[str], cwd: Path, output: Path, env: dict[str, str] | None = None) -> tuple[float, float]:
    """Seconds and the peak MiB of one run; standard output goes to a file, as it would to a cluster."""
    whole = {**os.environ, **(env or {})}
    with output.open("wb") as file:
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=cwd, stdout=file, stderr=subprocess.PIPE, env=whole)
        assert process.stderr is not None
        said = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
    if status:
        raise SystemExit(f"{' '.join(command)} failed:\n{said.decode()[-2000:]}")
    return seconds, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default="1,100,1000")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--kustomize-up-to", type=int, default=100, help="it takes minutes beyond")
    options = parser.parse_args()
    if shutil.which("kubectl") is None:
        options.kustomize_up_to = 0
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    for models in (int(number) for number in options.models.split(",")):
        with tempfile.TemporaryDirectory(prefix="mrc-benchmark-") as temporary:
            compare(Path(temporary), models, options.repeat, kustomize=models <= options.kustomize_up_to)


def compare(folder: Path, models: int, repeat: int, *, kustomize: bool) -> None:
    """Make the fleet, run every command on it `repeat` times in turns, print a table."""
    repository, templates, output = folder / "fleet", folder / "chart", folder / "output"
    fleet.make(repository, models)
    cached = {"XDG_CACHE_HOME": str(folder / "cache")}
    subprocess.run([MRC, "render"], cwd=repository, check=True, capture_output=True, env={**os.environ, **cached})
    objects = chart.make(repository, templates, models)
    if models <= 10:
        same_objects(repository, templates)
    policy = repository / "policies" / fleet.name_of(0) / "policy.yaml"

    def cold() -> tuple[float, float]:
        shutil.rmtree(repository / "rendered")
        shutil.rmtree(folder / "cache", ignore_errors=True)
        return timed([str(MRC), "render"], repository, output, cached)

    def nothing_changed() -> tuple[float, float]:
        return timed([str(MRC), "render"], repository, output, cached)

    def one_changed() -> tuple[float, float]:
        text = policy.read_text()
        one, other = ("4", "5") if "replicas: 4" in text else ("5", "4")
        policy.write_text(text.replace(f"replicas: {one}", f"replicas: {other}"))
        return timed([str(MRC), "render"], repository, output, cached)

    commands: dict[str, Callable[[], tuple[float, float]]] = {
        "mrc render, nothing rendered yet": cold,
        "mrc render, nothing changed": nothing_changed,
        "mrc render, one policy changed": one_changed,
        "helm template": lambda: timed([helm(), "template", "fleet", str(templates)], folder, output),
    }
    if kustomize:
        for environment in sorted(each.name for each in (repository / "rendered").iterdir()):
            commands[f"kubectl kustomize, {environment}"] = lambda environment=environment: timed(
                ["kubectl", "kustomize", str(repository / "rendered" / environment)], folder, output
            )
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(repeat):
        for name, command in commands.items():
            runs[name].append(command())
    reference = min(seconds for seconds, _ in runs["helm template"])
    print(f"{models} models, {objects} objects")
    print(f"  {'':36} {'seconds':>9} {'of helm':>8} {'us/object':>10} {'MiB':>6}")
    for name, found in runs.items():
        seconds, memory = min(found)
        print(f"  {name:36} {seconds:9.3f} {seconds / reference:8.2f} {seconds / objects * 1e6:10.0f} {memory:6.0f}")
    print(flush=True)


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
