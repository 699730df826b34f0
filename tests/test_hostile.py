"""Hostile and broken trees through the command line: a diagnostic or a clear error, never a traceback or a hang."""

import io
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import git
import pytest

import mrc.cli.check
import mrc.cli.plan
import mrc.cli.promote
import mrc.cli.render
import mrc.compile
from mrc.cli import run

assert all((git, mrc))  # imported here, so that a fork need not

COMMON = Path(__file__).parent / "cases/common"
POLICY = "policies/hello-model/policy.yaml"
VERSION = "policies/hello-model/versions/2.yaml"
ENVIRONMENT = "environments/staging.yaml"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return Path(shutil.copytree(COMMON, tmp_path / "tree"))


def calm(done: subprocess.CompletedProcess[str], *codes: int) -> str:
    """What was said; the exit code is one of these, and nothing speaks of our own code or to the terminal."""
    said = done.stdout + done.stderr
    assert done.returncode in codes, said
    assert "Traceback" not in said
    assert "mrc has a bug" not in said
    assert all(char.isprintable() or char == "\n" for char in said), repr(said)
    return said


def forked(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command in a fork of this process, which has imported it already; a crash shows as a negative code."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if child == 0:
            try:
                signal.alarm(60)
                os.chdir(cwd)
                os.dup2(out.fileno(), 1)
                os.dup2(err.fileno(), 2)
                sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), "utf-8", write_through=True)
                sys.stderr = io.TextIOWrapper(
                    io.FileIO(2, "w", closefd=False), "utf-8", errors="backslashreplace", write_through=True
                )
                sys.argv = ["mrc", *arguments]
                run()
            except SystemExit as leaving:
                os._exit(int(leaving.code or 0))
            finally:
                os._exit(99)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        said = []
        for file in (out, err):
            file.seek(0)
            said.append(file.read().decode())
    return subprocess.CompletedProcess(["mrc", *arguments], code, *said)


def text(root: Path, file: str) -> str:
    return (root / file).read_text()


def put(file: str, data: bytes | str) -> Callable[[Path], object]:
    """Write a file; one that is there already goes away first."""

    def change(root: Path) -> None:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode(errors="surrogateescape"))

    return change


def edit(file: str, old: str, new: str) -> Callable[[Path], object]:
    def change(root: Path) -> None:
        assert old in text(root, file)
        (root / file).write_bytes(text(root, file).replace(old, new, 1).encode(errors="surrogateescape"))

    return change


def coded(file: str, encode: Callable[[str], bytes]) -> Callable[[Path], object]:
    return lambda root: (root / file).write_bytes(encode(text(root, file)))


def link(file: str, target: str) -> Callable[[Path], object]:
    def change(root: Path) -> None:
        path = root / file
        if path.is_dir():
            shutil.rmtree(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.symlink_to(target)

    return change


def folder(file: str) -> Callable[[Path], object]:
    def change(root: Path) -> None:
        (root / file).unlink(missing_ok=True)
        (root / file / "inside").mkdir(parents=True)

    return change


def replaced_by_file(name: str) -> Callable[[Path], object]:
    def change(root: Path) -> None:
        shutil.rmtree(root / name)
        (root / name).write_text("a file")

    return change


def pipe(file: str) -> Callable[[Path], object]:
    def change(root: Path) -> None:
        (root / file).unlink()
        os.mkfifo(root / file)

    return change


LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}, *{chr(97 + i)}]\n" for i in range(20)
)
MERGES = "a: &a {x: 1}\n" + "".join(f"b{i}: &b{i}\n  <<: [*a, *a, *a, *a]\n" for i in range(20))

