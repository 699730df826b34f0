"""deploy/: what a cluster takes, and that the reconciler may do what its code asks for, and nothing else."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml

from judges import kubernetes, kustomize, promtool
from judges.rights import Right, allowed
from mrc.reconcile.cluster import ClusterError, Rollouts
from mrc.reconcile.lease import Lease
from mrc.reconcile.sync import Syncer
from mrc.reconcile.telemetry import Telemetry
from mrc.schema.reconcile import Sync
from reconciling import BEGIN

DEPLOY = Path(__file__).parents[1] / "deploy"


# The components that an overlay may name: what they mount, what they open, and what the settings have to say.
VARIANTS: dict[str, tuple[set[str], set[int], dict[str, str]]] = {
    "": ({"/etc/mrc/git/token"}, set(), {}),
    "ssh": ({"/etc/mrc/git/ssh-privatekey", "/etc/mrc/git/known_hosts"}, {22}, {}),
    "ssh forge": (
        {"/etc/mrc/git/ssh-privatekey", "/etc/mrc/git/known_hosts", "/etc/mrc/forge/token"}, {22}, {},
    ),
    "github-app": (
        {"/etc/mrc/git/app.pem"}, set(), {"githubApp": "Iv23liAbCdEfGhIjKlMn", "githubInstallation": "12345678"},
    ),
}  # fmt: skip


def overlay(folder: Path, variant: str) -> Path:
    """The overlay of production, copied as people would, with components."""
    shutil.copytree(DEPLOY, folder / "deploy")
    file = folder / "deploy/production/kustomization.yaml"
    text = file.read_text()
    listed = "".join(f"  - ../components/{name}\n" for name in ("signing", *variant.split()))
    settings = "".join(f"      - {key}={value}\n" for key, value in VARIANTS[variant][2].items())
    assert text.count("  - ../components/signing\n") == 1
    file.write_text(text.replace("  - ../components/signing\n", listed) + settings)
    return file.parent


@pytest.fixture(scope="module", params=VARIANTS, ids=lambda name: name.replace(" ", "+") or "https")
def variant(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def objects(variant: str, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return kustomize.build(overlay(tmp_path_factory.mktemp("deploy"), variant))


def of(objects: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [each for each in objects if each["kind"] == kind]


def test_kubernetes_accepts_every_object(objects: list[dict[str, Any]]) -> None:
    assert kubernetes.validate(objects) == []
    assert {each["kind"] for each in objects} >= {
        "Deployment", "ServiceAccount", "Role", "RoleBinding", "NetworkPolicy", "Lease", "PodMonitor", "PrometheusRule",
    }  # fmt: skip


def test_every_selector_finds_the_pods_and_none_but_theirs(objects: list[dict[str, Any]]) -> None:
    (deployment,) = of(objects, "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"].items()
    (policy,), (monitor,) = of(objects, "NetworkPolicy"), of(objects, "PodMonitor")
    for own in (deployment["spec"]["selector"], policy["spec"]["podSelector"], monitor["spec"]["selector"]):
        assert own["matchLabels"]
        assert own["matchLabels"].items() <= labels
    others = [peer["podSelector"]["matchLabels"] for rule in policy["spec"]["egress"] for peer in rule.get("to", ())
              if "podSelector" in peer]  # fmt: skip
    assert others == [{"k8s-app": "kube-dns"}]
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]


def test_the_pod_can_do_no_harm_to_its_node(objects: list[dict[str, Any]]) -> None:
    (deployment,) = of(objects, "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    assert pod["serviceAccountName"] == "mrc-reconcile"
    assert re.fullmatch(r".+@sha256:[0-9a-f]{64}", container["image"])
    # What it writes is in a volume: its repository, and temporary files.
    writable = {each["mountPath"] for each in container["volumeMounts"] if not each.get("readOnly")}
    assert writable == {"/var/lib/mrc", "/tmp"}


def test_what_git_is_reached_by_is_mounted_and_let_out_and_nothing_else(
    objects: list[dict[str, Any]], variant: str
) -> None:
    files, opened, _ = VARIANTS[variant]
    (deployment,), (policy,) = of(objects, "Deployment"), of(objects, "NetworkPolicy")
    pod = deployment["spec"]["template"]["spec"]
    named = {each.partition("=")[2] for each in pod["containers"][0]["args"] if "=/etc/mrc/" in each}
    assert named == files | {"/etc/mrc/hooks", "/etc/mrc/signing/key"}
    secrets = {each["name"]: each["secret"] for each in pod["volumes"] if "secret" in each}
    assert set(secrets) == {path.split("/")[3] for path in named}
    # For the group alone: ssh and mrc refuse a key that everybody may read.
    assert {each["defaultMode"] for each in secrets.values()} == {0o440}
    anywhere = [port["port"] for rule in policy["spec"]["egress"] if "to" not in rule for port in rule["ports"]]
    assert sorted(anywhere) == sorted({443, 6443} | opened)


def test_the_command_line_knows_every_argument(objects: list[dict[str, Any]]) -> None:
    (deployment,) = of(objects, "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    values = {"REPOSITORY": "https://git.example.com/a.git", "ENVIRONMENT": "production", "BRANCH": "main",
              "NAMESPACE": "mrc-production", "GITHUB_APP": "123456", "GITHUB_INSTALLATION": "7"}  # fmt: skip
    (settings,) = of(objects, "ConfigMap")
    assert {each["name"] for each in container["env"]} <= set(values)
    wanted = [each["valueFrom"].get("configMapKeyRef", {}).get("key") for each in container["env"]]
    assert {key for key in wanted if key} == set(settings["data"]), "what is said is read, and what is read is said"
    arguments = [re.sub(r"\$\((\w+)\)", lambda match: values[match[1]], each) for each in container["args"]]
    code = f"from mrc.cli import run; import sys; sys.argv = ['mrc', *{arguments!r}, '--help']; run()"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=False).returncode == 0
    # Files and folders are mounts; without --help they would have to be there.
    mounts = [each["mountPath"] for each in container["volumeMounts"]]
    paths = [each.partition("=")[2] for each in arguments if "=/" in each]
    assert all(any(path == mount or path.startswith(f"{mount}/") for mount in mounts) for path in paths)


class Recording:
    """An API server that notes which rights were needed, and lets the Lease be held."""

    def __init__(self) -> None:
        self.asked: set[Right] = set()

    def request(self, path: str, query: dict[str, str] | None = None, *, method: str = "GET", body: Any = None,
                content: str = "", seconds: float = 0) -> Any:  # fmt: skip
        self._note(path, query or {}, method)
        if "/leases/" in path:
            return {"metadata": {"name": "mrc-reconcile", "resourceVersion": "1"}}
        return {"items": [], "metadata": {"resourceVersion": "1"}}

    def lines(self, path: str, query: dict[str, str]) -> Any:
        self._note(path, query, "GET")
        raise ClusterError(410, "gone")

    def _note(self, path: str, query: dict[str, str], method: str) -> None:
        match = re.fullmatch(r"/api(?:s/([^/]+))?/v[^/]+/namespaces/([^/]+)/([^/]+)(?:/([^/]+))?", path)
        assert match is not None, path
        group, namespace, resource, name = match.groups(default="")
        reads = "get" if name else "watch" if query.get("watch") else "list"
        verb = {"GET": reads, "PUT": "update", "POST": "create", "PATCH": "patch"}[method]
        self.asked.add((namespace, group, resource, name or "*", verb))


def asked() -> set[Right]:
    """What the code asks the API server for, when everything that it can do is switched on."""
    cluster, telemetry, stop = Recording(), Telemetry(io.StringIO()), threading.Event()
    with Lease(cluster, "mrc-production", "mrc-reconcile", "me", telemetry, lambda: None).held(stop) as acts:
        assert acts
    rollouts = Rollouts(cluster, "models", "production", lambda *_, **__: stop.set())  # type: ignore[arg-type]
    rollouts.follow(stop)
    rollouts.runs({"metadata": {"uid": "1"}, "status": {}})
    rollouts.events({"metadata": {"uid": "1"}})
    sync = Sync.model_validate({"argoCD": {"application": "models-production"}})
    Syncer(cluster, sync, None, telemetry).ask(BEGIN)
    return cluster.asked


def test_it_may_do_what_its_code_asks_for_and_nothing_else(objects: list[dict[str, Any]]) -> None:
    assert allowed(objects) == asked()
    assert not of(objects, "ClusterRole")
    assert not of(objects, "ClusterRoleBinding")


ACTING, SUCCESS = "mrc_reconciler_acting", "mrc_reconciler_last_success_timestamp_seconds"
FIRING = 'ALERTS{alertstate="firing"}'
GOES_ON = "0+30x80"
# Series by name, pod and namespace, every 30 s; and what fires at which minute.
STORIES: dict[str, tuple[dict[tuple[str, str, str], str], dict[int, list[str]]]] = {
    "one of two acts, and the other takes over": (
        {(ACTING, "a", "one"): "1x20 0x60", (ACTING, "b", "one"): "0x20 1x60",
         (SUCCESS, "a", "one"): GOES_ON, (SUCCESS, "b", "one"): GOES_ON},
        {minute: [] for minute in range(1, 40, 3)},
    ),
    "nobody acts": (
        {(ACTING, "a", "one"): "1x20 0x60", (SUCCESS, "a", "one"): GOES_ON},
        {11: [], 14: ["MrcReconcilerDown one"]},
    ),
    "all pods of one are gone": (
        {(ACTING, "a", "one"): "1x20 stale", (ACTING, "a", "two"): "1x80", (SUCCESS, "a", "two"): GOES_ON},
        {11: [], 40: ["MrcReconcilerDown one"]},
    ),
    "git answers no more": (
        {(ACTING, "a", "one"): "1x80", (SUCCESS, "a", "one"): "0+30x20 600x60"},
        {15: [], 25: ["MrcReconcilerBehind one"]},
    ),
    "nothing ever answered": ({(ACTING, "a", "one"): "1x80"}, {3: [], 10: ["MrcReconcilerBehind one"]}),
}  # fmt: skip


def promtool_test() -> dict[str, Any]:
    """The stories, as promtool takes them."""
    tests = []
    for says, (inputs, alerts) in STORIES.items():
        expected = [
            {"expr": f"sum by (alertname, namespace) ({FIRING})", "eval_time": f"{minute}m", "exp_samples": [
                {"labels": '{{alertname="{}",namespace="{}"}}'.format(*each.split()), "value": 1} for each in names
            ]}
            for minute, names in alerts.items()
        ]  # fmt: skip
        series = [{"series": f'{name}{{namespace="{namespace}",pod="{pod}"}}', "values": values}
                  for (name, pod, namespace), values in inputs.items()]  # fmt: skip
        tests.append({"name": says, "interval": "30s", "input_series": series, "promql_expr_test": expected})
    return {"rule_files": ["rules.yaml"], "evaluation_interval": "30s", "tests": tests}


def test_its_own_alerts_fire_when_it_is_down_or_behind(objects: list[dict[str, Any]], tmp_path: Path) -> None:
    (rule,) = of(objects, "PrometheusRule")
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rule["spec"]))
    (tmp_path / "rules.test.yaml").write_text(yaml.safe_dump(promtool_test()))
    assert promtool.check_rules([tmp_path / "rules.yaml"]) == []
    assert promtool.test_rules([tmp_path / "rules.test.yaml"]) == []


def test_every_message_that_the_runbook_names_is_one_that_it_logs() -> None:
    code = "".join(path.read_text() for path in (DEPLOY.parent / "compiler/mrc").rglob("*.py"))
    text = (DEPLOY / "RUNBOOK.md").read_text()
    named = re.findall(r"^\| `([a-z][^`]*)`|^- \*\*([^*]+)\*\*", text, re.MULTILINE)
    assert len(named) > 8
    for message in ("".join(each).removeprefix("the push was ") for each in named):
        for part in message.split("..."):
            assert part.strip() in code, message
    alerts = {"MrcReconcilerDown", "MrcReconcilerBehind", "MrcNeedsAPerson", "MrcPushRefused", "MrcHoldSlipped"}
    assert alerts == set(re.findall(r"\bMrc[A-Z]\w+", text))
