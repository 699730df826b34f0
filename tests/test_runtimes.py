"""The servers beside Triton: what they are told, what they find, and when they count as ready."""

import hashlib
import http.server
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import mrc
from judges import promtool
from mrc import catalogue

ENVIRONMENT = Path(__file__).parent / "cases" / "common" / "environments" / "staging.yaml"
ZEROS = "0" * 64
IMAGE = f"registry.example.com/server@sha256:{ZEROS}"
VERSION = """
apiVersion: mrc.dev/v1alpha1
kind: ModelVersion
metadata: {{name: m, version: {number}}}
spec:
  image: {image}
  resources: {{cpu: 1, memory: 1Gi}}
  bundle: {bundle}
  {runtime}
  lineage: {{code: {{repository: https://git.example.com/m.git, commit: {commit}}}}}
  evaluation: {{uri: s3://models/evaluation.json, size: 1, sha256: {zeros}}}
"""
POLICY = """
apiVersion: mrc.dev/v1alpha1
kind: RolloutPolicy
metadata: {name: m, team: t}
spec:
  environments:
    staging:
      serve: {version: 42, fallback: 41}
      replicas: 2
      expectedTraffic: 2000/s
      canary: [{traffic: 50%, for: 2h}]
      bake: 20m
  guardrails:
    errors: {promql: errors, samples: requests, max: 1, tier: immediate}
"""
HUB = f"hub: {{model: example-org/m, revision: {'a' * 40}}}"
SERVERS = {
    "triton": "triton: {models: {m: {files: [weights/model.onnx], config: {backend: onnxruntime}}}}",
    "vllm": "vllm: {chatTemplate: prompts/chat.jinja, adapters: {support: adapters/support}, config: %s}",
    "tgi": "tgi: {adapters: {support: adapters/support}}",
    "container": "container: {port: 8080, ready: /readyz}",
}
FILES = {
    "weights": ["config.json", "model.onnx"],
    "prompts": ["chat.jinja"],
    "adapters": ["support/adapter_config.json", "support/adapter_model.safetensors"],
}


def artifact(root: Path, role: str, name: str, number: int) -> dict[str, Any]:
    """A file of the bundle on the disk, pinned."""
    content = f"{role} {name} of {number}\n"
    file = root / "store" / str(number) / role / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    return {"uri": file.as_uri(), "size": len(content), "sha256": hashlib.sha256(content.encode()).hexdigest()}


def repository(root: Path, runtime: str, policy: str = POLICY, router: str | None = None,
               files: dict[str, list[str]] = FILES) -> Path:  # fmt: skip
    """A repository with the versions 41 and 42 of a model, rendered; the folder of the model."""
    environment = yaml.safe_load(ENVIRONMENT.read_text())
    if router is not None:
        environment["spec"]["router"] = {router: {}}
    environment["spec"]["limits"] = {}
    (root / "environments").mkdir()
    (root / "environments/staging.yaml").write_text(yaml.safe_dump(environment))
    (root / "mrc.yaml").write_text("apiVersion: mrc.dev/v1alpha1\nkind: Repository\nspec: {mrc: 0.1.*}\n")
    (root / "policies/m/versions").mkdir(parents=True)
    (root / "policies/m/policy.yaml").write_text(policy)
    for number in (41, 42):
        bundle = {role: {name: artifact(root, role, name, number) for name in files[role]} for role in files}
        text = VERSION.format(
            number=number, image=IMAGE, bundle=json.dumps(bundle), runtime=runtime, commit="0" * 40, zeros=ZEROS
        )
        (root / f"policies/m/versions/{number}.yaml").write_text(text)
    done = mrc("render", cwd=root)
    assert done.returncode == 0, done.stderr
    return root / "rendered/staging/m"


def server(folder: Path) -> dict[str, Any]:
    """The serving container."""
    rollout = yaml.safe_load((folder / "rollout.yaml").read_text())
    found: dict[str, Any] = rollout["spec"]["template"]["spec"]["containers"][0]
    return found


def fetched(root: Path, folder: Path) -> Path:
    """What the init container lays down of version 42, where the server finds it."""
    data = yaml.safe_load((folder / "bundle-v42.yaml").read_text())["data"]
    mounted = root / "mounted"
    mounted.mkdir()
    for name, text in data.items():
        (mounted / name).write_text(text)
    (root / "models").mkdir()
    done = mrc("fetch", str(mounted / "manifest.json"), "--to", str(root / "models/repository"), cwd=root)
    assert done.returncode == 0, done.stderr
    mount = next(each for each in server(folder)["volumeMounts"] if each["name"] == "models")
    assert mount["mountPath"] == "/bundle"
    return root / "models" / mount["subPath"]


@pytest.mark.parametrize("runtime", ["vllm", "tgi", "container"])
def test_a_server_finds_its_bundle_by_role(runtime: str, tmp_path: Path) -> None:
    folder = repository(tmp_path, SERVERS[runtime].replace("%s", "{}"))
    laid = fetched(tmp_path, folder)
    for role, names in FILES.items():
        for name in names:
            assert (laid / role / name).read_text() == f"{role} {name} of 42\n"


@pytest.mark.parametrize("runtime", SERVERS)
def test_a_server_gets_the_secrets_that_its_version_names(runtime: str, tmp_path: Path) -> None:
    """Else a token would stand in git, or in a patch that the way back by hand knows nothing of."""
    written = SERVERS[runtime].replace("%s", "{}")
    found = server(repository(tmp_path, f"secrets: [hub, vector-store]\n  {written}"))
    assert found["envFrom"] == [{"secretRef": {"name": "hub"}}, {"secretRef": {"name": "vector-store"}}]
    assert "MRC_CACHE_PREFIX" in [each["name"] for each in found["env"]]