# What is done to the tree; what `mrc check` says of it.
BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    # bombs and depth
    "billion laughs": (put(POLICY, LAUGHS), "MRC003: the anchor &a is not read"),
    "merge bomb": (put(POLICY, MERGES), "MRC003: the anchor &a is not read"),
    "merge key": (edit(POLICY, "replicas: 2", "<<: {replicas: 2}"), "MRC003: merge keys are not read"),
    "duplicate key": (edit(POLICY, "replicas: 2", "replicas: 2\n      replicas: 3"), "MRC003: the key 'replicas'"),
    "quoted duplicate": (edit(POLICY, "replicas: 2", "replicas: 2\n      'replicas': 3"), "MRC003: the key 'replicas'"),
    "tag": (edit(POLICY, "replicas: 2", "replicas: !!python/object/apply:os.system [id]"), "MRC003: the tag"),
    "deep list": (put(POLICY, "[" * 100_000), "MRC003: more than 40 levels"),
    "deep mapping": (put(POLICY, "{a: " * 100_000), "MRC003: more than 40 levels"),
    "deep block": (put(POLICY, "".join(" " * i + "a:\n" for i in range(500))), "MRC003: more than 40 levels"),
    "deep question marks": (put(POLICY, "? " * 100_000), "MRC003"),
    "deep dashes": (put(POLICY, "- " * 100_000), "MRC003: more than 40 levels"),
    "10 MB": (put(POLICY, "a: 1\n" * 2_000_000), "MRC001: it cannot be read: it has more than 4 MiB"),
    "2 MB": (put(POLICY, "# a\n" * 500_000), "MRC001: the file has 2000000 bytes"),
    "many values": (put(POLICY, "a: [" + "1," * 300_000 + "]"), "MRC003: the document has more than 200000 values"),
    "long line": (edit(POLICY, "team: hello", "team: " + "x" * 500_000), "MRC103"),
    "long key": (edit(POLICY, "replicas: 2", "x" * 500_000 + ": 2"), "MRC002: while scanning a simple key"),
    "two documents": (edit(POLICY, "kind:", "---\nkind:"), "MRC003: the file holds more than one document"),
    # bytes
    "empty": (put(POLICY, ""), "MRC002: the file holds no mapping"),
    "nothing but a comment": (put(POLICY, "# nothing\n"), "MRC002: the file holds no mapping"),
    "a list": (put(POLICY, "- 1\n"), "MRC002: the file holds no mapping"),
    "NUL": (edit(POLICY, "team: hello", "team: hel\0lo"), "MRC002: the file has a character that YAML does not allow"),
    "UTF-16": (coded(POLICY, lambda old: old.encode("utf-16")), "MRC001: the file is not UTF-8"),
    "UTF-32": (coded(POLICY, lambda old: old.encode("utf-32")), "MRC001: the file is not UTF-8"),
    "latin-1": (edit(POLICY, "small", "kl\udce9in"), "MRC001: the file is not UTF-8"),
    "tabs": (edit(POLICY, "      replicas: 2", "\treplicas: 2"), "MRC002"),
    "escape characters": (edit(POLICY, "team: hello", "team: \x1b[31mhello"), "MRC002"),
    "bidi": (edit(POLICY, "team: hello", "team: \u202ehello"), "MRC003: the character U+202E"),
    "a line end that no editor shows": (edit(POLICY, "small", "\u2028a: b"), "MRC003: the character U+2028"),
    "a carriage return alone": (edit(POLICY, "small", "\ra: b"), "MRC003: the character U+000D"),
    "no end of a quote": (edit(POLICY, "team: hello", 'team: "hello'), "MRC002"),
    # types
    "a list for a mapping": (edit(POLICY, "{name: hello-model, team: hello}", "[hello-model]"), "MRC103"),
    "a mapping for text": (edit(POLICY, "team: hello", "team: {a: b}"), "MRC103"),
    "null for a mapping": (edit(POLICY, "metadata: {name: hello-model, team: hello}", "metadata:"), "MRC103"),
    "kind as a list": (edit(POLICY, "kind: RolloutPolicy", "kind: [RolloutPolicy]"), "MRC105"),
    "apiVersion as a mapping": (edit(POLICY, "apiVersion: mrc.dev/v1alpha1", "apiVersion: {a: b}"), "MRC105"),
    "a number too large": (edit(POLICY, "replicas: 2", "replicas: " + "9" * 5000), "MRC103"),
    "version numbers too large": (edit(POLICY, "version: 2", "version: 99999999999999999999"), "MRC103"),
    "another kind": (lambda root: shutil.copy(root / VERSION, root / POLICY), "MRC105"),
    # names that are paths
    "an environment that is a path": (edit(POLICY, "    staging:", "    ../../etc/passwd:"), "MRC103"),
    "a name that is a path": (edit(POLICY, "name: hello-model", "name: ../hello-model"), "MRC103"),
    "a file that is a path": (edit(VERSION, "      model.onnx:", "      ../../model.onnx:"), "MRC103"),
    "a bundle that leaves": (edit(VERSION, "weights/model.onnx", "weights/../../model.onnx"), "MRC103"),
    "a Triton model that is a path": (edit(VERSION, "      hello-model:", "      ../hello-model:"), "MRC103"),
    "a folder in capitals": (put("policies/UPPER/policy.yaml", "a: 1"), "MRC011"),
    "a folder with escape characters": (put("policies/\x1b[31mred/policy.yaml", "a: 1"), "MRC011"),
    "a folder with a line end": (put("policies/a\nb: error MRC999/policy.yaml", "a: 1"), "MRC011"),
    "a folder with a bidi override": (put("policies/\u202eabc/policy.yaml", "a: 1"), "MRC011"),
    "a folder that is not UTF-8": (put("policies/\udcff/policy.yaml", "a: 1"), "MRC011"),
    "a folder named like a shell command": (put("policies/$(id)/policy.yaml", "a: 1"), "MRC011"),
    "a version 02": (put("policies/hello-model/versions/02.yaml", "a: 1"), "MRC011"),
    "a version of many digits": (put("policies/hello-model/versions/99999999999.yaml", "a: 1"), "MRC011"),
    "deep folders": (put("policies/" + "a/" * 300 + "policy.yaml", "a: 1"), "MRC011"),
    # what stands in the place of a file
    "a link to a policy": (link(POLICY, "/etc/passwd"), "MRC001: it is a symbolic link"),
    "a link to itself": (link(POLICY, "policy.yaml"), "MRC001: it is a symbolic link"),
    "a link to a folder": (link("policies/hello-model", "/etc"), "MRC001: it is a symbolic link"),
    "policies as a link": (link("policies", "/etc"), "MRC001: it is a symbolic link"),
    "environments as a link": (link("environments", "."), "MRC001: it is a symbolic link"),
    "a folder for a policy": (folder(POLICY), "MRC001: it is a folder"),
    "a folder for a version": (folder(VERSION), "MRC001: it is a folder"),
    "a folder for an environment": (folder(ENVIRONMENT), "MRC001: it is a folder"),
    "policies as a file": (replaced_by_file("policies"), "MRC011"),
    "environments as a file": (replaced_by_file("environments"), "MRC011"),
    "a pipe": (pipe(POLICY), "MRC001: it is a special file"),
    # PromQL
    "an expression that ends the rule": (
        edit(POLICY, "{metric: error_ratio, max: 1%, tier: immediate}", '{promql: "up) or a", samples: up, max: 1}'),
        "MRC208",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_tree_is_an_error_that_says_what_to_do(tree: Path, name: str) -> None:
    change, said = BROKEN[name]
    change(tree)
    assert said in calm(forked("render", cwd=tree), 1)
    assert said.partition(":")[0] in calm(forked("check", "--format", "github", cwd=tree), 1)
    assert not [path for path in (tree / "rendered").rglob("*") if path.is_file()]
