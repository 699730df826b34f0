"""`ModelVersion`: the whole serving bundle, written once and never edited."""

import re
from typing import Literal, get_args

from mrc.schema.base import (
    ArtifactUri,
    Commit,
    DnsName,
    Envelope,
    FilePath,
    Image,
    Metadata,
    Model,
    RepositoryUrl,
    ResourceName,
    Sha256,
    exactly_one,
)
from mrc.schema.lean import Field, model_validator
from mrc.schema.runtime import Container, Tgi, Triton, Vllm
from mrc.schema.units import Bytes, Positive, Quantity, Span

Role = Literal["weights", "tokenizer", "preprocessing", "prompts", "retrievalIndex", "adapters"]
Runtime = Literal["triton", "vllm", "tgi", "container"]
RUNTIMES: tuple[Runtime, ...] = get_args(Runtime)


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
    resources: dict[ResourceName, Quantity] = Field(min_length=1)
    """What each pod gets, as request and limit at once.

    Example: {cpu: 4, memory: 8Gi, nvidia.com/gpu: 1}
    Rendered: `resources` of the serving container
    """
    secrets: list[DnsName] = Field(default_factory=list)
    """Secrets of the namespace whose keys become the environment of the server, such as a token of the hub or the key
    of a vector store. They are named, never held; what the version itself pins comes before a key of the same name.

    Example: [vector-store]
    Rendered: `envFrom` of the serving container
    """
    startup: Span = Field(default=Span.parse("10m"), validate_default=False)
    """How long the server may take from its start, with its bundle there, until it is ready. Slower, and the rollout is
    aborted. What fetching the bundle takes, `delays.fetch` of the environment says; it comes on top.

    Example: 10m
    Rendered: the startup probe; `progressDeadlineSeconds` of the Rollout
    """
    bundle: dict[Role, dict[FilePath, Artifact]]
    """Every file that the version serves with, by role and name, pinned: weights, tokenizer, preprocessing, prompts,
    retrieval index, adapters. What is not in here is not part of the version.

    Rendered: `manifest.json` in the ConfigMap of the version
    """
    triton: Triton | None = None
    vllm: Vllm | None = None
    tgi: Tgi | None = None
    container: Container | None = None
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
    def _one_runtime(self) -> "ModelVersionSpec":
        exactly_one(self, *RUNTIMES)
        return self

    @property
    def runtime(self) -> Runtime:
        """The name of the runtime that is given."""
        return next(name for name in RUNTIMES if getattr(self, name) is not None)

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
