"""What `mrc fetch` lays down for a version: the manifest and the configs, in a ConfigMap named by content."""

import hashlib
import json
from functools import lru_cache
from typing import Any

from mrc import runtime
from mrc.artifact import Artifact
from mrc.link import Release, Version
from mrc.render.common import object_labels
from mrc.render.engine import fill
from mrc.schema.version import Artifact as Pinned

MANIFEST = "manifest.json"


def data(release: Release, version: Version) -> dict[str, str]:
    """What the ConfigMap holds: `manifest.json`, and the configuration of the server by the name of its file.

    Those are a `<model>.config.pbtxt` for each Triton model, or `vllm.yaml`.
    """
    return _data(release.model, version)


@lru_cache(maxsize=32)  # every environment has the same, and its pods ask for the name
def _data(model: str, version: Version) -> dict[str, str]:
    if version.object.spec.triton is not None:
        configs = {f"{name}.config.pbtxt": config.text for name, config in sorted(version.configs.items())}
        manifest = _model_repository(version, configs)
    else:
        configs = {}
        if version.object.spec.vllm is not None:
            options = runtime.vllm_options(version.object)
            configs[runtime.VLLM_FILE] = fill("vllm/config.yaml", model=model, options=options)
        manifest = _by_role(_directory(model, version), version, configs)
    whole = {"model": model, "version": version.number, **manifest}
    return {MANIFEST: json.dumps(whole, indent=1, ensure_ascii=True) + "\n", **configs}


def directory(release: Release, version: Version) -> str:
    """Where `mrc fetch` lays the bundle of a server other than Triton down, below its destination."""
    return _directory(release.model, version)


def _directory(model: str, version: Version) -> str:
    return f"{model}/{version.number}"


def _model_repository(version: Version, configs: dict[str, str]) -> dict[str, Any]:
    """Triton's layout: `<model>/<version>/<file>` and `<model>/config.pbtxt`."""
    spec, number = version.object.spec, version.number
    files, directories = [], []
    for name in sorted(version.configs):
        paths = version.configs[name].places
        if not paths:  # an ensemble: Triton wants its version's directory all the same
            directories.append(f"{name}/{number}")
        for path in sorted(paths):
            files.append(_file(f"{name}/{paths[path]}", spec.artifact(path)))
    paths_of = {file: f"{file.removesuffix('.config.pbtxt')}/config.pbtxt" for file in configs}
    return {
        "files": files,
        "configs": [_config(paths_of[file], file, text) for file, text in configs.items()],
        "directories": directories,
    }


def _by_role(folder: str, version: Version, configs: dict[str, str]) -> dict[str, Any]:
    """The whole bundle as `<model>/<version>/<role>/<file>`, renamed into place as one directory."""
    bundle = version.object.spec.bundle
    files = [
        _file(f"{folder}/{role}/{name}", artifact)
        for role in sorted(bundle)
        for name, artifact in sorted(bundle[role].items())
    ]
    return {
        "files": files,
        "configs": [_config(f"{folder}/{file}", file, text) for file, text in configs.items()],
        "directories": [] if files or configs else [folder],
    }


def _file(path: str, artifact: Pinned) -> dict[str, Any]:
    return {"path": path, "uri": artifact.uri, "size": int(artifact.size), "sha256": artifact.sha256}


def _config(path: str, file: str, text: str) -> dict[str, Any]:
    data = text.encode()
    return {"path": path, "from": file, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def config_map_name(release: Release, version: Version) -> str:
    """`<model>-v<version>-<hash of the content>`: a pod of a warm version that restarts finds its own."""
    return _config_map_name(release.model, version)


@lru_cache(maxsize=32)
def _config_map_name(model: str, version: Version) -> str:
    digest = hashlib.sha256()
    for key, text in _data(model, version).items():
        digest.update(f"{key}\0{text}\0".encode())
    return f"{model}-v{version.number}-{digest.hexdigest()[:10]}"


def render(release: Release) -> list[Artifact]:
    """One ConfigMap a retained version, each in a file of its own."""
    return [
        Artifact(
            f"{release.folder}/bundle-v{version.number}.yaml",
            fill(
                "triton/configmap.yaml",
                model=release.model,
                version=version.number,
                name=config_map_name(release, version),
                namespace=release.environment.spec.namespace,
                labels=object_labels(release),
                data=data(release, version),
            ),
        )
        for version in release.retained
    ]
