"""A judge that cannot refuse is worthless: each is shown a correct sample, and the same one made wrong."""

from __future__ import annotations

import copy
import http.server
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from judges import argo, kubernetes, kustomize, pbtxt, prometheus, promtool, servers, tools, triton

Object = dict[str, Any]
Edit = Callable[[dict[str, Object]], object]

OBJECTS = """
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: m, namespace: serving, labels: {app: m}}
spec:
  replicas: 2
  revisionHistoryLimit: 5
  rollbackWindow: {revisions: 3}
  selector: {matchLabels: {app: m}}
  template:
    metadata: {labels: {app: m}}
    spec:
      containers:
      - name: server
        image: registry.example/m:1
        resources: {limits: {memory: 512Mi, cpu: 500m}}
        ports: [{name: http, containerPort: 8000}]
        volumeMounts: [{name: models, mountPath: /models}]
      volumes: [{name: models, emptyDir: {}}]
  strategy:
    canary:
      canaryService: m-canary
      stableService: m-stable
      dynamicStableScale: false
      scaleDownDelaySeconds: 86400
      trafficRouting:
        managedRoutes: [{name: shadow}]
        istio: {virtualService: {name: m, routes: [primary]}}
      steps:
      - setCanaryScale: {replicas: 1}
      - setMirrorRoute:
          name: shadow
          percentage: 100
          match: [{method: {exact: POST}, path: {prefix: /v2/models/}}]
      - setWeight: 5
      - analysis:
          templates: [{templateName: m-short}]
          args: [{name: version, value: "7"}]
---
apiVersion: v1
kind: Service
metadata: {name: m-canary, namespace: serving}
spec: {selector: {app: m}, ports: [{name: http, port: 80, targetPort: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: m-stable, namespace: serving}
spec: {selector: {app: m}, ports: [{name: http, port: 80, targetPort: http}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: m, namespace: serving}
spec:
  hosts: [m.example]
  http:
  - name: primary
    route:
    - {destination: {host: m-stable}, weight: 100}
    - {destination: {host: m-canary.serving.svc.cluster.local}, weight: 0}
---
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: m-short, namespace: serving}
spec:
  args: [{name: version}]
  metrics:
  - name: errors
    interval: 1m
    count: 5
    failureLimit: 1
    successCondition: len(result) > 0 && result[0] < 0.01
    provider: {prometheus: {address: "http://prometheus:9090", query: 'errors{version="{{args.version}}"}'}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: m-config, namespace: serving}
data: {manifest.json: "{}"}
---
apiVersion: monitoring.coreos.com/v1
kind: PodMonitor
metadata: {name: m, namespace: serving}
spec: {selector: {matchLabels: {app: m}}, podMetricsEndpoints: [{port: http, honorLabels: false}]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: "m:promote", namespace: serving}
rules: [{apiGroups: [argoproj.io], resources: [rollouts], resourceNames: [m], verbs: [patch]}]
"""
CORRECT: list[Object] = list(yaml.safe_load_all(OBJECTS))


def edited(edit: Edit) -> list[Object]:
    """The correct objects after `edit`, which is given them by name (`Kind name`)."""
    objects = copy.deepcopy(CORRECT)
    edit({kubernetes.name(each): each for each in objects})
    return objects


def put(kind_name: str, path: str, value: object) -> Edit:
    """An edit that sets one field; None removes it. `path` is dotted, and numbers index lists."""

    def edit(objects: dict[str, Object]) -> None:
        *parents, last = [int(part) if part.isdigit() else part for part in path.split("/")]
        place: Any = objects[kind_name]
        for part in parents:
            place = place[part]
        if value is None:
            del place[last]
        else:
            place[last] = value

    return edit


