"""A control plane without a container engine: etcd, the API server, the controllers, the scheduler, Argo Rollouts.

kwok plays the nodes: a pod that is scheduled is Running and Ready at once. Everything listens on free ports of
127.0.0.1, writes below one folder, and dies with the thread that started it.
"""

from __future__ import annotations

import contextlib
import csv
import functools
import json
import secrets
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import trustme
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from judges import servers, tools

Object = dict[str, Any]

# The users of the token file. They have all rights: what the components may do is not what is tested here.
USERS = ("admin", "controllers", "scheduler", "kwok", "argo-rollouts")
# Those that pods, Services and the end of a namespace need.
CONTROLLERS = (
    "replicaset-controller",
    "serviceaccount-controller",
    "namespace-controller",
    "garbage-collector-controller",
    "pod-garbage-collector-controller",
    "endpointslice-controller",
)
# Of the CRDs of the pinned modules, those that mrc renders or the components ask for. All of them take 8 s.
GROUPS = ("argoproj.io", "networking.istio.io", "gateway.networking.k8s.io")
KINDS = ("PodMonitor", "PrometheusRule", "ServiceMonitor")

# What the API server has in memory, milliseconds old, for who asks again and again: etcd is not asked for it.
REMEMBERED = "resourceVersion=0"


class ApiError(RuntimeError):
    """The API server refused; the text is its own."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status


@dataclass(frozen=True)
class ControlPlane:
    """A running control plane: how to talk to it."""

    folder: Path
    url: str
    tokens: Mapping[str, str]
    ca: Path
    etcd: str

    def describe(self) -> dict[str, Any]:
        """What another process needs to talk to it."""
        texts = {"folder": str(self.folder), "url": self.url, "ca": str(self.ca), "etcd": self.etcd}
        return {**texts, "tokens": dict(self.tokens)}

    @classmethod
    def described(cls, told: Mapping[str, Any]) -> ControlPlane:
        """The control plane that another process started."""
        return cls(Path(told["folder"]), told["url"], told["tokens"], Path(told["ca"]), told["etcd"])

    def kubeconfig(self, user: str = "admin") -> Path:
        """A kubeconfig of one user of the token file."""
        return self.folder / f"{user}.kubeconfig"

    def kubectl(self, *arguments: str | Path, stdin: str = "", seconds: float = 120) -> str:
        """Standard output of kubectl as an administrator. Raises ApiError with what it says when it fails."""
        command = [tools.kubectl(), "--kubeconfig", self.kubeconfig(), *arguments]
        done = tools.run(command, stdin=stdin, seconds=seconds)
        if done.returncode != 0:
            raise ApiError(done.returncode, done.stderr.strip())
        return done.stdout

    def request(
        self, path: str, body: Any = None, *, method: str = "GET", content: str = "application/json",
        accept: str = "application/json",
    ) -> Any:  # fmt: skip
        """One request as an administrator. Raises ApiError when refused, OSError when nobody answers."""
        asked = {"Authorization": f"Bearer {self.tokens['admin']}", "Content-Type": content, "Accept": accept}
        data = None if body is None else json.dumps(body)
        try:
            answer = _client(self.ca).request(method, f"{self.url}{path}", content=data, headers=asked)
        except httpx.TransportError as error:
            raise OSError(str(error)) from error
        if answer.is_error:
            raise ApiError(answer.status_code, answer.text)
        return answer.json()

    def get(self, path: str) -> Object | None:
        """An object by its path, None when there is none."""
        try:
            found: Object = self.request(path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        return found

    def items(self, path: str) -> list[Object]:
        """The objects of a list."""
        found: list[Object] = self.request(path)["items"]
        return found

    def revisions(self, path: str) -> list[tuple[str, str]]:
        """The name and the resourceVersion of each object of a list, which costs less than the objects."""
        accept = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
        found = [each["metadata"] for each in self.request(path, accept=accept)["items"] or ()]
        return [(each["name"], each["resourceVersion"]) for each in found]

    def create(self, path: str, body: Object) -> Object:
        """Create an object in a collection; what is there already stays."""
        try:
            made: Object = self.request(path, body, method="POST")
        except ApiError as error:
            if error.status != 409:
                raise
            return body
        return made


@functools.cache
def _client(ca: Path) -> httpx.Client:
    """Connections that stay open; nothing of the environment's proxies."""
    return httpx.Client(verify=ssl.create_default_context(cafile=ca), trust_env=False, timeout=10)


