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
    """Where the file is. It is read by `mrc fetch`, never by the compiler.

    Example: s3://models/fraud/42/model.onnx
    Rendered: `manifest.json` in the ConfigMap of the version
    """
    size: Bytes
    """The size in bytes that it must have.

    Example: 47990024
    Rendered: `manifest.json`; the size of the volume
    """
    sha256: Sha256
    """The SHA-256 that it must have.

    Example: 8d9e77fe33b9d1d2c5a3b4235727286f572dc93354e03261b8763f9d108327cb
    Rendered: `manifest.json`
    """


class TritonModel(Model):
    """One model of the Triton repository: its files from the bundle and Triton's own ModelConfig."""

    files: list[BundlePath] = Field(default_factory=list)
    """Files of the bundle, as role/file, that lie in the directory of this Triton model. An ensemble has none.

    Example: [weights/model.onnx, preprocessing/scaler.json]
    Rendered: `<triton model>/<version>/<file>` in the model repository
    """
    config: dict[str, Any]
    """Triton's own ModelConfig in its JSON form. `name`, `versionPolicy` and the versions of an ensemble's steps are
    mrc's to write.

    Example: {backend: onnxruntime, maxBatchSize: 128}
    Rendered: `<triton model>/config.pbtxt` in the model repository
    """


class Triton(Model):
    """The models of one Triton server. `entrypoint` is the one that clients call; needed with several."""

    models: dict[TritonName, TritonModel] = Field(min_length=1)
    """The Triton models of the server, by name. Several of them make a pipeline or an ensemble.

    Example: {fraud: {files: [weights/model.onnx], config: {backend: onnxruntime}}}
    Rendered: the model repository; `--load-model` of the server
    """
    entrypoint: TritonName | None = None
    """The Triton model that clients call. Not needed where only one is not a step of an ensemble.

    Example: fraud
    Rendered: the readiness probe; the metrics of guardrails
    """


class Code(Model):
    """The commit that made the version."""

    repository: RepositoryUrl
    """The git repository of the code that made the version.

    Example: https://git.example.com/risk/fraud.git
    Rendered: the runbook
    """
    commit: Commit
    """The full commit of that code.

    Example: fd4fdd35b35365de6ff63ba8e89c63479bbf3493
    Rendered: the runbook
    """


class Lineage(Model):
    """Where the version comes from: code, and the data that it was trained on."""

    code: Code
    data: list[Artifact] = Field(default_factory=list)
    """The data that the version was trained on, pinned."""


class ModelVersionSpec(Model):
    """The bundle: what serves, with what, and where it comes from."""

    image: Image
    """The image of the server, pinned by digest.

    Example: registry.example.com/tritonserver@sha256:8589c060db257c6c6eda34e049a3adfc4e8d98e5db36ecea5314b8b7f0799ea5
    Rendered: `image` of the serving container
    """
    resources: dict[LabelKey, Quantity] = Field(min_length=1)
    """What each pod gets, as request and limit at once.

    Example: {cpu: 4, memory: 8Gi, nvidia.com/gpu: 1}
    Rendered: `resources` of the serving container
    """
    startup: Duration = Field(default=Duration.parse("10m"), validate_default=False)
    """How long a pod may take from its start until it is ready. Slower, and the rollout is aborted.

    Example: 10m
    Rendered: the startup probe; `progressDeadlineSeconds` of the Rollout
    """
    bundle: dict[Role, dict[FilePath, Artifact]]
    """Every file that the version serves with, by role and name, pinned: weights, tokenizer, preprocessing, prompts,
    retrieval index, adapters. What is not in here is not part of the version.

    Rendered: `manifest.json` in the ConfigMap of the version
    """
    triton: Triton
    lineage: Lineage
    evaluation: Artifact
    """The report of the evaluation before the first rollout, pinned.

    Rendered: the runbook
    """
    profile: Artifact | None = None
    """The distribution of inputs and outputs as they were evaluated, pinned.

    Rendered: the runbook
    """

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
    """Which version of which model."""

    version: Positive
    """The number of the version: the name of the file, too. A larger number is a later version.

    Example: 42
    Rendered: the pod label `mrc.dev/version`; the label `version` of every series
    """


class ModelVersion(Envelope):
    """A version of a model: what changes an answer or a pod."""

    kind: Literal["ModelVersion"]
    metadata: VersionMetadata
    spec: ModelVersionSpec


VERSION_FILE = re.compile(r"[1-9][0-9]{0,8}\.yaml")
