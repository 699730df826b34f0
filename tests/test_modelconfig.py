"""Whatever Triton's ModelConfig can say, a version can; what Triton would refuse, mrc refuses first, at its place."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import json_format, text_format
from hypothesis import given
from hypothesis import strategies as st

from judges import triton
from mrc import modelconfig
from mrc.diagnostics import Diagnostic
from mrc.protoshape import misfits
from mrc.read import read
from mrc.schema.version import ModelVersion

ModelConfig = modelconfig._proto().ModelConfig
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
RANGES = {
    1: (0, 0),
    2: (0, 0),
    3: (-(2**63), 2**63 - 1),
    4: (0, 2**64 - 1),
    5: (-(2**31), 2**31 - 1),
    13: (0, 2**32 - 1),
}


def values(field: Any) -> st.SearchStrategy[Any]:
    if field.message_type is not None:
        return messages(field.message_type)
    if field.enum_type is not None:
        return st.sampled_from([each.name for each in field.enum_type.values])
    match field.type:
        case field.TYPE_STRING:
            return TEXT
        case field.TYPE_BOOL:
            return st.booleans()
        case field.TYPE_DOUBLE:
            return st.floats(allow_nan=False, allow_infinity=False)
        case field.TYPE_FLOAT:
            return st.floats(allow_nan=False, allow_infinity=False, width=32).filter(lambda number: abs(number) < 3e38)
        case _:
            return st.integers(*RANGES[field.type])


def spelled(field: Any) -> st.SearchStrategy[str]:
    return st.sampled_from(sorted({field.json_name, field.name}))


@st.composite
def messages(draw: st.DrawFn, descriptor: Any, skip: tuple[str, ...] = ()) -> dict[str, Any]:
    """The JSON form of a message: any of its fields, one of each oneof, in either spelling."""
    found: dict[str, Any] = {}
    taken = set()
    fields = [field for field in descriptor.fields if field.name not in skip]
    for field in (
        draw(st.lists(st.sampled_from(fields), max_size=4, unique_by=lambda field: field.name)) if fields else []
    ):
        if field.containing_oneof is not None:
            if field.containing_oneof.name in taken:
                continue
            taken.add(field.containing_oneof.name)
        entry = field.message_type.fields_by_name if field.message_type is not None else {}
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            keys = values(entry["key"]).map(str)
            value: Any = draw(st.dictionaries(keys, values(entry["value"]), max_size=2))
        elif field.is_repeated:
            value = draw(st.lists(values(field), max_size=2))
        else:
            value = draw(values(field))
        found[draw(spelled(field))] = value
    return found


CONFIGS = messages(ModelConfig.DESCRIPTOR, skip=("name", "version_policy"))


def as_read(config: dict[str, Any]) -> dict[str, Any]:
    """The same after it was written as YAML, where numbers are plain, and read by mrc."""
    document = read("x.yaml", yaml.safe_dump({"config": json.loads(json.dumps(config))}, width=10**6).encode())
    assert not isinstance(document, Diagnostic), document
    found: dict[str, Any] = document.data["config"]
    return found


@given(CONFIGS)
def test_every_field_of_triton_s_model_config_comes_out_of_the_pbtxt_as_it_was_written(config: dict[str, Any]) -> None:
    wanted = json_format.ParseDict(config, ModelConfig())
    written = text_format.MessageToString(modelconfig.parsed(as_read(config)), as_utf8=True)
    assert text_format.Parse(written, ModelConfig()) == wanted


def test_no_field_is_left_out_of_the_round_trip() -> None:
    """Each field of each message, alone: what Hypothesis may not have met."""

    def walk(descriptor: Any, wrap: Any, seen: frozenset[str]) -> None:
        for field in descriptor.fields:
            if descriptor is ModelConfig.DESCRIPTOR and field.name in ("name", "version_policy"):
                continue
            is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
            inner = field.message_type.fields_by_name["value"] if is_map else field

            def put(value: Any, field: Any = field, is_map: bool = is_map) -> Any:
                return wrap({field.json_name: {"1": value} if is_map else [value] if field.is_repeated else value})

            if inner.message_type is not None:
                if inner.message_type.full_name not in seen:
                    walk(inner.message_type, put, seen | {inner.message_type.full_name})
                continue
            scalars = {inner.TYPE_STRING: "x: #y", inner.TYPE_BOOL: True, inner.TYPE_FLOAT: 0.5, inner.TYPE_DOUBLE: 0.5}
            value = inner.enum_type.values[-1].name if inner.enum_type else scalars.get(inner.type, 3)
            config = put(value)
            wanted = json_format.ParseDict(config, ModelConfig())
            assert wanted.ByteSize()
            written = text_format.MessageToString(modelconfig.parsed(as_read(config)), as_utf8=True)
            assert text_format.Parse(written, ModelConfig()) == wanted

    walk(ModelConfig.DESCRIPTOR, lambda config: config, frozenset())


@given(CONFIGS, st.data())
def test_a_key_that_triton_does_not_know_is_found_wherever_it_stands(
    config: dict[str, Any], data: st.DataObject
) -> None:
    places: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def walk(value: Any, descriptor: Any, path: tuple[Any, ...]) -> None:
        places.append((path, value))
        known = {name: field for field in descriptor.fields for name in (field.name, field.json_name)}
        for key, below in value.items():
            field = known[key]
            if field.message_type is None:
                continue
            if field.message_type.GetOptions().map_entry:
                inner = field.message_type.fields_by_name["value"].message_type
                for name, each in below.items():
                    if inner is not None:
                        walk(each, inner, (*path, key, name))
            elif field.is_repeated:
                for index, each in enumerate(below):
                    walk(each, field.message_type, (*path, key, index))
            else:
                walk(below, field.message_type, (*path, key))

    config = as_read(config)
    walk(config, ModelConfig.DESCRIPTOR, ())
    path, where = data.draw(st.sampled_from(places))
    where["noSuchField"] = "1"
    found = list(misfits(config, ModelConfig.DESCRIPTOR))
    assert [(one.path, one.at_key) for one in found] == [((*path, "noSuchField"), True)]


JUNK = st.recursive(
    st.none() | st.booleans() | TEXT, lambda one: st.lists(one) | st.dictionaries(TEXT, one), max_leaves=8
)


@given(JUNK, CONFIGS, st.data())
def test_what_is_no_model_config_is_refused_and_never_breaks(
    junk: Any, config: dict[str, Any], data: st.DataObject
) -> None:
    config = as_read(config)
    if config:
        config[data.draw(st.sampled_from(sorted(config)))] = junk
    with suppress(modelconfig.ConfigError):
        modelconfig.parsed(config)


@pytest.mark.parametrize("key", ["name", "versionPolicy", "version_policy"])
def test_what_is_mrc_s_to_write_is_refused_at_its_key(key: str) -> None:
    with pytest.raises(modelconfig.ConfigError) as refused:
        modelconfig.parsed({"backend": "python", key: {"latest": {}} if key != "name" else "x"})
    assert [(one.path, one.at_key) for one in refused.value.problems] == [((key,), True)]


def test_what_a_config_names_lies_where_triton_looks_for_it() -> None:
    config = as_read(IO | {
        "output": [{"name": "Y", "dataType": "TYPE_FP32", "dims": ["1"], "labelFilename": "labels.txt"}],
        "modelWarmup": [{"name": "w", "batchSize": "1", "inputs": {
            "X": {"dataType": "TYPE_FP32", "dims": ["1"], "inputDataFile": "one.bin"}
        }}],
        "sequenceBatching": {"state": [{
            "inputName": "S", "outputName": "T", "dataType": "TYPE_FP32", "dims": ["1"],
            "initialState": [{"name": "s", "dataType": "TYPE_FP32", "dims": ["1"], "dataFile": "zero.bin"}],
        }]},
    })  # fmt: skip
    listed = ["weights/model.py", "weights/labels.txt", "profile/one.bin", "weights/zero.bin"]
    found = version({"m": {}})
    model = found.spec.triton.models["m"].model_copy(update={"config": config, "files": listed})  # type: ignore[union-attr]
    spec = found.spec.model_copy(update={"triton": found.spec.triton.model_copy(update={"models": {"m": model}})})  # type: ignore[union-attr]
    assert modelconfig.config(found.model_copy(update={"spec": spec}), "m").places == {
        "weights/model.py": "1/model.py", "weights/labels.txt": "labels.txt",
        "profile/one.bin": "warmup/one.bin", "weights/zero.bin": "initial_state/zero.bin",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["config.pbtxt", "2", "a/b.txt", "../x", "/etc/passwd", "warmup"])
def test_a_file_beside_the_version_never_takes_another_s_place(name: str) -> None:
    output = [{"name": "Y", "dataType": "TYPE_FP32", "dims": [1], "labelFilename": name}]
    with pytest.raises(modelconfig.ConfigError, match="plain file name"):
        modelconfig.config(version({"m": as_read(IO | {"output": output})}), "m")


# --- the real Triton agrees ---

IO = {
    "backend": "python", "maxBatchSize": 4,
    "input": [{"name": "X", "dataType": "TYPE_FP32", "dims": [1]}],
    "output": [{"name": "Y", "dataType": "TYPE_FP32", "dims": [1]}],
    "instanceGroup": [{"kind": "KIND_CPU"}],
}  # fmt: skip
START = {"name": "START", "control": [{"kind": "CONTROL_SEQUENCE_START", "fp32FalseTrue": [0, 1]}]}
CORRID = {"name": "ID", "control": [{"kind": "CONTROL_SEQUENCE_CORRID", "dataType": "TYPE_UINT64"}]}
STATE = {"inputName": "S", "outputName": "T", "dataType": "TYPE_FP32", "dims": [1]}
STEPS = [
    {"modelName": "one", "inputMap": {"X": "X"}, "outputMap": {"Y": "middle"}},
    {"modelName": "one", "inputMap": {"X": "middle"}, "outputMap": {"Y": "Y"}},
]
ENSEMBLE = {key: IO[key] for key in ("maxBatchSize", "input", "output")} | {"platform": "ensemble"}


def steps(*changes: dict[str, Any]) -> dict[str, Any]:
    return {"ensembleScheduling": {"step": [step | change for step, change in zip(STEPS, changes, strict=True)]}}


ACCEPTED = {
    "dynamic": {"dynamicBatching": {
        "preferredBatchSize": [2, 4], "maxQueueDelayMicroseconds": 100, "priorityLevels": 2,
        "defaultPriorityLevel": 1, "defaultQueuePolicy": {"timeoutAction": "DELAY", "maxQueueSize": 9},
        "priorityQueuePolicy": {"2": {"allowTimeoutOverride": True}}}},
    "direct": {"sequenceBatching": {
        "direct": {"minimumSlotUtilization": 0.5}, "maxSequenceIdleMicroseconds": 5000000,
        "controlInput": [START, CORRID], "state": [STATE | {"initialState": [
            {"name": "zero", "dataType": "TYPE_FP32", "dims": [1], "zeroData": True}]}]}},
    "oldest": {"sequenceBatching": {"oldest": {"maxCandidateSequences": 4, "preferredBatchSize": [2]},
                                    "controlInput": [START, CORRID]}},
    "warm": {"modelWarmup": [{"name": "zeros", "batchSize": 1, "count": 2, "inputs": {
        "X": {"dataType": "TYPE_FP32", "dims": [1], "zeroData": True}}}]},
    "limited": {"instanceGroup": [{"kind": "KIND_CPU", "count": 2, "rateLimiter": {
        "priority": 2, "resources": [{"name": "R1", "count": 1}]}}]},
    "decoupled": {"modelTransactionPolicy": {"decoupled": True}, "maxBatchSize": 0},
    "ordered": {"dynamicBatching": {"preserveOrdering": True}},
    "optimized": {"optimization": {"priority": "PRIORITY_MIN", "inputPinnedMemory": {"enable": False},
                                   "eagerBatching": True}},
}  # fmt: skip
REFUSED = {
    "ordered-priorities": {"dynamicBatching": {
        "preserveOrdering": True, "priorityLevels": 2, "defaultPriorityLevel": 1}},
    "preferred-over": {"dynamicBatching": {"preferredBatchSize": [8]}},
    "default-priority": {"dynamicBatching": {"priorityLevels": 2}},
    "priority-unknown": {"dynamicBatching": {
        "priorityLevels": 1, "defaultPriorityLevel": 1, "priorityQueuePolicy": {"3": {}}}},
    "no-values": {"sequenceBatching": {"controlInput": [
        {"name": "START", "control": [{"kind": "CONTROL_SEQUENCE_START"}]}]}},
    "one-value": {"sequenceBatching": {"controlInput": [
        {"name": "START", "control": [{"kind": "CONTROL_SEQUENCE_START", "int32FalseTrue": [1]}]}]}},
    "twice": {"sequenceBatching": {"controlInput": [START, START | {"name": "AGAIN"}]}},
    "untyped": {"sequenceBatching": {"controlInput": [
        {"name": "ID", "control": [{"kind": "CONTROL_SEQUENCE_CORRID"}]}]}},
    "oldest-over": {"sequenceBatching": {"oldest": {"preferredBatchSize": [9]}}},
    "no-type": {"input": [{"name": "X", "dims": [1]}]},
    "no-dims": {"input": [{"name": "X", "dataType": "TYPE_FP32"}]},
    "cpu-gpus": {"instanceGroup": [{"kind": "KIND_CPU", "gpus": [0]}]},
    "batch-below": {"maxBatchSize": -1},
}  # fmt: skip
ENSEMBLES = {
    "no-steps": {"ensembleScheduling": {"step": []}},
    "nothing-makes": steps({}, {"inputMap": {"X": "muddle"}}),
    "no-output": steps({}, {"outputMap": {"Y": "elsewhere"}}),
    "two-makers": steps({"outputMap": {"Y": "Y"}, "inputMap": {"X": "X"}}, {"inputMap": {"X": "X"}}),
    "circle": steps({"inputMap": {"X": "Y"}}, {}),
    "no-input-map": steps({"inputMap": {}}, {}),
}  # fmt: skip
BODY = """
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        found = [pb_utils.get_input_tensor_by_name(request, "X").as_numpy() for request in requests]
        return [pb_utils.InferenceResponse([pb_utils.Tensor("Y", x)]) for x in found]
