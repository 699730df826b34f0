"""Triton's ModelConfig: from the version's JSON form through protobuf to `config.pbtxt`.

mrc owns `name`, `versionPolicy` and the model versions that an ensemble's steps name; the rest is the team's.
Source: https://github.com/triton-inference-server/common/blob/main/protobuf/model_config.proto
"""

import importlib.util
import re
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from mrc.schema.runtime import Triton
from mrc.schema.version import ModelVersion

OWNED = ("name", "versionPolicy")


class ConfigError(Exception):
    """The ModelConfig is wrong; `path` is where, relative to `config`."""

    def __init__(self, message: str, path: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.path = path


@cache
def _proto() -> ModuleType:
    """Triton's generated module, loaded alone: importing tritonclient would import numpy."""
    package = importlib.util.find_spec("tritonclient")
    if package is None or not package.submodule_search_locations:
        raise ImportError("the package tritonclient is not installed")
    file = Path(package.submodule_search_locations[0]) / "grpc" / "model_config_pb2.py"
    spec = importlib.util.spec_from_file_location("mrc._model_config_pb2", file)
    if spec is None or spec.loader is None:
        raise ImportError("the package tritonclient has no model_config_pb2")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def config_pbtxt(version: ModelVersion, name: str) -> str:
    """The text of `<name>/config.pbtxt`; ConfigError when Triton's own schema refuses the config."""
    from google.protobuf import json_format, text_format

    number = int(version.metadata.version)
    config = _triton(version).models[name].config
    for key in (*OWNED, "version_policy"):
        if key in config:
            raise ConfigError(f"{key} is mrc's: it follows from the model's name and version", (key,))
    message = _proto().ModelConfig()
    try:
        json_format.ParseDict(config, message, max_recursion_depth=40)
    except (json_format.ParseError, ValueError, TypeError, AttributeError) as problem:
        raise ConfigError(*_explained(str(problem))) from None
    message.name = name
    message.version_policy.specific.versions.append(number)
    for index, step in enumerate(message.ensemble_scheduling.step):
        if step.model_version not in (0, number):
            place = ("ensembleScheduling", "step", index, "modelVersion")
            raise ConfigError(f"a step of version {number} cannot run version {step.model_version}", place)
        step.model_version = number
    _check(version, name, message)
    text: str = text_format.MessageToString(message, as_utf8=True)
    return text


def _explained(text: str) -> tuple[str, tuple[str | int, ...]]:
    """Protobuf's words, shorter, and the place that they name."""
    unknown = re.search(r'has no field named "(.*?)" at "ModelConfig(.*?)"\.\s*Available.*?"\[(.*)\]"', text, re.S)
    if unknown:
        close = get_close_matches(unknown[1], re.findall(r"'(\w+)'", unknown[3]), n=1)
        meant = f"; did you mean {close[0]}?" if close else ""
        return f"ModelConfig has no field {unknown[1]!r}{meant}", (*_place(unknown[2]), unknown[1])
    at = re.search(r" at ModelConfig([\w.\[\]]*?)\.*$", text)
    place = _place(at[1]) if at else _place("." + (re.search(r"parse (\w+) field", text) or ["", ""])[1])
    words = re.sub(r"(Failed to parse \w+ field: )+", "", text)
    words = re.sub(r" at \"?ModelConfig.*$", "", words, flags=re.S)
    return f"Triton's ModelConfig refuses this: {words.strip()}", place


def _place(text: str) -> tuple[str | int, ...]:
    """`.input[0].dataType` as keys and indexes."""
    return tuple(int(part) if part.isdigit() else part for part in re.findall(r"\w+", text))


def _check(version: ModelVersion, name: str, config: Any) -> None:
    """What Triton refuses at load time though the schema allows it."""
    models, here = _triton(version).models, models_files(version, name)
    if config.max_batch_size < 0:
        raise ConfigError("maxBatchSize is below 0", ("maxBatchSize",))
    for size in config.dynamic_batching.preferred_batch_size:
        if not 0 < size <= config.max_batch_size:
            where = ("dynamicBatching", "preferredBatchSize")
            raise ConfigError(f"preferred batch size {size} is not in 1..maxBatchSize ({config.max_batch_size})", where)
    for side in ("input", "output"):
        for index, tensor in enumerate(getattr(config, side)):
            if any(dim < 1 and dim != -1 for dim in tensor.dims) or not tensor.dims:
                raise ConfigError(f"dims of {tensor.name!r} must be at least 1, or -1", (side, index, "dims"))
    if config.HasField("ensemble_scheduling"):
        if config.instance_group:
            raise ConfigError("an ensemble runs nowhere itself: leave out instanceGroup", ("instanceGroup",))
        if here:
            raise ConfigError("an ensemble has no files of its own")
        for index, step in enumerate(config.ensemble_scheduling.step):
            if step.model_name not in models or step.model_name == name:
                close = get_close_matches(step.model_name, list(models), n=1)
                meant = f"; did you mean {close[0]}?" if close else ""
                place = ("ensembleScheduling", "step", index, "modelName")
                raise ConfigError(f"the step names {step.model_name!r}, which this version does not have{meant}", place)
    elif not here:
        raise ConfigError("no file is listed for this model, and only an ensemble has none")


def _triton(version: ModelVersion) -> Triton:
    assert version.spec.triton is not None
    return version.spec.triton


def models_files(version: ModelVersion, name: str) -> list[str]:
    """The bundle files (role/file) of one Triton model."""
    return _triton(version).models[name].files


def steps(version: ModelVersion) -> set[str]:
    """The Triton models that are a step of an ensemble of the same version."""
    found: set[str] = set()
    for model in _triton(version).models.values():
        scheduling = model.config.get("ensembleScheduling", model.config.get("ensemble_scheduling"))
        listed = scheduling.get("step") if isinstance(scheduling, dict) else None
        for step in listed if isinstance(listed, list) else []:
            if isinstance(step, dict):
                found.add(str(step.get("modelName", step.get("model_name"))))
    return found


def entrypoint(version: ModelVersion) -> str:
    """The Triton model that clients call; ConfigError when that is not clear."""
    triton = _triton(version)
    if triton.entrypoint is not None:
        if triton.entrypoint not in triton.models:
            raise ConfigError(f"entrypoint names {triton.entrypoint!r}, which is none of the models")
        return triton.entrypoint
    callable_models = sorted(set(triton.models) - steps(version))
    if len(callable_models) != 1:
        shown = ", ".join(callable_models) or "none"
        raise ConfigError(f"it is not clear which Triton model clients call ({shown}): say entrypoint")
    return callable_models[0]