METRIC = "spec/metrics/0"
CANARY = "spec/strategy/canary"
CONTAINER = "spec/template/spec/containers/0"
WRONG_OBJECTS = {
    "an unknown field of a core kind": (put("Service m-canary", "spec/selectors", {}), "selectors"),
    "an unknown field of a CRD": (put("Rollout m", f"{CANARY}/stepz", []), "stepz"),
    "an unknown field deep in the pod": (put("Rollout m", f"{CONTAINER}/imagePolicy", "x"), "imagePolicy"),
    "an unknown metadata field": (put("Rollout m", "metadata/label", {}), "label"),
    "a null": (put("ConfigMap m-config", "data", {"a": None}), "not of type 'string'"),
    "a text for a number": (put("Rollout m", "spec/replicas", "2"), "not of type 'integer'"),
    "a number over its format": (put("Rollout m", "spec/replicas", 2**31), "int32"),
    "a bad quantity": (put("Rollout m", f"{CONTAINER}/resources/limits", {"memory": "4 gigs"}), "gigs"),
    "a missing required field": (put("AnalysisTemplate m-short", f"{METRIC}/provider", None), "provider"),
    "a value out of its enum": (
        put("PodMonitor m", "spec/podMetricsEndpoints/0/scheme", "ftp"),
        "is not one of",
    ),
    "a text against its pattern": (
        put("PodMonitor m", "spec/podMetricsEndpoints/0/interval", "often"),
        "does not match",
    ),
    "an unknown kind": (put("Service m-canary", "kind", "Servise"), "no such kind as v1 Servise"),
    "an unknown version": (put("Rollout m", "apiVersion", "argoproj.io/v2"), "no such kind"),
    "a bad name": (put("Service m-canary", "metadata/name", "m_canary"), "not a valid name"),
    "a bad label value": (put("Rollout m", "metadata/labels/app", "a b"), "not a valid label value"),
    "a long label value": (put("Rollout m", "metadata/labels/app", "a" * 64), "not a valid label value"),
    "a bad label key": (put("Rollout m", "metadata/labels", {"-a": "b"}), "not a valid key"),
    "annotations too large": (put("Rollout m", "metadata/annotations", {"a": "b" * 2**18}), "at most 262144"),
    "a ConfigMap too large": (put("ConfigMap m-config", "data/x", "b" * 2**20), "at most 1048576"),
    "a template not selected": (
        put("Rollout m", "spec/template/metadata/labels/app", "n"),
        "does not select",
    ),
    "a mount of no volume": (put("Rollout m", "spec/template/spec/volumes", None), "no volume is called"),
    "the same object twice": (put("Service m-canary", "metadata/name", "m-stable"), "is there twice"),
    "a list key twice": (
        put("Service m-canary", "spec/ports", [{"port": 80, "name": "a"}, {"port": 80, "name": "b"}]),
        "is there twice",
    ),
}
WRONG_FOR_ARGO = {
    "no condition": (put("AnalysisTemplate m-short", f"{METRIC}/successCondition", None), "has no condition"),
    "an unguarded index": (
        put("AnalysisTemplate m-short", f"{METRIC}/successCondition", "result[0] < 0.01"),
        "for the result []: ",
    ),
    "an unknown function": (
        put("AnalysisTemplate m-short", f"{METRIC}/failureCondition", "sqrt(result[0]) > 1"),
        "unknown name sqrt",
    ),
    "no interval": (
        put("AnalysisTemplate m-short", f"{METRIC}/interval", None),
        "interval must be specified",
    ),
    "a count below its limits": (
        put("AnalysisTemplate m-short", f"{METRIC}/failureLimit", 6),
        "must be >= failureLimit",
    ),
    "an inconclusive limit over the count": (
        put("AnalysisTemplate m-short", f"{METRIC}/inconclusiveLimit", 6),
        "count must be >= inconclusiveLimit",
    ),
    "a step without end": (put("AnalysisTemplate m-short", f"{METRIC}/count", None), "runs indefinitely"),
    "two metrics of a name": (
        lambda objects: objects["AnalysisTemplate m-short"]["spec"]["metrics"].extend(
            copy.deepcopy(objects["AnalysisTemplate m-short"]["spec"]["metrics"])
        ),
        "duplicate name 'errors'",
    ),
    "an argument of no template": (
        put("AnalysisTemplate m-short", "spec/args", None),
        "failed to resolve {{args.version}}",
    ),
    "an argument that nobody gives": (put("Rollout m", f"{CANARY}/steps/3/analysis/args", None), "version"),
    "a template that is not there": (
        put("Rollout m", f"{CANARY}/steps/3/analysis/templates/0/templateName", "m-long"),
        'AnalysisTemplate "m-long" does not exist',
    ),
    "a field that Argo does not know": (put("Rollout m", f"{CANARY}/stepz", []), "stepz"),
    "a weight over 100": (put("Rollout m", f"{CANARY}/steps/2/setWeight", 101), "SetWeight needs to be"),
    "a mirror without a managed route": (
        put("Rollout m", f"{CANARY}/trafficRouting/managedRoutes", None),
        "managedRoutes",
    ),
    "a mirror without a router that has one": (
        put("Rollout m", f"{CANARY}/trafficRouting", None),
        "supports Istio only",
    ),
    "warm and scaled down at once": (
        put("Rollout m", f"{CANARY}/dynamicStableScale", True),
        "cannot be used",
    ),
    "the same Service twice": (put("Rollout m", f"{CANARY}/canaryService", "m-stable"), "same service"),
    "a Service that selects other pods": (
        put("Service m-canary", "spec/selector", {"app": "n"}),
        'unmatch label "app"',
    ),
    "a Service that is not there": (
        put("Service m-canary", "metadata/name", "m-other"),
        "no Service is called 'm-canary'",
    ),
    "a Service of another namespace": (
        put("Service m-canary", "metadata/namespace", "other"),
        "no Service is called 'm-canary'",
    ),
    "a window larger than the history": (put("Rollout m", "spec/revisionHistoryLimit", 2), "rollbackWindow"),
    "a VirtualService that is not there": (
        put("VirtualService m", "metadata/name", "n"),
        "no VirtualService is called 'm'",
    ),
    "a route of a wrong name": (
        put("VirtualService m", "spec/http/0/name", "secondary"),
        "has 0 routes called 'primary'",
    ),
    "a route to one Service": (
        lambda objects: objects["VirtualService m"]["spec"]["http"][0]["route"].pop(),
        "not to the two Services",
    ),
    "a route to another namespace": (
        put("VirtualService m", "spec/http/0/route/0/destination/host", "m-stable.other"),
        "not to the two Services",
    ),
    "weights that do not add up": (put("VirtualService m", "spec/http/0/route/1/weight", 5), "add up to 100"),
}


