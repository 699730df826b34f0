"""Services, and the Role by which a group may promote past an approval."""

from mrc import routers
from mrc.artifact import Artifact
from mrc.link import Release
from mrc.render.common import (
    canary_service,
    object_labels,
    preview_service,
    selector,
    service_ports,
    stable_service,
    version_selector,
    version_service,
)
from mrc.render.engine import fill
from mrc.rollouts import pinned, stages


def services(release: Release) -> list[Artifact]:
    """The model's own Service, and those that Argo points at one side: preview, or with a router stable and canary.

    Blue-green switches the model's own Service, so that clients need to know no other name. With a router at the edge
    alone, a canary has none: clients in the cluster go through the router, or to the stable side.
    """
    router = release.environment.spec.router.kind
    names = [release.model]
    if release.policy.blue_green is not None:
        names.append(preview_service(release))
    elif routers.can(router, "weights"):
        names += [stable_service(release), canary_service(release)]
        if not routers.can(router, "mesh"):
            # Nothing routes what is sent to this one: it would reach every pod, the warm ones of the fallback too.
            names.remove(release.model)
    found = [{"name": name, "selector": selector(release)} for name in names]
    # Of one version: a pinned session stays with it when Argo points the others elsewhere.
    found += [
        {"name": version_service(release, version), "selector": version_selector(release, version)}
        for version in pinned(release)
    ]
    text = fill(
        "argo/services.yaml",
        model=release.model,
        namespace=release.environment.spec.namespace,
        labels=object_labels(release),
        services=found,
        ports=service_ports(release),
    )
    return [Artifact(f"{release.folder}/services.yaml", text)]


def approval(release: Release) -> list[Artifact]:
    """Role and RoleBinding of the groups that approve; nothing where no stage asks."""
    groups = sorted({stage.group for stage in stages(release) if stage.group is not None})
    if not groups:
        return []
    text = fill(
        "argo/approval.yaml",
        model=release.model,
        name=f"{release.model}-promote",
        namespace=release.environment.spec.namespace,
        labels=object_labels(release),
        groups=groups,
    )
    return [Artifact(f"{release.folder}/approval.yaml", text)]
