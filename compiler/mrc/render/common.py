"""What several targets say of a release in the same words: names, labels, selectors."""

from mrc import labels
from mrc.link import Release, Version

HTTP_PORT = 8000
GRPC_PORT = 8001


def stable_service(release: Release) -> str:
    """The Service that Argo points at the stable ReplicaSet."""
    return f"{release.model}-stable"


def canary_service(release: Release) -> str:
    """The Service that Argo points at the ReplicaSet under trial."""
    return f"{release.model}-canary"


def preview_service(release: Release) -> str:
    """The Service that Argo points at the new side of a blue-green rollout."""
    return f"{release.model}-preview"


def selector(release: Release) -> dict[str, str]:
    """The pods of a model, of every version."""
    return {labels.MODEL: release.model}


def object_labels(release: Release) -> dict[str, str]:
    """The labels of every object of a release."""
    return {
        **labels.MANAGED_BY,
        labels.ENVIRONMENT: release.environment_name,
        labels.MODEL: release.model,
        labels.TEAM: release.team,
    }


def rule_labels(release: Release) -> dict[str, str]:
    """The same, with those by which the environment's Prometheus finds its objects."""
    return {**object_labels(release), **release.environment.spec.prometheus.rule_labels}


def pod_labels(release: Release, version: Version) -> dict[str, str]:
    """The labels of a pod: a function of model and version alone, so that a template can be restored."""
    return {
        **labels.MANAGED_BY,
        labels.MODEL: release.model,
        labels.VERSION: str(version.number),
        labels.ISTIO_NAME: release.model,
        labels.ISTIO_REVISION: str(version.number),
    }