def refused(problems: list[str], because: str) -> bool:
    """Is one of the problems this one? Shows all of them when not."""
    assert because in "\n".join(problems), problems
    return True


def test_an_api_server_would_take_the_correct_objects() -> None:
    assert kubernetes.validate(CORRECT) == []


@pytest.mark.parametrize(("edit", "because"), WRONG_OBJECTS.values(), ids=WRONG_OBJECTS)
def test_an_api_server_would_not_take(edit: Edit, because: str) -> None:
    assert refused(kubernetes.validate(edited(edit)), because)


def test_argo_would_run_the_correct_objects() -> None:
    assert argo.lint(CORRECT) == []


@pytest.mark.parametrize(("edit", "because"), WRONG_FOR_ARGO.values(), ids=WRONG_FOR_ARGO)
def test_argo_would_not_run(edit: Edit, because: str) -> None:
    assert refused(argo.lint(edited(edit)), because)


ROUTED = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: m, namespace: serving}
spec:
  parentRefs: [{name: public, namespace: gateways}]
  rules: [{backendRefs: [{name: m-stable, port: 80, weight: 100}, {name: m-canary, port: 80, weight: 0}]}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: m, namespace: serving}
spec:
  rules:
  - http:
      paths: [{path: /, pathType: Prefix, backend: {service: {name: m-stable, port: {name: use-annotation}}}}]
