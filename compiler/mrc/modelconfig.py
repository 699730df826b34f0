"""Triton's ModelConfig: from the version's JSON form through protobuf to `config.pbtxt`.

mrc owns `name`, `versionPolicy` and the model versions that an ensemble's steps name; the rest is the team's.
Source: https://github.com/triton-inference-server/common/blob/main/protobuf/model_config.proto
"""

import importlib.util
import json
import re
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from mrc.protoshape import Misfit, Step, misfits
from mrc.records import replace
from mrc.schema.runtime import Triton
from mrc.schema.version import ModelVersion
from mrc.tritonrules import refusals

OWNED = ("name", "versionPolicy")


class ConfigError(Exception):
    """The ModelConfig is wrong; each problem's path is relative to `config`."""

    def __init__(self, *problems: Misfit) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = problems


@cache
def _proto() -> ModuleType:
    """Triton's generated module, loaded alone: importing tritonclient would import numpy."""
    import mrc.protobuf  # noqa: F401  before the module imports what it takes along

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


class Config(NamedTuple):
    """A config as Triton reads it, and where each bundle file (role/file) lies below the model's directory.

    In the version's directory, but for labels, warmup data and initial states, which Triton looks for beside it.
    """

    text: str
    places: dict[str, str]


def config(version: ModelVersion, name: str) -> Config:
    """`<name>/config.pbtxt` and its files; ConfigError, with everything that is wrong, when Triton would refuse it."""
    from mrc.protobuf import text_format

    number = int(version.metadata.version)
    written = _triton(version).models[name].config
    message, wrong = parsed(written), list[Misfit]()
    message.name = name
    message.version_policy.specific.versions.append(number)
    for index, step in enumerate(message.ensemble_scheduling.step):
        if step.model_version not in (0, number):
            place = ("ensembleScheduling", "step", index, "modelVersion")
            wrong.append(Misfit(place, f"a step of version {number} cannot run version {step.model_version}"))
        step.model_version = number
    wrong += [*_files(version, name, message), *refusals(message, list(_triton(version).models))]
    if wrong:
        raise ConfigError(*(replace(one, path=_as_written(written, one.path)) for one in wrong))
    return Config(text_format.MessageToString(message, as_utf8=True), _places(version, name, message))


def parsed(config: dict[str, Any]) -> Any:
    """The ModelConfig message that the team wrote; ConfigError with all that is no part of it, or not the team's."""
    message = _proto().ModelConfig()
    message.CopyFrom(_parsed(json.dumps(config)))
    return message


@lru_cache(maxsize=64)  # the versions of a model seldom differ in it
def _parsed(written: str) -> Any:
    from mrc.protobuf import json_format

    config, message = json.loads(written), _proto().ModelConfig()
    wrong = [
        Misfit((key,), f"{key} is mrc's: it follows from the model's name and version", at_key=True)
        for key in (*OWNED, "version_policy")
        if key in config
    ]
    wrong += misfits(config, message.DESCRIPTOR)
    if wrong:
        raise ConfigError(*wrong)
    try:
        return json_format.ParseDict(config, message, max_recursion_depth=40)
    except (json_format.ParseError, ValueError, TypeError, AttributeError) as problem:
        raise ConfigError(Misfit((), f"Triton's ModelConfig refuses this: {problem}")) from None


def _as_written(config: Any, path: tuple[Step, ...]) -> tuple[Step, ...]:
    """The path with each key in the spelling that stands there, as far as it leads."""
    found: list[Step] = []
    for step in path:
        if isinstance(step, str) and isinstance(config, dict) and step not in config:
            step = re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", step)
        try:
            config = config[step]
        except (KeyError, IndexError, TypeError):
            break
        found.append(step)
    return tuple(found)


def _files(version: ModelVersion, name: str, config: Any) -> Iterator[Misfit]:
    """Files that are needed and not listed, or listed and not needed."""
    listed = {path.partition("/")[2] for path in models_files(version, name)}
    if config.HasField("ensemble_scheduling"):
        if listed:
            yield Misfit((), "an ensemble has no files of its own")
    elif not listed:
        yield Misfit((), "no file is listed for this model, and only an ensemble has none")
    for file, (folder, path) in _named(config).items():
        where = "beside the version's directory" if folder == "." else f"in {folder}/"
        if "/" in file or file in ("config.pbtxt", "warmup", "initial_state") or file.isdigit():
            yield Misfit(path, f"{file} cannot lie {where}: write a plain file name")
        elif file not in listed:
            yield Misfit(path, f"{file} is no file of this model: list it in files; it is laid down {where}")


def _named(config: Any) -> dict[str, tuple[str, tuple[Step, ...]]]:
    """Files that the config names and Triton looks for outside of the version's directory: where, and what names it."""
    found: dict[str, tuple[str, tuple[Step, ...]]] = {}
    for index, output in enumerate(config.output):
        if output.label_filename:
            found[output.label_filename] = (".", ("output", index, "labelFilename"))
    for index, warmup in enumerate(config.model_warmup):
        for name, one in warmup.inputs.items():
            if one.input_data_file:
                found[one.input_data_file] = ("warmup", ("modelWarmup", index, "inputs", name, "inputDataFile"))
    for index, state in enumerate(config.sequence_batching.state):
        for number, initial in enumerate(state.initial_state):
            if initial.data_file:
                path = ("sequenceBatching", "state", index, "initialState", number, "dataFile")
                found[initial.data_file] = ("initial_state", path)
    return found


def _places(version: ModelVersion, name: str, config: Any) -> dict[str, str]:
    beside = {file: folder for file, (folder, _) in _named(config).items()}
    found = {}
    for path in models_files(version, name):
        file = path.partition("/")[2]
        folder = beside.get(file, str(int(version.metadata.version)))
        found[path] = file if folder == "." else f"{folder}/{file}"
    return found


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
            raise ConfigError(Misfit((), f"entrypoint names {triton.entrypoint!r}, which is none of the models"))
        return triton.entrypoint
    callable_models = sorted(set(triton.models) - steps(version))
    if len(callable_models) != 1:
        shown = ", ".join(callable_models) or "none"
        raise ConfigError(Misfit((), f"it is not clear which Triton model clients call ({shown}): say entrypoint"))
    return callable_models[0]
