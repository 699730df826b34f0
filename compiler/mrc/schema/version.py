"""`ModelVersion`: the whole serving bundle, written once and never edited."""

import re
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from mrc.schema.base import (
    ArtifactUri,
    Commit,
    Envelope,
    FilePath,
    Image,
    LabelKey,
    Metadata,
    Model,
    RepositoryUrl,
    Sha256,
    _text,
)
from mrc.schema.units import Bytes, Duration, Positive, Quantity

Role = Literal["weights", "tokenizer", "preprocessing", "prompts", "retrievalIndex", "adapters"]
TritonName = Annotated[str, *_text(r"[A-Za-z][A-Za-z0-9_.-]*", "a Triton model name", 100)]
BundlePath = Annotated[str, *_text(r"[A-Za-z]+/[A-Za-z0-9][A-Za-z0-9._/-]*", "a bundle file as role/file", 240)]


class Artifact(Model):
    """One file, pinned: where it is, its size in bytes, and the digest that it must have."""

    uri: ArtifactUri
    size: Bytes
    sha256: Sha256


class TritonModel(Model):
    """One model of the Triton repository: its files from the bundle and Triton's own ModelConfig."""

    files: list[BundlePath] = Field(default_factory=list)
    config: dict[str, Any]


class Triton(Model):
    """The models of one Triton server. `entrypoint` is the one that clients call; needed with several."""

    models: dict[TritonName, TritonModel] = Field(min_length=1)
    entrypoint: TritonName | None = None


class Code(Model):
    """The commit that made the version."""

    repository: RepositoryUrl
    commit: Commit


class Lineage(Model):
    """Where the version comes from: code, and the data that it was trained on."""

    code: Code
    data: list[Artifact] = Field(default_factory=list)


class ModelVersionSpec(Model):
    image: Image
    resources: dict[LabelKey, Quantity] = Field(min_length=1)
    startup: Duration = Field(default=Duration.parse("10m"), validate_default=False)
    bundle: dict[Role, dict[FilePath, Artifact]]
    triton: Triton
    lineage: Lineage
    evaluation: Artifact
    profile: Artifact | None = None

    @model_validator(mode="after")
    def _files_exist(self) -> "ModelVersionSpec":
        known = {f"{role}/{path}" for role, files in self.bundle.items() for path in files}
        for name, model in self.triton.models.items():
            for file in model.files:
                if file not in known:
                    raise PydanticCustomError(
                        "bundle_file",
                        "triton model {name} lists {file}, which the bundle does not have",
                        {"name": name, "file": file, "known": sorted(known)},
                    )
        return self

    def artifact(self, path: str) -> Artifact:
        """The bundle's file at `role/file`."""
        role, _, file = path.partition("/")
        return self.bundle[role][file]  # type: ignore[index]


class VersionMetadata(Metadata):
    version: Positive


class ModelVersion(Envelope):
    """A version of a model: what changes an answer or a pod."""

    kind: Literal["ModelVersion"]
    metadata: VersionMetadata
    spec: ModelVersionSpec


VERSION_FILE = re.compile(r"[1-9][0-9]{0,8}\.yaml")
