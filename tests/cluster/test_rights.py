"""deploy/production on a real API server: what it takes, what the reconciler may do there, and who of several acts."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from judges import kustomize
from judges.rights import Right, allowed
from mrc.reconcile.cluster import Api, ClusterError
from mrc.reconcile.sync import Syncer
from mrc.reconcile.telemetry import Telemetry
from mrc.schema.reconcile import Sync
from world import reconciler, repository
from world.control_plane import ApiError, ControlPlane
from world.reconciler import Reconciler
from world.waiting import wait

DEPLOY = Path(__file__).parents[2] / "deploy"
OWN = "mrc-production"
NAMESPACES = (OWN, "models", "argocd")
# What Kubernetes lets everybody do: ask who they are, and what they may.
EVERYBODY = ("authorization.k8s.io", "authentication.k8s.io")
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{OWN}/leases/mrc-reconcile"
APPLICATION = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications"


@pytest.fixture(scope="module")
def deployed(plane: ControlPlane) -> None:
    for name in NAMESPACES:
        plane.create("/api/v1/namespaces", {"metadata": {"name": name}})
    # Strict: a field that the API server does not know is refused.
    plane.kubectl("apply", "-k", DEPLOY / "production", "--validate=strict")


@pytest.fixture(scope="module")
def kubeconfig(plane: ControlPlane, deployed: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ServiceAccount of the deployed pods."""
    path = f"/api/v1/namespaces/{OWN}/serviceaccounts/mrc-reconcile/token"
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    token = plane.request(path, asked, method="POST")["status"]["token"]
    config = json.loads(plane.kubeconfig().read_text())
    config["users"] = [{"name": "admin", "user": {"token": token}}]
    file = tmp_path_factory.mktemp("account") / "kubeconfig"
    file.write_text(json.dumps(config))
    return file


def rights(kubeconfig: Path, namespace: str) -> set[Right]:
    """What the account may do in a namespace, as the API server says."""
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
    status = Api(kubeconfig).request(path, method="POST", body=review)["status"]
    assert not status.get("incomplete")
    return {
        (namespace, group, resource, name, verb)
        for rule in status["resourceRules"] for group in rule["apiGroups"] if group not in EVERYBODY
        for resource in rule["resources"] for name in rule.get("resourceNames", ["*"]) for verb in rule["verbs"]
    }  # fmt: skip


def test_the_account_may_do_what_the_roles_say_and_nothing_else(kubeconfig: Path) -> None:
    wanted = allowed(kustomize.build(DEPLOY / "production"))
    found = {right for name in (*NAMESPACES, "default", "kube-system") for right in rights(kubeconfig, name)}
    assert found == wanted


def knows(plane: ControlPlane, path: str) -> bool:
    """Whether a kind that is new is served; for a second it is too busy to be."""
    try:
        return plane.get(path) is not None
    except ApiError as busy:
        if busy.status != 429:
            raise
        return False


def test_argo_cd_is_asked_by_an_annotation_and_no_other_application_can_be(
    plane: ControlPlane, kubeconfig: Path
) -> None:
    version = {"name": "v1alpha1", "served": True, "storage": True, "schema": {
        "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}  # fmt: skip
    names = {"plural": "applications", "singular": "application", "kind": "Application", "listKind": "ApplicationList"}
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "applications.argoproj.io"},
        "spec": {"group": "argoproj.io", "scope": "Namespaced", "names": names, "versions": [version]},
    }  # fmt: skip
    plane.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd)
    wait("the API server knows Applications", lambda: knows(plane, APPLICATION), seconds=30)
    for name in ("models-production", "payments"):
        body = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": {"name": name}}
        plane.create(APPLICATION, body)

    def ask(name: str) -> None:
        settings = Sync.model_validate({"argoCD": {"application": name}})
        Syncer(Api(kubeconfig), settings, None, Telemetry()).ask(datetime.now(UTC))

    ask("models-production")
    found = plane.get(f"{APPLICATION}/models-production") or {}
    assert found["metadata"]["annotations"]["argocd.argoproj.io/refresh"] == "normal"
    with pytest.raises(ClusterError) as refused:
        ask("payments")
    assert refused.value.status == 403


@contextlib.contextmanager
def candidate(remote: Path, kubeconfig: Path, folder: Path) -> Iterator[Reconciler]:
    """A reconciler of the deployed Lease, as its own process."""
    with reconciler.serve(remote.as_uri(), kubeconfig, folder, "--lease", f"{OWN}/mrc-reconcile") as running:
        yield running


def acts(each: Reconciler) -> bool:
    return '"watching"' in each.said() and "mrc_reconciler_acting 1" in each.metrics()


def lease(plane: ControlPlane) -> dict[str, Any]:
    return plane.get(LEASE) or {}


def test_of_several_reconcilers_one_acts(plane: ControlPlane, kubeconfig: Path, tmp_path: Path) -> None:
    nobody = "http://127.0.0.1:9"
    team = repository.create(tmp_path, namespace="models", prometheus=nobody, alertmanager=nobody)
    with contextlib.ExitStack() as stack:

        def start(name: str) -> Reconciler:
            return stack.enter_context(candidate(team.remote, kubeconfig, tmp_path / name))

        first = start("first")
        wait("the first one acts", lambda: acts(first), seconds=60)
        second = start("second")
        wait("the second one waits", lambda: "another process acts" in second.said(), seconds=30)
        assert "mrc_reconciler_acting 0" in second.metrics()

        # Killed, it says nothing to anybody: its time has to pass.
        first.process.kill()
        assert not acts(second)
        wait("the second one takes over", lambda: acts(second), seconds=60)
        assert lease(plane)["spec"]["leaseTransitions"] == 2

        # Told to end, it releases the Lease, and the next one begins long before that time.
        third = start("third")
        wait("the third one waits", lambda: "another process acts" in third.said(), seconds=30)
        second.process.send_signal(signal.SIGTERM)
        wait("the third one acts at once", lambda: acts(third), seconds=10)
        assert second.process.wait(30) == 0
        assert "the Lease is released" in second.said()

        # Whoever loses it ends, whatever it is doing.
        taken = lease(plane)
        taken["spec"]["holderIdentity"] = "somebody else"
        plane.request(LEASE, taken, method="PUT")
        assert third.process.wait(30) == 1
        assert "the Lease is lost" in third.said()

        for each in (first, second, third):
            assert "cannot be watched" not in each.said(), "its rights are enough"
