"""A team's repository of one model, its bare remote, and the people who change it with mrc."""

from __future__ import annotations

import contextlib
import hashlib
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from judges import tools

MODEL = "greeter"
ENVIRONMENT = "test"

REPOSITORY = """
apiVersion: mrc.dev/v1alpha1
kind: Repository
spec: {mrc: 0.1.*, base: origin/main}
"""
ENVIRONMENT_FILE = """
apiVersion: mrc.dev/v1alpha1
kind: Environment
metadata: {{name: test}}
spec:
  cluster: test-1
  namespace: {namespace}
  router: {{istio: {{gateway: istio-ingress/public, domain: models.example.com}}}}
  pods:
    fetchImage: registry.example.com/mrc@sha256:39965df7aea4ea47b94f0de6c05eaf2fd0d9515f6b73a08f8d3b6744e02ca94a
    nodeSelector: {{pool: gpu}}
  prometheus: {{address: "{prometheus}", scrape: 1s, evaluate: 1s}}
  alerts: {{groupWait: 1s}}
  reconcile: {{mode: commit, alertmanager: "{alertmanager}"{reconcile}}}
"""
# Everything is as short as a scrape and an evaluation a second allow.
POLICY = """
apiVersion: mrc.dev/v1alpha1
kind: RolloutPolicy
metadata: {name: MODEL, team: hello}
spec:
  sideEffects: none
  environments:
    test:
      serve: {version: 1}
      replicas: 2
      expectedTraffic: 200/s
      STRATEGY
      bake: BAKE
      warm: 1h
  guardrails:
    errors: {metric: error_ratio, max: 5%, tier: immediate, window: 5s}
    crashes: {metric: restarts, max: 2, tier: immediate, window: 5s}
    latency: {metric: latency_p99, max: 250ms, window: 5s, minSamples: 20}
"""
CANARY = "canary: [{traffic: 20%, for: 15s}]"
VERSION = """
apiVersion: mrc.dev/v1alpha1
kind: ModelVersion
metadata: {{name: {model}, version: {number}}}
spec:
  image: registry.example.com/tritonserver@sha256:8589c060db257c6c6eda34e049a3adfc4e8d98e5db36ecea5314b8b7f0799ea5
  resources: {{cpu: 1, memory: 1Gi}}
  bundle:
    weights:
      model.onnx: {{uri: "{uri}", size: {size}, sha256: {sha256}}}
  triton:
    models:
      {model}:
        files: [weights/model.onnx]
        config:
          backend: onnxruntime
          maxBatchSize: 8
          input: [{{name: features, dataType: TYPE_FP32, dims: [4]}}]
          output: [{{name: score, dataType: TYPE_FP32, dims: [1]}}]
  lineage:
    code: {{repository: https://git.example.com/hello/greeter.git, commit: 58b79b94e322657c0a2e2f83ee197af3f26b4b81}}
  evaluation: {{uri: "{uri}", size: {size}, sha256: {sha256}}}
"""


class GitError(RuntimeError):
    """git refused; the text is its own."""


