"""kustomization.yaml of a model and of an environment: what `kubectl apply -k`, Argo CD and Flux take as it is."""

from collections.abc import Iterable

from mrc.artifact import Artifact
from mrc.render.engine import fill

# Not Kubernetes objects: rules and their test for a Prometheus without the operator, and the page for people.
_BESIDE = ("rules.yaml", "rules.test.yaml", "RUNBOOK.md")


def of_model(folder: str, artifacts: Iterable[Artifact]) -> Artifact:
    """Lists the objects of one model."""
    names = (artifact.path.rpartition("/")[2] for artifact in artifacts)
    resources = sorted(name for name in names if name not in _BESIDE)
    return Artifact(f"{folder}/kustomization.yaml", fill("kustomize/kustomization.yaml", resources=resources))


def of_environment(environment: str, models: Iterable[str]) -> Artifact:
    """Lists the models of one environment."""
    path = f"rendered/{environment}/kustomization.yaml"
    return Artifact(path, fill("kustomize/kustomization.yaml", resources=sorted(models)))