"""
ROUTERS: dict[str, Object] = {
    "plugin": {"plugins": {"argoproj-labs/gatewayAPI": {"namespace": "serving", "httpRoutes": [{"name": "m"}]}}},
    "nginx": {"nginx": {"stableIngresses": ["m"]}},
    "alb": {"alb": {"ingress": "m", "servicePort": 80}},
}
BACKEND = "spec/rules/0/http/paths/0/backend/service"
WRONG_ROUTERS = {
    "a route that is not there": ("plugin", put("HTTPRoute m", "metadata/name", "n"), "no rule of a HTTPRoute"),
    "a route to one Service": (
        "plugin",
        lambda objects: objects["HTTPRoute m"]["spec"]["rules"][0]["backendRefs"].pop(),
        "no rule of a HTTPRoute",
    ),
    "an Ingress that is not there": ("nginx", put("Ingress m", "metadata/name", "n"), "no Ingress is called 'm'"),
    "an Ingress to another Service": ("nginx", put("Ingress m", f"{BACKEND}/name", "m-canary"), "not to the stable"),
    "an Ingress past the annotation": ("alb", put("Ingress m", f"{BACKEND}/port", {"number": 80}), "annotation"),
}


def routed(router: str, edit: Edit) -> list[Object]:
    """The correct objects behind another router, after `edit`."""
    objects = [*copy.deepcopy(CORRECT), *yaml.safe_load_all(ROUTED)]
    named = {kubernetes.name(each): each for each in objects}
    canary = named["Rollout m"]["spec"]["strategy"]["canary"]
    canary["trafficRouting"] = ROUTERS[router]
    canary["steps"] = [step for step in canary["steps"] if "setMirrorRoute" not in step]
    edit(named)
    return objects


@pytest.mark.parametrize("router", ROUTERS)
def test_argo_would_move_the_weights_of_every_router(router: str) -> None:
    objects = routed(router, lambda _: None)
    assert argo.lint(objects) == []
    assert kubernetes.validate(objects) == []


@pytest.mark.parametrize(("router", "edit", "because"), WRONG_ROUTERS.values(), ids=WRONG_ROUTERS)
def test_argo_would_not_move_them(router: str, edit: Edit, because: str) -> None:
    assert refused(argo.lint(routed(router, edit)), because)


def test_a_file_that_every_reader_reads_alike(tmp_path: Path) -> None:
    file = tmp_path / "objects.yaml"
    file.write_text("---\na: 'no'\nb: [1, 1.5, true, '1e3']\n---\n")
    assert kubernetes.load(file) == ([{"a": "no", "b": [1, 1.5, True, "1e3"]}], [])


@pytest.mark.parametrize("scalar", ["no", "1e3", "010", "0o10", "1:30", "2024-01-01", "="])
def test_a_scalar_that_readers_read_differently(scalar: str, tmp_path: Path) -> None:
    file = tmp_path / "objects.yaml"
    file.write_text(f"a: {scalar}\n")
    assert kubernetes.load(file)[1] != []


@pytest.mark.parametrize("text", ["a: 1\na: 2\n", "a: [1\n", "- 1\n", "1: a\n"])
def test_a_file_that_is_no_stream_of_objects(text: str, tmp_path: Path) -> None:
    file = tmp_path / "objects.yaml"
    file.write_text(text)
    assert kubernetes.load(file)[1] != []


def test_kustomize_builds_a_folder_and_refuses_a_broken_one(tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text("resources: [m.yaml]\nnamespace: serving\n")
    (tmp_path / "m.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\n")
    (built,) = kustomize.build(tmp_path)
    assert built["metadata"] == {"name": "m", "namespace": "serving"}
    (tmp_path / "m.yaml").unlink()
    with pytest.raises(kustomize.BuildError, match=r"m\.yaml"):
        kustomize.build(tmp_path)


RULES = """
groups:
- name: m
  rules:
  - {record: "m:errors:ratio", expr: 'errors / requests'}
  - {alert: Errors, expr: 'm:errors:ratio > 0.5', for: 1m, labels: {severity: page}}
"""
RULE_TEST = """
rule_files: [rules.yaml]
tests:
- interval: 1m
  input_series: [{series: errors, values: 9x5}, {series: requests, values: 10x5}]
  alert_rule_test:
  - {eval_time: 3m, alertname: Errors, exp_alerts: [{exp_labels: {severity: page}}]}
