"""Hostile and broken trees through the command line: a diagnostic or a clear error, never a traceback or a hang."""

import ctypes
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import git
import pytest
import yaml
from markdown_it import MarkdownIt

import mrc.cli.check
import mrc.cli.plan
import mrc.cli.promote
import mrc.cli.render
import mrc.compile
import mrc.plan.html
import mrc.plan.json
import mrc.plan.markdown
import mrc.plan.terminal
from judges import promtool
from mrc.cli import run
from test_cases import commit

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
    "long key": (edit(POLICY, "replicas: 2", "x" * 500_000 + ": 2"), "MRC002: a key without a colon"),
    "a pasted blank": (edit(POLICY, "replicas: 2", "replicas:\u00a02"), "MRC002: U+00A0 looks like a blank"),
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
    "bidi by an escape": (
        edit("policies/hello-model/verdicts/1.yaml", "hello-review@example.com", '"\\u202eabc"'), "MRC103",
    ),
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
    "mrc.yaml as a link": (link("mrc.yaml", ENVIRONMENT), "MRC010: there is no mrc.yaml here"),
    "holds as a link": (link("holds", "/etc"), "MRC001: it is a symbolic link"),
    "holds as a file": (put("holds", "a file"), "MRC011"),
    "a link to a hold": (link("holds/production/hello-model.yaml", "/etc/passwd"), "MRC001: it is a symbolic link"),
    "a hold that is no YAML": (put("holds/production/hello-model.yaml", "{"), "MRC002"),
    "a hold of an odd place": (put("holds/..x/a.yaml", "a: 1"), "MRC011"),
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


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = Path(shutil.copytree(COMMON, tmp_path_factory.mktemp("merged") / "tree"))
    commit(root)
    return root


@pytest.mark.parametrize("name", BROKEN)
def test_a_plan_of_a_broken_tree_says_the_same(merged: Path, tmp_path: Path, name: str) -> None:
    change, said = BROKEN[name]
    tree = Path(shutil.copytree(merged, tmp_path / "tree", symlinks=True))
    change(tree)
    done = forked("plan", "--base", "main", "--format", "markdown", cwd=tree)
    done.stdout = done.stdout.replace("\N{ZERO WIDTH SPACE}", "")  # keeps a forge from calling people
    assert said.partition(":")[0] in calm(done, 1)


@pytest.mark.parametrize("form", ["text", "json", "html"])
def test_a_name_that_is_not_utf_8_is_shown_in_every_format(merged: Path, tmp_path: Path, form: str) -> None:
    tree = Path(shutil.copytree(merged, tmp_path / "tree"))
    put("policies/\udcff/policy.yaml", "a: 1")(tree)
    assert "MRC011" in calm(forked("plan", "--base", "main", "--format", form, cwd=tree), 1)


@pytest.mark.parametrize(
    "data",
    [
        b"<<<<<<< HEAD\na: b\n=======\nkind: [\n>>>>>>> x\n",
        b"\xff\xfe\x00",
        b"kind: Rollout\nmetadata: [a]\n",
        b"kind: Rollout\nmetadata: {name: [a], 1: 2}\nspec: &a [*a]\n",
        b"kind: Rollout\nmetadata: {name: a}\nspec: null",
    ],
)
def test_a_rendered_tree_that_was_merged_broken_is_planned_all_the_same(tree: Path, data: bytes) -> None:
    """Such as with the marks of a conflict: the next change mends it, and must be planned first."""
    for name in ("rollout", "services", "rules"):
        put(f"rendered/production/hello-model/{name}.yaml", data)(tree)
    commit(tree)
    edit(POLICY, "replicas: 4", "replicas: 5")(tree)
    for form in ("text", "json"):
        assert "replicas" in calm(forked("plan", "--base", "main", "--format", form, cwd=tree), 2)
    calm(forked("check", "--base", "main", cwd=tree), 0)


# --- text that means something in a format, through every field that takes text ---

SMUGGLED = [
    "}}{{ 7 * 7 }}{% raw %}",
    '") or vector(1) or label_replace(up, "a", "',
    "'\"`$(id)`; rm -rf / #",
    "--- !!python/object/apply:os.system [id]",
    "a: b # c, [d]: {e}",
    "</td><script>alert(1)</script> <!-- | x | -->",
    "[text](https://evil.example.com) ![i](x) **b** `c` ``` ~~~ | # h",
    "%0A::error::forged ::add-mask::x",
    "{{ $value | query }} {{ define `x` }}",
    "é \U0001f600 \u200b zero width",
]