@contextlib.contextmanager
def serve(folder: Path, pools: Sequence[str] = ("gpu",)) -> Iterator[ControlPlane]:
    """A control plane for the length of the `with`, with a node in each of the pools (label `pool`).

    Raises servers.ServerError when a part of it does not start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    binaries = tools.installed("control-plane")
    with contextlib.ExitStack() as stack:
        etcd = stack.enter_context(_etcd(binaries, folder))
        plane = stack.enter_context(_api_server(binaries, folder, etcd))
        for name, command in _controllers(binaries, plane).items():
            stack.enter_context(servers.running(command, folder / f"{name}.log", {"KWOK_WORKDIR": str(folder)}))
        _crds(plane)
        # It looks the kinds up when it starts.
        argo, healthz = _argo(binaries, plane)
        stack.enter_context(servers.running(argo, folder / "argo.log"))
        for pool in pools:
            plane.create("/api/v1/nodes", _node(pool))
        _until(lambda: servers.request(f"http://127.0.0.1:{healthz}/healthz")[0] == 200, folder / "argo.log")
        yield plane


@contextlib.contextmanager
def _etcd(binaries: Path, folder: Path) -> Iterator[str]:
    def command(ports: list[int]) -> servers.Command:
        client, peer = (f"http://127.0.0.1:{port}" for port in ports)
        return [
            binaries / "etcd", f"--data-dir={folder / 'etcd'}", "--unsafe-no-fsync", "--log-level=warn",
            f"--listen-client-urls={client}", f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=default={peer}",
        ]  # fmt: skip

    def ready(ports: list[int]) -> bool:
        return servers.request(f"http://127.0.0.1:{ports[0]}/health")[0] == 200

    with servers.serve(command, ready, ports=2, log=folder / "etcd.log") as (port, _):
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def _api_server(binaries: Path, folder: Path, etcd: str) -> Iterator[ControlPlane]:
    authority = trustme.CA()
    ca = folder / "ca.pem"
    authority.cert_pem.write_to_path(ca)
    served = authority.issue_cert("127.0.0.1", "localhost")
    for file, blob in (("api.crt", served.cert_chain_pems[0]), ("api.key", served.private_key_pem)):
        blob.write_to_path(folder / file)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    (folder / "accounts.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    tokens = {user: secrets.token_hex(16) for user in USERS}
    with (folder / "tokens.csv").open("w") as file_:
        csv.writer(file_).writerows([tokens[user], user, user, "system:masters"] for user in USERS)

    def plane(port: int) -> ControlPlane:
        return ControlPlane(folder, f"https://127.0.0.1:{port}", tokens, ca, etcd)

    def command(ports: list[int]) -> servers.Command:
        return _api_command(binaries, folder, etcd, ports[0])

    def ready(ports: list[int]) -> bool:
        return _answers(plane(ports[0]))

    with servers.serve(command, ready, ports=1, log=folder / "api.log", seconds=60) as (port,):
        found = plane(port)
        for user in USERS:
            found.kubeconfig(user).write_text(json.dumps(_kubeconfig(found, user)))
        yield found


def _api_command(binaries: Path, folder: Path, etcd: str, port: int) -> servers.Command:
    return [
        binaries / "kube-apiserver", f"--etcd-servers={etcd}", "--etcd-prefix=/registry",
        "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", f"--secure-port={port}",
        # Nobody untaints the nodes: a slow machine must not make them not ready.
        "--disable-admission-plugins=TaintNodesByCondition",
        "--endpoint-reconciler-type=none", "--service-cluster-ip-range=10.0.0.0/16",
        f"--tls-cert-file={folder / 'api.crt'}", f"--tls-private-key-file={folder / 'api.key'}",
        f"--token-auth-file={folder / 'tokens.csv'}", "--authorization-mode=RBAC",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={folder / 'accounts.key'}",
        f"--service-account-signing-key-file={folder / 'accounts.key'}",
    ]  # fmt: skip


def _answers(plane: ControlPlane) -> bool:
    try:
        return plane.get("/readyz?verbose") is not None
    except json.JSONDecodeError:  # it answers with a text
        return True
    except ApiError:
        return False


@contextlib.contextmanager
def another_api_server(plane: ControlPlane, port: int, log: Path) -> Iterator[None]:
    """One more API server of the same cluster, that a test may stop without anybody else's noticing."""
    binaries, other = tools.installed("control-plane"), replace(plane, url=f"https://127.0.0.1:{port}")

    def command(_: list[int]) -> servers.Command:
        return _api_command(binaries, plane.folder, plane.etcd, port)

    with servers.serve(command, lambda _: _answers(other), ports=0, log=log, seconds=60):
        yield


