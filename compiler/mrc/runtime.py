"""The servers of a version, by runtime: where they listen, what they are told, and what they would refuse.

Options of vLLM: https://docs.vllm.ai/en/latest/configuration/serve_args/
Settings of TGI: https://huggingface.co/docs/text-generation-inference/reference/launcher
"""

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

from mrc.records import dataclass
from mrc.schema import ModelVersion
from mrc.schema.runtime import Tgi, Vllm
from mrc.spelling import closest

Path = tuple[str | int, ...]

BUNDLE = "/bundle"  # where a server other than Triton finds the files of its version, by role
VLLM_FILE = "vllm.yaml"

_ELSEWHERE = "it follows from the bundle, the hub and the version"
_CREDENTIAL = "a version holds no secret, and names a Secret that does"
_VLLM_OWNED = {
    **dict.fromkeys(
        ("model", "tokenizer", "revision", "tokenizer-revision", "code-revision", "served-model-name", "enable-lora",
         "lora-modules", "chat-template", "host", "port", "config"),
        _ELSEWHERE,
    ),
    **dict.fromkeys(("api-key", "hf-token", "ssl-keyfile"), _CREDENTIAL),
}  # fmt: skip
_VLLM_SPLITS = ("tensor-parallel-size", "pipeline-parallel-size", "data-parallel-size")
_TGI_SPLITS = ("NUM_SHARD",)
_TGI_OWNED = {
    **dict.fromkeys(
        ("MODEL_ID", "REVISION", "LORA_ADAPTERS", "HOSTNAME", "PORT", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"),
        _ELSEWHERE,
    ),
    **dict.fromkeys(("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "API_KEY"), _CREDENTIAL),
}
# With it begin the keys of whatever a version puts into a cache: two versions never read each other's values.
CACHE_PREFIX = "MRC_CACHE_PREFIX"
_POD_OWNED = {CACHE_PREFIX: "it names the version"}


@dataclass(frozen=True)
class Port:
    """A port of the serving container, by name."""

    name: str
    number: int


@dataclass(frozen=True)
class Scraped:
    """Where the metrics of a server are."""

    port: str
    path: str


@dataclass(frozen=True)
class Server:
    """What the serving container offers. A port is named `http`, `grpc` or `metrics`.

    `answers` are the paths below which requests for an answer go, by protocol, and not those for readiness or
    metadata; all of them are POSTs, as gRPC calls always are. `ready` is the path that answers 200 over HTTP once
    requests may come, whichever the version.
    """

    ports: tuple[Port, ...]
    metrics: Scraped | None
    answers: Mapping[str, str]
    ready: str


@dataclass(frozen=True)
class Problem:
    """Something that the server would refuse or never read; `path` is below `spec`."""

    path: Path
    message: str
    at_key: bool = False
    hint: str | None = None


def server(version: ModelVersion) -> Server:
    """The ports of a version's serving container, its metrics, and where it answers."""
    container = version.spec.container
    if version.spec.triton is not None:
        ports: tuple[Port, ...] = (Port("http", 8000), Port("grpc", 8001), Port("metrics", 8002))
        answers = {"http": "/v2/models/", "grpc": "/inference.GRPCInferenceService/Model"}
        return Server(ports, Scraped("metrics", "/metrics"), answers, "/v2/health/ready")
    if container is None:  # vLLM and TGI show their metrics where they answer
        return Server((Port("http", 8000),), Scraped("http", "/metrics"), {"http": "/"}, "/health")
    named = {"http": container.port, "grpc": container.grpc}
    metrics = None
    if container.metrics is not None:
        same = next((name for name, number in named.items() if number == container.metrics.port), None)
        metrics = Scraped(same or "metrics", container.metrics.path)
        if same is None:
            named["metrics"] = container.metrics.port
    ports = tuple(Port(name, int(number)) for name, number in named.items() if number is not None)
    answers = dict.fromkeys((port.name for port in ports if port.name != "metrics"), "/")
    return Server(ports, metrics, answers, container.ready)


def served_names(version: ModelVersion) -> list[str]:
    """The names by which clients ask vLLM for the model; its metrics carry the first, which tells the version."""
    name = version.metadata.name
    return [f"{name}-v{version.metadata.version}", name]


def vllm_options(version: ModelVersion) -> dict[str, Any]:
    """vLLM's configuration file: the team's options, and those that pin what is served."""
    vllm = version.spec.vllm
    assert vllm is not None
    found: dict[str, Any] = dict(vllm.config)
    found["served-model-name"] = served_names(version)
    found["port"] = "8000"
    if vllm.hub is None:
        found["model"] = f"{BUNDLE}/weights"
    else:
        found["model"] = vllm.hub.model
        found["revision"] = vllm.hub.revision
        found["code-revision"] = vllm.hub.code_revision or vllm.hub.revision
        if "tokenizer" not in version.spec.bundle:
            found["tokenizer-revision"] = vllm.hub.tokenizer_revision or vllm.hub.revision
    if "tokenizer" in version.spec.bundle:
        found["tokenizer"] = f"{BUNDLE}/tokenizer"
    if vllm.chat_template is not None:
        found["chat-template"] = f"{BUNDLE}/{vllm.chat_template}"
    if vllm.adapters:
        found["enable-lora"] = True
        found["lora-modules"] = [f"{name}={BUNDLE}/{folder}" for name, folder in sorted(vllm.adapters.items())]
    return dict(sorted(found.items()))


def cache_prefix(model: str, version: int) -> str:
    """What the keys of a version begin with in any cache."""
    return f"{model}-v{version}"


def variables(version: ModelVersion) -> dict[str, str]:
    """The environment of the serving container: the team's variables, and those that pin what is served."""
    spec = version.spec
    found: dict[str, str] = {}
    if spec.container is not None:
        found |= spec.container.env
    if spec.tgi is not None:
        found |= spec.tgi.env
        # Kubernetes sets HOSTNAME to the pod's name, and TGI listens on what it says.
        found |= {"HOSTNAME": "0.0.0.0", "PORT": "8000"}  # noqa: S104  inside the pod
        found.setdefault("GRACEFUL_TERMINATION_TIMEOUT", "150")  # the pod ends after 180 seconds
        if spec.tgi.hub is None:
            found["MODEL_ID"] = f"{BUNDLE}/weights"
        else:
            found |= {"MODEL_ID": spec.tgi.hub.model, "REVISION": spec.tgi.hub.revision}
        if spec.tgi.adapters:
            modules = (f"{name}={BUNDLE}/{folder}" for name, folder in sorted(spec.tgi.adapters.items()))
            found["LORA_ADAPTERS"] = ",".join(modules)
    llm = spec.vllm or spec.tgi
    if llm is not None and llm.hub is None:
        # All of the version is here: a server that asks the hub for more serves something else.
        found |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    found[CACHE_PREFIX] = cache_prefix(version.metadata.name, int(version.metadata.version))
    return dict(sorted(found.items()))


def problems(version: ModelVersion) -> list[Problem]:
    """What is wrong between the runtime and the bundle. Triton's configs are checked in `modelconfig`."""
    spec = version.spec
    found: list[Problem] = []
    known = {f"{role}/{file}" for role, files in spec.bundle.items() for file in files}
    if spec.triton is not None:
        for name, model in spec.triton.models.items():
            for index, file in enumerate(model.files):
                if file not in known:
                    found.append(_no_file(("triton", "models", name, "files", index), file, known))
    for key, llm in (("vllm", spec.vllm), ("tgi", spec.tgi)):
        if llm is not None:
            found += _weights(key, llm, spec.bundle)
            found += _adapters(key, llm.adapters, known)
    if spec.vllm is not None:
        if spec.vllm.chat_template is not None and spec.vllm.chat_template not in known:
            found.append(_no_file(("vllm", "chatTemplate"), spec.vllm.chat_template, known))
        found += _owned("vLLM", ("vllm", "config"), spec.vllm.config, _VLLM_OWNED)
        for name, value in spec.vllm.config.items():
            found += _nulls(("vllm", "config", name), value)
        found += _devices(version, ("vllm", "config"), spec.vllm.config, _VLLM_SPLITS)
    if spec.container is not None:
        found += _owned("a container", ("container", "env"), spec.container.env, _POD_OWNED)
    if spec.tgi is not None:
        found += _owned("TGI", ("tgi", "env"), spec.tgi.env, _TGI_OWNED | _POD_OWNED)
        found += _devices(version, ("tgi", "env"), spec.tgi.env, _TGI_SPLITS)
        if "tokenizer" in spec.bundle:
            message = "TGI reads the tokenizer beside the weights: list these files under weights"
            found.append(Problem(("bundle", "tokenizer"), message, at_key=True))
    return found + list(_ports(version))


def _no_file(path: Path, file: str, known: set[str]) -> Problem:
    close = closest(file, sorted(known), 0.5)
    meant = f"; did you mean {close}?" if close else ""
    return Problem(path, f"the bundle has no {file}{meant}")


def _weights(key: str, llm: Vllm | Tgi, bundle: Mapping[Any, Any]) -> Iterator[Problem]:
    if llm.hub is not None and bundle.get("weights"):
        yield Problem((key, "hub"), "the weights are in the bundle, and hub names others: leave out one of them", True)
    if llm.hub is None and not bundle.get("weights"):
        yield Problem((key,), "there are no weights: list them in bundle, or name a model with hub", True)


def _adapters(key: str, adapters: Mapping[str, str], known: set[str]) -> Iterator[Problem]:
    kinds = ("safetensors", "bin", "pt") if key == "vllm" else ("safetensors", "bin")
    for name, folder in adapters.items():
        if f"{folder}/adapter_config.json" not in known:
            yield Problem((key, "adapters", name), f"the bundle has no {folder}/adapter_config.json: no adapter there")
        elif not any(f"{folder}/adapter_model.{kind}" in known for kind in kinds):
            wanted = f"{folder}/adapter_model.safetensors"
            yield Problem((key, "adapters", name), f"the bundle has no {wanted}: the adapter has no weights")


def _owned(who: str, path: Path, written: Mapping[str, Any], owned: Mapping[str, str]) -> Iterator[Problem]:
    for name in written:
        if name in owned:
            hint = "leave it out" if owned[name] != _CREDENTIAL else "leave it out, and name the Secret: secrets: [...]"
            yield Problem((*path, name), f"{name} is not for the team to set for {who}: {owned[name]}", True, hint)


def _devices(
    version: ModelVersion, path: Path, written: Mapping[str, Any], splits: tuple[str, ...]
) -> Iterator[Problem]:
    """A pod is one server: it splits the model over the devices that the pod has, and over no others."""
    split = {name: str(written[name]) for name in splits if name in written}
    devices = [amount.value for name, amount in version.spec.resources.items() if name.endswith("/gpu")]
    if not split or not devices or not all(number.isdecimal() for number in split.values()):
        return
    needed = prod(int(number) for number in split.values())
    if needed > sum(devices):
        what = " and ".join(f"{name}: {number}" for name, number in split.items())
        message = f"{what} needs {needed} GPUs, and resources gives the pod {sum(devices)}"
        yield Problem((*path, next(iter(split))), message, hint="give the pod as many GPUs as the model is split over")


def _nulls(path: Path, value: Any) -> Iterator[Problem]:
    if value is None:
        yield Problem(path, "null is no value of an option", hint="leave it out")
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inside:
        yield from _nulls((*path, key), each)


def _ports(version: ModelVersion) -> Iterator[Problem]:
    container = version.spec.container
    if container is not None and container.grpc == container.port:
        yield Problem(("container", "grpc"), f"port {container.port} is the one that answers HTTP")
