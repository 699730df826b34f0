"""The Triton model repository of a version: the fetch manifest and the configs, in a ConfigMap named by content."""

import hashlib
import json
from typing import Any

from mrc import modelconfig
from mrc.artifact import Artifact
from mrc.link import Release, Version
from mrc.render.common import object_labels
from mrc.render.engine import fill

MANIFEST = "manifest.json"


def data(release: Release, version: Version) -> dict[str, str]:
    """What the ConfigMap holds: `manifest.json` and a `<model>.config.pbtxt` for each Triton model."""
    configs = {f"{name}.config.pbtxt": text for name, text in sorted(version.configs.items())}
    manifest = json.dumps(_manifest(release, version, configs), indent=1, ensure_ascii=True) + "\n"
    return {MANIFEST: manifest, **configs}


def _manifest(release: Release, version: Version, configs: dict[str, str]) -> dict[str, Any]:
    """What `mrc fetch` lays down: `<model>/<version>/<file>` and `<model>/config.pbtxt`."""
    spec, number = version.object.spec, version.number
    files, directories = [], []
    for name in sorted(spec.triton.models):
        paths = modelconfig.models_files(version.object, name)
        if not paths:  # an ensemble: Triton wants its version's directory all the same
            directories.append(f"{name}/{number}")
        for path in sorted(paths):
            artifact = spec.artifact(path)
            files.append(
                {
                    "path": f"{name}/{number}/{path.partition('/')[2]}",
                    "uri": artifact.uri,
                    "size": int(artifact.size),
                    "sha256": artifact.sha256,
                }
            )
    return {
        "model": release.model,
        "version": number,
        "files": files,
        "configs": [
            {
                "path": f"{file.removesuffix('.config.pbtxt')}/config.pbtxt",
                "from": file,
                "size": len(text.encode()),
                "sha256": hashlib.sha256(text.encode()).hexdigest(),
            }
            for file, text in configs.items()
        ],
        "directories": directories,
    }


def config_map_name(release: Release, version: Version) -> str:
    """`<model>-v<version>-<hash of the content>`: a pod of a warm version that restarts finds its own."""
    digest = hashlib.sha256()
    for key, text in data(release, version).items():
        digest.update(f"{key}\0{text}\0".encode())
    return f"{release.model}-v{version.number}-{digest.hexdigest()[:10]}"


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