def smuggle(root: Path, said: str) -> None:
    """The text in every field that takes one line of any text."""
    quoted = "'" + said.replace("'", "''") + "'"
    environment = root / "environments/production.yaml"
    old = environment.read_text()
    assert "labels: {cluster: prod-eu-1}" in old
    environment.write_text(old.replace("labels: {cluster: prod-eu-1}", f"labels: {{cluster: {quoted}}}"))
    third = text(root, VERSION).replace("version: 2", "version: 3", 1)
    (root / "policies/hello-model/versions/3.yaml").write_text(third)
    verdict = root / "policies/hello-model/verdicts/3.yaml"
    verdict.write_text(
        "apiVersion: mrc.dev/v1alpha1\nkind: Verdict\nmetadata: {name: hello-model, version: 3}\nspec:\n"
        f"  validated: {{by: {quoted}, at: 2026-09-04T09:12:00Z}}\n"
        f"  rejected: {{staging: {{by: {quoted}, at: 2026-09-04T09:12:00Z, reason: {quoted}}}}}\n"
    )
    version = root / VERSION
    old = version.read_text()
    assert "          backend: onnxruntime\n" in old
    parameters = f"          parameters: {{key: {{stringValue: {quoted}}}}}\n"
    version.write_text(old.replace("          backend: onnxruntime\n", f"          backend: onnxruntime\n{parameters}"))


def shape(root: Path) -> dict[str, object]:
    """What is rendered, without its texts: the documents of each file, and the blocks of the pages."""
    found: dict[str, object] = {}
    for path in sorted((root / "rendered").rglob("*")):
        if path.suffix == ".yaml":
            found[path.name] = [outline(item) for item in yaml.safe_load_all(path.read_text())]
        elif path.suffix == ".md":
            tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(path.read_text())
            children = [child.type for token in tokens for child in token.children or [] if "text" not in child.type]
            found[path.name] = [token.type for token in tokens], children
    return found


def outline(data: Any) -> Any:
    if isinstance(data, dict):
        return {re.sub(r"[0-9a-f]{8,}", "", key): outline(value) for key, value in data.items()}
    return [outline(value) for value in data] if isinstance(data, list) else type(data).__name__


@pytest.mark.parametrize("said", SMUGGLED)
def test_text_stays_text_in_everything_that_is_rendered(tree: Path, tmp_path: Path, said: str) -> None:
    plain = Path(shutil.copytree(tree, tmp_path / "plain"))
    smuggle(plain, "plain text")
    smuggle(tree, said)
    for root in (plain, tree):
        calm(forked("render", cwd=root), 0)
    assert shape(tree) == shape(plain)
    rules = sorted((tree / "rendered").glob("*/*/rules.yaml"))
    assert promtool.check_rules(rules) == []
    for path in (tree / "rendered/production").rglob("rules.yaml"):
        labels = [rule["labels"] for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]
        assert {expanded(one["cluster"]) for one in labels if "cluster" in one} == {said}


def expanded(template: str) -> str:
    """As Prometheus expands a label whose template holds nothing but quoted text."""
    return re.sub(r'\{\{ ?"((?:[^"\\]|\\.)*)" ?\}\}', lambda match: json.loads(f'"{match[1]}"'), template)


# --- the machine ---