"""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    file = tmp_path / "rules.yaml"
    file.write_text(RULES)
    (tmp_path / "rules_test.yaml").write_text(RULE_TEST)
    return file


def test_promtool_takes_correct_rules_and_their_tests(rules: Path) -> None:
    assert promtool.check_rules([rules]) == []
    assert promtool.test_rules([rules.with_name("rules_test.yaml")]) == []


@pytest.mark.parametrize(
    ("old", "new", "because"),
    [
        ("errors / requests", "errors / / requests", "could not parse expression"),
        ("for: 1m", "for: 1 minute", "not a valid duration"),
        ("alert: Errors, ", "alert: Errors, runbook: x, ", "field runbook not found"),
        ("rules:\n", 'rules:\n  - {record: "m:errors:ratio", expr: "1"}\n', "duplicate rule"),
    ],
)
def test_promtool_refuses(old: str, new: str, because: str, rules: Path) -> None:
    rules.write_text(RULES.replace(old, new))
    assert refused(promtool.check_rules([rules]), because)


def test_promtool_refuses_rules_that_are_not_there(tmp_path: Path) -> None:
    assert promtool.check_rules([]) != []
    assert promtool.check_rules([tmp_path / "none.yaml"]) != []


def test_promtool_refuses_an_alert_that_does_not_fire(rules: Path) -> None:
    file = rules.with_name("rules_test.yaml")
    file.write_text(RULE_TEST.replace("9x5", "1x5"))
    assert refused(promtool.test_rules([file]), "alertname: Errors")


def test_prometheus_evaluates_rules_and_tells_which_fail(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(
        "groups:\n- name: m\n  interval: 1h\n  rules:\n"
        "  - {record: m:one, expr: 'vector(1)'}\n"
        '  - {record: m:same, expr: \'label_replace(vector(1), "a", "b", "", "") or m:one\'}\n'
        "  - {record: m:many, expr: 'm:same * on() m:same'}\n"
    )
    with prometheus.serve([file]) as server:
        assert [rule.name for rule in server.rules()] == ["m:one", "m:same", "m:many"]
        wait_until(lambda: any("many-to-many" in problem for problem in server.problems()))
        assert len(server.problems()) == 1
        assert server.query("m:one") == [({"__name__": "m:one"}, 1.0)]
        with pytest.raises(ValueError, match="parse error"):
            server.query("m:one +")


class Exporter(http.server.BaseHTTPRequestHandler):
    """What a model server shows: its own label is in the way of the one that the scrape sets."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'requests_total{version="own"} 3\n')

    def log_message(self, *_: object) -> None:
        """Nothing: it would stand between the results of the tests."""


def test_prometheus_scrapes_what_it_is_told_to() -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), Exporter) as exporter:
        threading.Thread(target=exporter.serve_forever, daemon=True).start()
        target = {"targets": [f"127.0.0.1:{exporter.server_port}"], "labels": {"version": "7"}}
        job = {"job_name": "m", "static_configs": [target], "honor_labels": False}
        with prometheus.serve([], scrape_configs=[job]) as server:
            wait_until(lambda: server.query("requests_total") != [])
            ((labels, value),) = server.query("requests_total")
        exporter.shutdown()
    assert (labels["version"], labels["exported_version"], value) == ("7", "own", 3)