def git(*arguments: str | Path, cwd: Path) -> str:
    """Standard output of git, without the machine's configuration. Raises GitError."""
    ours = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", "GIT_TERMINAL_PROMPT": "0"}
    people = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in PERSON.items()}
    done = subprocess.run(
        ["git", *map(str, arguments)],
        cwd=cwd, env=tools.environment(ours | people), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise GitError(f"git {' '.join(map(str, arguments))}: {done.stderr.strip()}")
    return done.stdout.strip()


PERSON = {"NAME": "A Person", "EMAIL": "person@example.com"}


@dataclass
class Repository:
    """A work tree on main, and the bare remote that it pushes to."""

    tree: Path
    remote: Path
    artifacts: Path
    log: list[str] = field(default_factory=list)

    def mrc(self, *arguments: str) -> str:
        """The real command in the work tree: what it printed. Raises AssertionError when it fails."""
        done = self._run(*arguments)
        assert done.returncode == 0, f"mrc {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def refused(self, *arguments: str) -> str:
        """What the command says that refuses. Raises AssertionError when it does not."""
        done = self._run(*arguments)
        assert done.returncode in (1, 2), f"mrc {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from mrc.cli import run; run()", *arguments]
        return subprocess.run(
            command, cwd=self.tree, env=tools.environment(), capture_output=True, text=True, timeout=240, check=False
        )

    def promote(self, version: int, model: str = MODEL) -> str:
        """A person's promotion, or return, by hand: promote, render, commit, push. The commit."""
        return self.promote_all({model: version})

    def promote_all(self, versions: Mapping[str, int]) -> str:
        """The same for several models in one commit."""
        self.pull()
        for model, version in versions.items():
            self.mrc("promote", model, str(version), "-e", ENVIRONMENT)
        return self.publish(f"Serve {', '.join(f'version {n} of {model}' for model, n in versions.items())}")

    def publish(self, message: str) -> str:
        """Render, commit and push everything. The commit."""
        self.mrc("render")
        git("add", "-A", cwd=self.tree)
        git("commit", "-q", "-m", message, cwd=self.tree)
        self._push()
        return git("rev-parse", "HEAD", cwd=self.tree)

    def _push(self) -> None:
        """Push; mrc may have pushed since the pull, as somebody else might in a team."""
        for _ in range(3):
            with contextlib.suppress(GitError):
                git("push", "-q", "origin", "main", cwd=self.tree)
                return
            git("pull", "-q", "--rebase", "origin", "main", cwd=self.tree)
        git("push", "-q", "origin", "main", cwd=self.tree)

    def pull(self) -> None:
        """Take what others pushed."""
        git("pull", "-q", "--ff-only", "origin", "main", cwd=self.tree)

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace a text that stands in a file exactly once."""
        path = self.tree / file
        text = path.read_text()
        assert text.count(old) == 1, text
        path.write_text(text.replace(old, new))

    def add_version(self, number: int, model: str = MODEL) -> None:
        """Write a version, and the file that it pins."""
        blob = f"weights of version {number}\n".encode() * 100
        self.artifacts.mkdir(exist_ok=True)
        file = self.artifacts / f"{model}-{number}.onnx"
        file.write_bytes(blob)
        text = VERSION.format(
            model=model, number=number, uri=file.as_uri(), size=len(blob), sha256=hashlib.sha256(blob).hexdigest()
        )  # fmt: skip
        _write(self.tree / f"policies/{model}/versions/{number}.yaml", text)


def create(
    folder: Path,
    *,
    namespace: str,
    prometheus: str,
    alertmanager: str,
    models: Mapping[str, str] = MappingProxyType({MODEL: CANARY}),
    bake: str = "20s",
    reconcile: str = "",
) -> Repository:
    """A rendered and pushed repository in which version 1 of each model serves, and 2 and 3 wait.

    `models` gives each its strategy; `bake` stands in the policies, `reconcile` in the block of that name of the
    environment.
    """
    made = Repository(folder / "tree", folder / "remote.git", folder / "artifacts")
    made.tree.mkdir(parents=True)
    git("init", "-q", "--bare", "-b", "main", made.remote, cwd=folder)
    git("init", "-q", "-b", "main", cwd=made.tree)
    git("remote", "add", "origin", made.remote, cwd=made.tree)
    _write(made.tree / "mrc.yaml", REPOSITORY)
    _write(
        made.tree / f"environments/{ENVIRONMENT}.yaml",
        ENVIRONMENT_FILE.format(
            namespace=namespace, prometheus=prometheus, alertmanager=alertmanager, reconcile=reconcile
        ),
    )
    for model, strategy in models.items():
        policy = POLICY.replace("MODEL", model).replace("STRATEGY", strategy).replace("BAKE", bake)
        _write(made.tree / f"policies/{model}/policy.yaml", policy)
        for number in (1, 2, 3):
            made.add_version(number, model)
    made.publish("Start with version 1")
    return made


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text.lstrip())
