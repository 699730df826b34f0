"""The servers that a `ModelVersion` can run in: Triton, vLLM, Text Generation Inference, or any container."""

from typing import Annotated, Any

from mrc.schema.base import Commit, Line, Model, Name, _text
from mrc.schema.lean import Field
from mrc.schema.units import Number

TritonName = Annotated[str, *_text(r"[A-Za-z][A-Za-z0-9_.-]*", "a Triton model name", 100)]
BundlePath = Annotated[str, *_text(r"[A-Za-z]+/[A-Za-z0-9][A-Za-z0-9._/-]*", "a bundle file as role/file", 240)]
HubName = Annotated[
    str,
    *_text(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*", "a model of the hub as organisation/name", 200),
]
OptionName = Annotated[
    str,
    *_text(
        r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*",
        "an option of vLLM, without its dashes",
        100,
        meant=lambda text: text.strip("-").lower().replace("_", "-"),
    ),
]
VariableName = Annotated[str, *_text(r"[A-Za-z_][A-Za-z0-9_]*", "the name of an environment variable", 200)]
HttpPath = Annotated[str, *_text(r"/[A-Za-z0-9._~/-]*", "the path of an HTTP address, such as /healthz", 200)]


class Port(Number):
    """A TCP port."""

    json_schema = {**Number.json_schema, "minimum": 1, "maximum": 65535, "description": "a TCP port"}  # noqa: RUF012

    @classmethod
    def parse(cls, text: str) -> "Port":
        """Raise ValueError unless `text` is a port number."""
        if not text.isascii() or not text.isdigit() or text.startswith("0") or not 1 <= int(text[:6]) <= 65535:
            raise ValueError(f"{text!r} is not a port from 1 to 65535")
        return cls(text)


class TritonModel(Model):
    """One model of the Triton repository: its files from the bundle and Triton's own ModelConfig."""

    files: list[BundlePath] = Field(default_factory=list)
    """Files of the bundle, as role/file, that lie in the directory of this Triton model. An ensemble has none.

    Example: [weights/model.onnx, preprocessing/scaler.json]
    Rendered: `<triton model>/<version>/<file>`; beside it, where `config` names labels, warmup data or states
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


class HubModel(Model):
    """Weights that the server fetches itself from the Hugging Face Hub, pinned by commit."""

    model: HubName
    """The model of the hub, as organisation/name.

    Example: example-org/chat-7b
    Rendered: `model` of vLLM, `MODEL_ID` of TGI
    """
    revision: Commit
    """The full commit of the model. A branch or a tag can move under the version.

    Example: fd4fdd35b35365de6ff63ba8e89c63479bbf3493
    Rendered: `revision` of vLLM, `REVISION` of TGI
    """


class VllmHubModel(HubModel):
    """The same with the commits that vLLM pins apart; both are that of the model unless given."""

    tokenizer_revision: Commit | None = None
    """The full commit of the tokenizer, where it is not the model's.

    Example: fd4fdd35b35365de6ff63ba8e89c63479bbf3493
    Rendered: `tokenizer-revision` of vLLM
    """
    code_revision: Commit | None = None
    """The full commit of the model's own code, where it lies in another repository of the hub.

    Example: fd4fdd35b35365de6ff63ba8e89c63479bbf3493
    Rendered: `code-revision` of vLLM
    """


class Vllm(Model):
    """A vLLM server. Its weights and tokenizer are the bundle's, unless `hub` names a model."""

    hub: VllmHubModel | None = None
    adapters: dict[Name, BundlePath] = Field(default_factory=dict)
    """LoRA adapters by the name that clients ask for: each a folder of the bundle with an adapter_config.json.

    Example: {support: adapters/support}
    Rendered: `enable-lora` and `lora-modules` of vLLM
    """
    chat_template: BundlePath | None = None
    """The file of the bundle with the chat template, where the tokenizer brings none or another one is wanted.

    Example: prompts/chat.jinja
    Rendered: `chat-template` of vLLM
    """
    config: dict[OptionName, Any] = Field(default_factory=dict)
    """vLLM's own options, as its configuration file has them. What says which files are served, under which name and
    where is mrc's to write.

    Example: {max-model-len: 8192, gpu-memory-utilization: 0.9}
    Rendered: `vllm.yaml` in the ConfigMap of the version
    """


class Tgi(Model):
    """A Text Generation Inference server. Its weights and tokenizer are the bundle's, unless `hub` names a model."""

    hub: HubModel | None = None
    adapters: dict[Name, BundlePath] = Field(default_factory=dict)
    """LoRA adapters by the name that clients ask for: each a folder of the bundle with an adapter_config.json.

    Example: {support: adapters/support}
    Rendered: `LORA_ADAPTERS`
    """
    env: dict[VariableName, Line] = Field(default_factory=dict)
    """TGI's own settings. What says which files are served and where is mrc's to write.

    Example: {MAX_INPUT_TOKENS: 4096, MAX_TOTAL_TOKENS: 8192}
    Rendered: `env` of the serving container
    """


class Metrics(Model):
    """Where a container shows its Prometheus metrics."""

    port: Port
    """The port of the metrics; it may be the one that serves.

    Example: 9090
    Rendered: the PodMonitor
    """
    path: HttpPath = "/metrics"
    """The path of the metrics.

    Example: /metrics
    Rendered: the PodMonitor
    """


class Container(Model):
    """Any HTTP server. It finds the files of the bundle below /bundle/<role>, and learns nothing else from mrc."""

    port: Port
    """The port that answers requests. Clients reach it on port 8000 of the model's Service.

    Example: 8080
    Rendered: the container port `http`; the Services
    """
    grpc: Port | None = None
    """The port that answers gRPC, if there is one. Clients reach it on port 8001.

    Example: 9000
    Rendered: the container port `grpc`; the Services
    """
    ready: HttpPath
    """The path that answers 200 as soon as this version, loaded, answers requests, and not before.

    Example: /readyz
    Rendered: the readiness and the startup probe
    """
    live: HttpPath | None = None
    """The path that answers 200 unless the server has to be restarted. Left out, only a crash restarts it.

    Example: /livez
    Rendered: the liveness probe
    """
    metrics: Metrics | None = None
    command: list[Line] = Field(default_factory=list)
    """The command, where the image's own is not wanted. It is not run by a shell.

    Example: [python, -m, recommender.serve]
    Rendered: `command` of the serving container
    """
    args: list[Line] = Field(default_factory=list)
    """The arguments, taken literally: nothing is substituted.

    Example: [--index, /bundle/retrievalIndex]
    Rendered: `args` of the serving container
    """
    env: dict[VariableName, Line] = Field(default_factory=dict)
    """Environment variables, taken literally: nothing is substituted. Not for secrets.

    Example: {WORKERS: 4}
    Rendered: `env` of the serving container
    """