def test_prometheus_does_not_start_with_rules_it_cannot_read(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text("groups: [{name: m, rules: [{record: m, expr: '1 +'}]}]")
    with pytest.raises(servers.ServerError, match="parse"), prometheus.serve([file]):
        pass


CONFIG = """
name: "m"
backend: "python"
max_batch_size: 4
input [{ name: "X", data_type: TYPE_FP32, dims: [2] }]
output [{ name: "Y", data_type: TYPE_FP32, dims: [2] }]
version_policy { specific { versions: [1, 2] } }
"""
MODEL = """
import triton_python_backend_utils as utils


class TritonPythonModel:
    def execute(self, requests):
        return [
            utils.InferenceResponse(
                [utils.Tensor("Y", utils.get_input_tensor_by_name(request, "X").as_numpy() * VERSION)]
            )
            for request in requests
        ]
"""


def write_model(repository: Path, version: int, code: str) -> None:
    folder = repository / "m" / str(version)
    folder.mkdir(parents=True)
    (folder / "model.py").write_text(code)
    (repository / "m" / "config.pbtxt").write_text(CONFIG)


def test_a_model_configuration_and_a_wrong_one(tmp_path: Path) -> None:
    file = tmp_path / "m" / "config.pbtxt"
    file.parent.mkdir()
    file.write_text(CONFIG)
    assert pbtxt.check(file) == []
    assert pbtxt.parse(CONFIG)["max_batch_size"] == 4
    file.write_text(CONFIG.replace("max_batch_size", "max_batch"))
    assert refused(pbtxt.check(file), "4:1")
    file.write_text(CONFIG.replace("TYPE_FP32", "TYPE_FLOAT"))
    assert refused(pbtxt.check(file), "TYPE_FLOAT")
    file.write_text(CONFIG.replace('"m"', '"n"'))
    assert refused(pbtxt.check(file), "name is 'n'")


def test_triton_serves_a_model_and_refuses_a_broken_version(tmp_path: Path) -> None:
    write_model(tmp_path, 1, MODEL.replace("VERSION", "1"))
    write_model(tmp_path, 2, MODEL.replace("VERSION", "2").replace("class", "clazz"))
    values = {"name": "X", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}
    with triton.serve(tmp_path) as server:
        assert refused(server.load("m"), "version 2 is at UNAVAILABLE state")
        assert refused(server.log().splitlines(), "SyntaxError")
        assert not server.ready("m", 2)
        (tmp_path / "m" / "2" / "model.py").write_text(MODEL.replace("VERSION", "2"))
        assert server.load("m") == []
        assert server.ready("m", 1)
        assert server.ready("m", 2)
        assert server.infer("m", 1, [values]) == {"Y": [1, 2]}
        assert server.infer("m", 2, [values]) == {"Y": [2, 4]}
        with pytest.raises(triton.TritonError, match="unexpected shape"):
            server.infer("m", 2, [values | {"shape": [1, 1], "data": [1]}])
        assert 'nv_inference_request_success{model="m",version="2"} 1' in servers.request(server.metrics_url)[1]
        assert server.unload("m") == []
        wait_until(lambda: not server.ready("m", 1))


@pytest.fixture
def child_file(tmp_path: Path) -> Iterator[Path]:
    """A file in which a server's child writes its process id; the child is killed in any case."""
    file = tmp_path / "child"
    yield file
    if file.exists() and alive(int(file.read_text())):
        os.kill(int(file.read_text()), signal.SIGKILL)


def test_a_server_takes_its_children_with_it_when_the_test_fails(child_file: Path, tmp_path: Path) -> None:
    code = (
        "import pathlib, signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"  # inherited: only a kill ends the child
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "signal.signal(signal.SIGTERM, signal.SIG_DFL)\n"
        f"pathlib.Path({str(child_file)!r}).write_text(str(child.pid))\n"
        "time.sleep(600)\n"
    )

    def ready(ports: list[int]) -> bool:
        return child_file.exists() and child_file.read_text() != ""

    with (
        pytest.raises(ZeroDivisionError),
        servers.serve(lambda ports: [sys.executable, "-c", code], ready, ports=1, log=tmp_path / "log"),
    ):
        raise ZeroDivisionError
    wait_until(lambda: not alive(int(child_file.read_text())))


def test_a_server_dies_with_tests_that_are_killed(child_file: Path, tmp_path: Path) -> None:
    code = (
        "import pathlib, sys, time\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from judges import servers\n"
        f"with servers.running(['sleep', '600'], pathlib.Path({str(tmp_path / 'log')!r})) as server:\n"
        f"    pathlib.Path({str(child_file)!r}).write_text(str(server.pid))\n"
        "    time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as tests:
        wait_until(lambda: child_file.exists() and child_file.read_text() != "")
        tests.kill()
    wait_until(lambda: not alive(int(child_file.read_text())))


def test_a_tool_that_is_missing_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MRC_TOOLS", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    for missing in (tools.kubectl, tools.promtool, lambda: tools.installed("triton")):
        with pytest.raises(tools.MissingToolError, match="run tests/install-tools"):
            missing()


def test_what_is_installed_is_not_installed_again() -> None:
    script = Path(__file__).parent / "install-tools"
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=600, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def alive(process: int) -> bool:
    """Does a process with this id run, and is it more than a zombie that waits for its parent?"""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(true: Callable[[], bool], seconds: float = 120) -> None:
    """Wait for something to become true; fail when it does not."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.05)
