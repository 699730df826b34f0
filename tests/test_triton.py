"""A real Triton serves what `mrc fetch` laid down from the rendered ConfigMap, and goes on when a new bundle is bad."""

import hashlib
from pathlib import Path

import yaml

from conftest import mrc
from judges import triton

ENVIRONMENT = Path(__file__).parents[1] / "environments" / "staging.yaml"
VERSION = """
apiVersion: mrc.dev/v1alpha1
kind: ModelVersion
metadata: {{name: scaler, version: {number}}}
spec:
  image: registry.example.com/tritonserver@sha256:{zeros}
  resources: {{cpu: 1}}
  bundle:
    weights:
      model.py: {{uri: "file://{file}", size: {size}, sha256: {sha256}}}
  triton:
    models:
      scaler:
        files: [weights/model.py]
        config:
          backend: python
          maxBatchSize: 8
          input: [{{name: X, dataType: TYPE_FP32, dims: [2]}}]
          output: [{{name: Y, dataType: TYPE_FP32, dims: [2]}}]
          instanceGroup: [{{kind: KIND_CPU, count: 1}}]
  lineage: {{code: {{repository: https://git.example.com/scaler.git, commit: {commit}}}}}
  evaluation: {{uri: "s3://models/scaler/evaluation.json", size: 1, sha256: {zeros}}}
"""
POLICY = """
apiVersion: mrc.dev/v1alpha1
kind: RolloutPolicy
metadata: {name: scaler, team: text}
spec:
  environments:
    staging:
      serve: {version: 42, fallback: 41}
      replicas: 2
      expectedTraffic: 20/s
      canary: [{traffic: 50%, for: 20m}]
      bake: 20m
  guardrails:
    errors: {metric: error_ratio, max: 1%, tier: immediate}
    crashes: {metric: restarts, max: 2, tier: immediate}
"""
MODEL = """
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        found = []
        for request in requests:
            x = pb_utils.get_input_tensor_by_name(request, "X").as_numpy()
            found.append(pb_utils.InferenceResponse([pb_utils.Tensor("Y", x * FACTOR)]))
        return found
"""


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def repository(root: Path) -> None:
    """Two versions: 41 doubles its input, 42 triples it."""
    write(root / "mrc.yaml", "apiVersion: mrc.dev/v1alpha1\nkind: Repository\nspec: {mrc: 0.1.*}\n")
    write(root / "environments/staging.yaml", ENVIRONMENT.read_text())
    write(root / "policies/scaler/policy.yaml", POLICY)
    for number, factor in ((41, 2), (42, 3)):
        code = MODEL.replace("FACTOR", str(factor))
        file = root / f"store/{number}.py"
        write(file, code)
        digest = hashlib.sha256(code.encode()).hexdigest()
        text = VERSION.format(number=number, file=file, size=len(code), sha256=digest, zeros="0" * 64, commit="0" * 40)
        write(root / f"policies/scaler/versions/{number}.yaml", text)
    done = mrc("render", cwd=root)
    assert done.returncode == 0, done.stderr


def bundle(root: Path, number: int) -> Path:
    """The ConfigMap of a version, mounted as files: what the init container sees."""
    config_map = yaml.safe_load((root / f"rendered/staging/scaler/bundle-v{number}.yaml").read_text())
    for name, text in config_map["data"].items():
        write(root / f"mounted/{number}/{name}", text)
    return root / f"mounted/{number}/manifest.json"


def test_triton_serves_through_a_version_switch_and_past_a_corrupted_artifact(tmp_path: Path) -> None:
    repository(tmp_path)
    models = tmp_path / "volume/repository"
    models.parent.mkdir()
    values = {"name": "X", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}
    assert mrc("fetch", str(bundle(tmp_path, 41)), "--to", str(models), cwd=tmp_path).returncode == 0
    with triton.serve(models) as server:
        assert server.load("scaler") == []
        assert server.infer("scaler", 41, [values]) == {"Y": [2, 4]}

        good = (tmp_path / "store/42.py").read_text()
        (tmp_path / "store/42.py").write_text(good.replace("3", "4"))
        manifest = bundle(tmp_path, 42)
        done = mrc("fetch", str(manifest), "--to", str(models), cwd=tmp_path)
        assert done.returncode == 1
        assert "scaler/42/model.py" in done.stderr
        assert hashlib.sha256(good.encode()).hexdigest() in done.stderr
        assert hashlib.sha256(good.replace("3", "4").encode()).hexdigest() in done.stderr
        assert server.load("scaler") == []
        assert server.infer("scaler", 41, [values]) == {"Y": [2, 4]}

        (tmp_path / "store/42.py").write_text(good)
        assert mrc("fetch", str(manifest), "--to", str(models), cwd=tmp_path).returncode == 0
        assert server.load("scaler") == []
        assert server.ready("scaler", 42)
        assert server.infer("scaler", 42, [values]) == {"Y": [3, 6]}