def _kubeconfig(plane: ControlPlane, user: str) -> Object:
    cluster = {"server": plane.url, "certificate-authority": str(plane.ca)}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "it",
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": user}}],
        "clusters": [{"name": "it", "cluster": cluster}],
        "users": [{"name": user, "user": {"token": plane.tokens[user]}}],
    }


def _controllers(binaries: Path, plane: ControlPlane) -> dict[str, servers.Command]:
    alone = ("--leader-elect=false", "--secure-port=0")
    return {
        "controllers": [
            binaries / "kube-controller-manager", *alone, "--controllers=" + ",".join(CONTROLLERS),
            f"--kubeconfig={plane.kubeconfig('controllers')}",
            "--concurrent-gc-syncs=5", "--kube-api-qps=200", "--kube-api-burst=400",
        ],
        "scheduler": [
            binaries / "kube-scheduler", *alone, f"--kubeconfig={plane.kubeconfig('scheduler')}",
        ],
        "kwok": [
            tools.installed("kwok") / "kwok", f"--kubeconfig={plane.kubeconfig('kwok')}", "--manage-all-nodes",
            "--node-lease-duration-seconds=40",
        ],
    }  # fmt: skip


def _argo(binaries: Path, plane: ControlPlane) -> tuple[servers.Command, int]:
    metrics, healthz = servers.free_ports(2)
    command: servers.Command = [
        binaries / "rollouts-controller", f"--kubeconfig={plane.kubeconfig('argo-rollouts')}", "--leader-elect=false",
        f"--metricsPort={metrics}", f"--healthzPort={healthz}", "--qps=200", "--burst=400",
    ]  # fmt: skip
    return command, healthz


def _crds(plane: ControlPlane) -> None:
    wanted: list[Object] = []
    for file in sorted(tools.installed("crds").iterdir()):
        text = file.read_text()
        if not any(f"group: {group}\n" in text for group in GROUPS) and not any(f"kind: {k}\n" in text for k in KINDS):
            continue
        for crd in yaml.load_all(text, _CrdLoader):
            if crd and (crd["spec"]["group"] in GROUPS or crd["spec"]["names"]["kind"] in KINDS):
                wanted.append(crd)
    collection = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    for crd in wanted:
        plane.create(collection, crd)

    def established() -> bool:
        conditions = [each.get("status", {}).get("conditions", ()) for each in plane.items(collection)]
        return all(any(c["type"] == "Established" and c["status"] == "True" for c in each) for each in conditions)

    _until(established, plane.folder / "api.log")


class _CrdLoader(yaml.CSafeLoader):
    """YAML 1.1 gives a bare `=` a type of its own; in a CRD's enum it is a text."""


_CrdLoader.add_constructor("tag:yaml.org,2002:value", lambda loader, node: node.value)


def _node(pool: str) -> Object:
    room = {"cpu": "10k", "memory": "100Ti", "pods": "10k", "nvidia.com/gpu": "10k", "ephemeral-storage": "100Ti"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": pool, "labels": {"pool": pool, "kubernetes.io/hostname": pool}},
        "status": {"allocatable": room, "capacity": room},
    }


def _until(ready: Any, log: Path, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            if ready():
                return
        time.sleep(0.05)
    raise servers.ServerError(f"not ready within {seconds:.0f} s:\n{log.read_text(errors='replace')[-3000:]}")