"""


def version(models: dict[str, dict[str, Any]]) -> ModelVersion:
    pin = {"uri": "s3://m/x", "size": "1", "sha256": "0" * 64}
    found = {
        name: {"config": config, "files": [] if "ensembleScheduling" in config else ["weights/model.py"]}
        for name, config in models.items()
    }
    return ModelVersion.model_validate({
        "apiVersion": "mrc.dev/v1alpha1", "kind": "ModelVersion", "metadata": {"name": "m", "version": "1"},
        "spec": {
            "image": f"a@sha256:{'0' * 64}", "resources": {"cpu": "1"}, "bundle": {"weights": {"model.py": pin}},
            "triton": {"models": found},
            "lineage": {"code": {"repository": "https://git.example.com/x.git", "commit": "0" * 40}}, "evaluation": pin,
        },
    })  # fmt: skip


def repository(root: Path, models: dict[str, dict[str, Any]], *, ours: bool) -> None:
    """A model repository with the configs as mrc writes them, or without what mrc refuses."""
    for name, config in models.items():
        folder = root / name
        (folder / "1").mkdir(parents=True)
        if ours:
            text = modelconfig.config(version({key: as_read(each) for key, each in models.items()}), name).text
        else:
            text = text_format.MessageToString(json_format.ParseDict({**config, "name": name}, ModelConfig()))
        (folder / "config.pbtxt").write_text(text)
        if "ensembleScheduling" not in config:
            (folder / "1/model.py").write_text(BODY)


def test_triton_loads_every_scheduler_as_mrc_writes_it(tmp_path: Path) -> None:
    models = {name: IO | each for name, each in ACCEPTED.items()} | {"one": IO, "both": ENSEMBLE | steps({}, {})}
    repository(tmp_path, models, ours=True)
    with triton.serve(tmp_path, "--rate-limit=execution_count") as server:
        found = {name: server.load(name) for name in models}
        assert found == {name: [] for name in found}, server.log()


def test_what_triton_refuses_mrc_has_refused_before(tmp_path: Path) -> None:
    models = {name: IO | each for name, each in REFUSED.items()}
    models |= {"one": IO} | {name: ENSEMBLE | each for name, each in ENSEMBLES.items()}
    said = {}
    for name in {**REFUSED, **ENSEMBLES}:
        try:
            modelconfig.config(version({key: as_read(models[key]) for key in ("one", name)}), name)
        except modelconfig.ConfigError as refused:
            said[name] = [json.dumps(one.path) for one in refused.problems]
    assert said.keys() == {**REFUSED, **ENSEMBLES}.keys()
    repository(tmp_path, models, ours=False)
    with triton.serve(tmp_path) as server:
        assert server.load("one") == []
        assert [name for name in {**REFUSED, **ENSEMBLES} if server.load(name) == []] == []