def run_limited(root: Path, *arguments: str, limit: Callable[[], object]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from mrc.cli import run; run()", *arguments]
    return subprocess.run(
        command, cwd=root, capture_output=True, text=True, timeout=120, check=False, preexec_fn=lambda: limit()
    )


def without_rights() -> None:
    """Give up what lets root read and write everything, so that modes count; for others there is nothing to do."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        for capability in (1, 2, 3):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER
            if libc.prctl(24, capability, 0, 0, 0):  # PR_CAPBSET_DROP
                raise OSError(ctypes.get_errno(), "prctl")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (POLICY, "policy.yaml: error MRC001: it cannot be read: Permission denied"),
        ("policies/hello-model/versions", "versions: error MRC001: it is unreadable: Permission denied"),
        ("policies", "policies: error MRC001: it is unreadable: Permission denied"),
        ("environments", "environments: error MRC001: it is unreadable: Permission denied"),
        (ENVIRONMENT, "staging.yaml: error MRC001: it cannot be read: Permission denied"),
        ("mrc.yaml", "mrc.yaml: error MRC001: it cannot be read: Permission denied"),
    ],
)
@pytest.mark.parametrize("verb", ["check", "render"])
def test_what_may_not_be_read_is_said(tree: Path, path: str, said: str, verb: str) -> None:
    (tree / path).chmod(0)
    try:
        done = run_limited(tree, verb, limit=without_rights)
    finally:
        (tree / path).chmod(0o755)
    assert said in calm(done, 1)


def test_a_tree_that_may_not_be_written_is_said_and_left_alone(tree: Path) -> None:
    folders = [tree]
    tree.chmod(0o555)
    said = calm(run_limited(tree, "render", limit=without_rights), 2)
    assert "cannot write: Permission denied; the tree is as it was" in said
    tree.chmod(0o755)
    calm(forked("render", cwd=tree), 0)
    (tree / POLICY).write_text(text(tree, POLICY).replace("replicas: 2", "replicas: 3"))
    folders = [tree, *(path for path in (tree / "rendered").rglob("*") if path.is_dir()), tree / "rendered"]
    before = {path: path.read_bytes() for path in tree.rglob("*") if path.is_file()}
    for path in folders:
        path.chmod(0o555)
    try:
        said = calm(run_limited(tree, "render", limit=without_rights), 2)
        assert "cannot write: Permission denied; the tree is as it was" in said
        assert "MRC402" in calm(run_limited(tree, "render", "--check", limit=without_rights), 1)
        calm(run_limited(tree, "promote", "hello-model", "1", "-e", "staging", limit=without_rights), 0, 2)
    finally:
        for path in folders:
            path.chmod(0o755)
    assert {path for path, data in before.items() if path.read_bytes() != data} <= {tree / POLICY}


def test_a_folder_without_policies_is_wrong_use(tmp_path: Path) -> None:
    for verb in (["check"], ["render"], ["promote", "a", "1", "-e", "b"], ["plan"]):
        assert "there is no mrc.yaml" in calm(forked(*verb, cwd=tmp_path), 1 if verb == ["plan"] else 2)
    (tmp_path / "mrc.yml").touch()
    assert "mrc reads mrc.yaml, not mrc.yml: rename it" in calm(forked("check", cwd=tmp_path), 2)


@pytest.mark.parametrize(
    "model", ["..", ".", "../hello-model", "hello-model/versions", "x" * 5000, "", "\x1b[31m", "missing"]
)
def test_a_model_that_does_not_exist_is_wrong_use(tree: Path, model: str) -> None:
    done = forked("render", "--", model, cwd=tree)
    assert done.returncode == 2, done.stderr
    assert "there is no model" in done.stderr
    done = forked("promote", "-e", "staging", "--", model, "1", cwd=tree)
    assert done.returncode == 2, done.stderr
    done = forked("render", "-e", model, cwd=tree)
    assert done.returncode == 2, done.stderr
    assert "there is no environment" in done.stderr


@pytest.mark.parametrize(
    "arguments", [["explain", "MRC001"], ["schema", "RolloutPolicy"], ["check", "--format", "json"], ["--help"]]
)
def test_an_output_that_is_full_or_closed_ends_calmly(tree: Path, arguments: list[str]) -> None:
    command = [sys.executable, "-c", "from mrc.cli import run; run()", *arguments]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, cwd=tree, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command, cwd=tree, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_a_terminal_that_is_not_utf_8_shows_what_it_can(tree: Path) -> None:
    put("policies/é/policy.yaml", "a: é\n")(tree)
    for form in ("text", "github", "json"):
        done = subprocess.run(
            [sys.executable, "-c", "from mrc.cli import run; run()", "check", "--format", form], cwd=tree, timeout=60,
            capture_output=True, check=False, env={**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"},
        )  # fmt: skip
        assert done.returncode == 1, done.stderr
        assert b"MRC011" in done.stdout + done.stderr


def test_without_git_there_is_nothing_to_compare_with(tree: Path, tmp_path: Path) -> None:
    """An image without git renders; only what compares needs it."""
    (tmp_path / "empty").mkdir()
    for verb, codes in ((["check"], (0,)), (["render"], (0,)), (["check", "--base", "main"], (2,))):
        done = subprocess.run(
            [sys.executable, "-c", "from mrc.cli import run; run()", *verb], cwd=tree, timeout=60, text=True,
            capture_output=True, check=False, env={**os.environ, "PATH": str(tmp_path / "empty")},
        )  # fmt: skip
        calm(done, *codes)