def test_vllm_serves_files_of_the_bundle_under_the_name_of_the_version(tmp_path: Path) -> None:
    options = '{max-model-len: 8192, seed: "007", enforce-eager: true, hf-overrides: {rope: {factor: 2.5, type: yarn}}}'
    laid = fetched(tmp_path, repository(tmp_path, SERVERS["vllm"] % options))
    told = yaml.safe_load((laid / "vllm.yaml").read_text())
    assert told.pop("served-model-name") == ["m-v42", "m"], "the first is the label of vLLM's own metrics"
    for place in (told.pop("model"), told.pop("chat-template"), told.pop("lora-modules")[0].partition("=")[2]):
        assert (laid / Path(place).relative_to("/bundle")).exists()
    assert told == {
        "enable-lora": True,
        "enforce-eager": True,
        "hf-overrides": {"rope": {"factor": 2.5, "type": "yarn"}},
        "max-model-len": "8192",
        "port": "8000",
        "seed": "007",
    }
    offline = {"name": "HF_HUB_OFFLINE", "value": "1"}
    assert offline in server(tmp_path / "rendered/staging/m")["env"]


def test_a_model_of_the_hub_is_pinned_in_every_part(tmp_path: Path) -> None:
    files = {role: names for role, names in FILES.items() if role != "weights"}
    folder = repository(tmp_path, f"vllm: {{{HUB}}}", files=files)
    told = yaml.safe_load(yaml.safe_load((folder / "bundle-v42.yaml").read_text())["data"]["vllm.yaml"])
    assert told["model"] == "example-org/m"
    assert {key: value for key, value in told.items() if key.endswith("revision")} == dict.fromkeys(
        ("revision", "tokenizer-revision", "code-revision"), "a" * 40
    )


@contextmanager
def serving(names: list[str]) -> Iterator[int]:
    """An HTTP server whose /v1/models lists these names."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"object": "list", "data": [{"id": name} for name in names]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            """Nothing is logged."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as found:
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        yield found.server_address[1]
        found.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("names", "starts"),
    [
        (["m-v42", "m", "support"], True),
        (["m-v41", "m", "support"], False),
        (["m-v42", "m"], False),
    ],
    ids=["this version", "another version", "without its adapter"],
)
def test_vllm_starts_with_this_version_and_every_adapter(names: list[str], starts: bool, tmp_path: Path) -> None:
    probe = server(repository(tmp_path, SERVERS["vllm"] % "{}"))["startupProbe"]["exec"]["command"]
    with serving(names) as port:
        command = [sys.executable, *(word.replace("8000", str(port)) for word in probe[1:])]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode == 0) == starts, done.stderr
    assert starts or "not served" in done.stderr


def test_what_a_team_writes_reaches_the_container_unchanged(tmp_path: Path) -> None:
    """Kubernetes would expand $(NAME), and turn $$ into $."""
    words = ["$(HOME)", "$$(HOME)", "a $ b", "{{ x }}", "# no comment", "'\"\\", "yes", "1e3", "é\U0001f600"]
    args = json.dumps(words, ensure_ascii=False)
    runtime = f"container: {{port: 8080, ready: /r, args: {args}, env: {{V: {json.dumps(words[0])}}}}}"
    found = server(repository(tmp_path, runtime))
    assert [expanded(word) for word in found["args"]] == words
    assert [expanded(each["value"]) for each in found["env"] if each["name"] == "V"] == words[:1]


def expanded(text: str) -> str:
    """What Kubernetes makes of a word: https://pkg.go.dev/k8s.io/kubernetes/third_party/forked/golang/expansion."""
    out, rest = "", text
    while "$" in rest:
        before, _, rest = rest.partition("$")
        if rest.startswith("$"):
            out, rest = out + before + "$", rest[1:]
        else:
            assert not rest.startswith("("), "a reference that Kubernetes would look up"
            out += before + "$"
    return out + rest


LIMITS = {"ratio": "5%", "seconds": "2s", "per second": "10/s", "count": "3"}


@pytest.mark.parametrize("runtime", ["triton", "vllm", "tgi"])
def test_every_metric_of_a_runtime_fires_is_silent_and_is_undecided(runtime: str, tmp_path: Path) -> None:
    """A few at a time: promtool evaluates every rule in every test of a file."""
    metrics = [metric for metric in catalogue.METRICS if metric.source.name == runtime]
    metrics = [
        metric for metric in metrics if not metric.name.endswith(("_p50", "_p90", "_p95"))
    ]  # _p99 stands for all
    for first in range(0, len(metrics), 4):
        batch = metrics[first : first + 4]
        policy = yaml.safe_load(POLICY)
        policy["spec"]["guardrails"] |= {
            metric.name.replace("_", "-"): {"metric": metric.name, "max": LIMITS[metric.unit], "tier": "immediate"}
            for metric in batch
        }
        root = tmp_path / batch[0].name
        root.mkdir()
        folder = repository(root, SERVERS[runtime].replace("%s", "{}"), yaml.safe_dump(policy), "none")
        assert promtool.check_rules([folder / "rules.yaml"]) == []
        assert promtool.test_rules([folder / "rules.test.yaml"]) == []
