"""A bare repository of many models, one environment, everything rendered: written by `git fast-import` in seconds."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import fleet

ENVIRONMENT = "production"
RECONCILE = "  reconcile: {mode: commit, verify: 0s}\n"


def rendered() -> dict[str, str]:
    """What mrc renders of one model, by path, with the model called m00000."""
    with tempfile.TemporaryDirectory(prefix="mrc-benchmark-") as temporary:
        root = Path(temporary)
        fleet.make(root, 1)
        environment = root / f"environments/{ENVIRONMENT}.yaml"
        environment.write_text(environment.read_text() + RECONCILE)
        command = ["-c", "from mrc.cli import run; run()", "render", "-e", ENVIRONMENT]
        subprocess.run([sys.executable, *command], cwd=root, check=True, capture_output=True)
        return {
            path.relative_to(root).as_posix(): path.read_text()
            for path in sorted(root.rglob("*"))
            if path.is_file() and not path.relative_to(root).as_posix().startswith("policies/")
        }


def files(models: int) -> Iterator[tuple[str, bytes]]:
    """Every file of the repository."""
    first = fleet.name_of(0)
    of_one = rendered()
    listed = "".join(f"- {fleet.name_of(number)}\n" for number in range(models))
    for path, text in of_one.items():
        if not path.startswith(f"rendered/{ENVIRONMENT}/{first}/") and not path.endswith("/kustomization.yaml"):
            yield path, text.encode()
    yield f"rendered/{ENVIRONMENT}/kustomization.yaml", f"kind: Kustomization\nresources:\n{listed}".encode()
    for number in range(models):
        name = fleet.name_of(number)
        for path, text in fleet.model_files(number).items():
            yield path, text.encode()
        for path, text in of_one.items():
            if path.startswith(f"rendered/{ENVIRONMENT}/{first}/"):
                yield path.replace(first, name), text.replace(first, name).encode()


def make(remote: Path, models: int) -> int:
    """The repository at a path; how many files it has."""
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(remote)], check=True)
    importer = subprocess.Popen(["git", "fast-import", "--quiet"], cwd=remote, stdin=subprocess.PIPE)
    assert importer.stdin is not None
    who = b"committer A Person <person@example.com> 1763600000 +0000"
    importer.stdin.write(b"commit refs/heads/main\n%s\ndata 5\nBegin\n" % who)
    count = 0
    for path, data in files(models):
        importer.stdin.write(b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(data), data))
        count += 1
    importer.stdin.close()
    assert importer.wait() == 0
    return count
