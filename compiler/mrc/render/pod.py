"""The pod template of a version: a function of the version, `environment.pods` and these templates, of nothing else.

Whatever else it depended on would keep Argo from finding the ReplicaSet of a version that comes back.
"""

from typing import Any

from mrc.link import Release, Version
from mrc.promql import indent
from mrc.render.bundle import config_map_name, directory
from mrc.render.common import pod_labels
from mrc.render.engine import Raw, fill
from mrc.runtime import BUNDLE, VLLM_FILE, served_names, variables

MEBIBYTE = 2**20
PROBE_SECONDS = 5
# How long a pod that goes may answer what it has begun: a generated text takes its time.
TERMINATION_SECONDS = {"triton": 60, "vllm": 180, "tgi": 180, "container": 60}


def template(release: Release, version: Version) -> str:
    """What stands below `template:`."""
    pods, spec = release.environment.spec.pods, version.object.spec
    return fill(
        "pod/pod.yaml",
        pod_labels=pod_labels(release, version),
        container=container_name(version),
        service_account=pods.service_account,
        image_pull_secrets=pods.image_pull_secrets,
        node_selector=dict(sorted(pods.node_selector.items())),
        fetch_image=pods.fetch_image,
        fetch_secrets=pods.fetch_secrets,
        server=Raw(indent(_server(release, version).rstrip("\n"), 2)),
        termination_seconds=TERMINATION_SECONDS[spec.runtime],
        shared_memory=spec.runtime != "container",
        config_map=config_map_name(release, version),
        models_size=models_size(version),
    )


def container_name(version: Version) -> str:
    """What the serving container is called."""
    runtime = version.object.spec.runtime
    return "server" if runtime == "container" else runtime


def _server(release: Release, version: Version) -> str:
    """The serving container."""
    spec = version.object.spec
    found: dict[str, Any] = {
        "image": spec.image,
        "ports": [{"name": port.name, "number": port.number} for port in version.server.ports],
        "env": {name: literal(value) for name, value in variables(version.object).items()},
        "secrets": spec.secrets,
        "resources": dict(sorted(spec.resources.items())),
        "startup_failures": max(1, -(-spec.startup.seconds // PROBE_SECONDS)),
        "bundle": BUNDLE,
        "directory": f"repository/{directory(release, version)}",
    }
    if spec.triton is not None:
        found["triton_models"] = sorted(spec.triton.models)
        found["ready_path"] = f"/v2/models/{version.entrypoint}/versions/{version.number}/ready"
    elif spec.vllm is not None:
        found["config_file"] = f"{BUNDLE}/{VLLM_FILE}"
        found["names"] = [*served_names(version.object), *sorted(spec.vllm.adapters)]
    elif spec.container is not None:
        found["command"] = [literal(word) for word in spec.container.command]
        found["args"] = [literal(word) for word in spec.container.args]
        found["ready_path"], found["live_path"] = spec.container.ready, spec.container.live
    return fill(f"pod/{spec.runtime}.yaml", **found)


def literal(text: str) -> str:
    """The text such that Kubernetes leaves it as it is: it expands `$(NAME)` in commands, arguments and variables.

    Source: https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
    """
    return text.replace("$", "$$") if "$(" in text or "$$" in text else text


def models_size(version: Version) -> str:
    """The volume of the bundle: twice its size (a fetch is laid down beside), and some room."""
    total = sum(int(artifact.size) for files in version.object.spec.bundle.values() for artifact in files.values())
    return f"{2 * -(-total // MEBIBYTE) + 64}Mi"
