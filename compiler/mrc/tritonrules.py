"""What Triton refuses when it loads a model, though its schema allows it.

Source: ValidateModelConfig and ValidateEnsembleSchedulingConfig in
https://github.com/triton-inference-server/core/blob/main/src/model_config_utils.cc and ensemble_utils.cc
"""

from collections import Counter
from collections.abc import Collection, Iterator
from graphlib import CycleError, TopologicalSorter
from typing import Any

from mrc.protoshape import Misfit
from mrc.spelling import closest

_TYPED = ("CONTROL_SEQUENCE_CORRID",)  # has a type; the other controls have a false and a true


def refusals(config: Any, models: Collection[str]) -> Iterator[Misfit]:
    """What Triton would say of this ModelConfig beside these models. Paths are in camelCase, as in the JSON form."""
    if config.max_batch_size < 0:
        yield Misfit(("maxBatchSize",), "maxBatchSize is below 0")
    yield from _tensors(config)
    yield from _dynamic(config)
    if config.HasField("sequence_batching"):
        yield from _sequence(config)
    if config.HasField("ensemble_scheduling"):
        yield from _ensemble(config, models)
    for index, group in enumerate(config.instance_group):
        yield from _instances(group, ("instanceGroup", index))
    for index, warmup in enumerate(config.model_warmup):
        yield from _warmup(config, warmup, ("modelWarmup", index))


def _tensors(config: Any) -> Iterator[Misfit]:
    for side in ("input", "output"):
        counted = Counter(tensor.name for tensor in getattr(config, side))
        for index, tensor in enumerate(getattr(config, side)):
            place = (side, index)
            if not tensor.name:
                yield Misfit(place, f"an {side} has no name")
            elif counted[tensor.name] > 1:
                yield Misfit((*place, "name"), f"several {side}s are called {tensor.name!r}")
            if not tensor.data_type:
                yield Misfit(place, f"{tensor.name!r} has no dataType")
            if any(dim < 1 and dim != -1 for dim in tensor.dims) or not tensor.dims:
                yield Misfit((*place, "dims"), f"dims of {tensor.name!r} must be at least 1, or -1")


def _dynamic(config: Any) -> Iterator[Misfit]:
    batching, place = config.dynamic_batching, "dynamicBatching"
    yield from _preferred(batching, config.max_batch_size, (place,))
    levels = batching.priority_levels
    if levels and not 0 < batching.default_priority_level <= levels:
        message = f"defaultPriorityLevel {batching.default_priority_level} is not in 1..priorityLevels ({levels})"
        yield Misfit((place, "defaultPriorityLevel"), message)
    if levels > 1 and batching.preserve_ordering:
        yield Misfit((place, "preserveOrdering"), f"the order cannot be kept among {levels} priorityLevels")
    for level in sorted(batching.priority_queue_policy):
        if not 0 < level <= levels:
            message = f"priority {level} is not in 1..priorityLevels ({levels})"
            yield Misfit((place, "priorityQueuePolicy", str(level)), message, at_key=True)


def _preferred(batching: Any, largest: int, place: tuple[str, ...]) -> Iterator[Misfit]:
    for size in batching.preferred_batch_size:
        if not 0 < size <= largest:
            message = f"preferred batch size {size} is not in 1..maxBatchSize ({largest})"
            yield Misfit((*place, "preferredBatchSize"), message)


def _sequence(config: Any) -> Iterator[Misfit]:
    batching, place = config.sequence_batching, "sequenceBatching"
    yield from _preferred(batching.oldest, config.max_batch_size, (place, "oldest"))
    kinds: Counter[str] = Counter()
    names: Counter[str] = Counter()
    for index, tensor in enumerate(batching.control_input):
        where = (place, "controlInput", index)
        names[tensor.name] += 1
        if not tensor.name or names[tensor.name] > 1:
            yield Misfit(where, "a control input needs a name of its own")
        if not tensor.control:
            yield Misfit(where, f"control input {tensor.name!r} says no control")
        for number, control in enumerate(tensor.control):
            kind = control.Kind.Name(control.kind)
            kinds[kind] += 1
            here = (*where, "control", number)
            if kinds[kind] > 1:
                yield Misfit(here, f"{kind} is sent twice")
            pairs = [
                each for each in (control.int32_false_true, control.fp32_false_true, control.bool_false_true) if each
            ]
            if kind in _TYPED:
                if pairs:
                    yield Misfit(here, f"{kind} has a dataType, and no false and true")
                elif not control.data_type:
                    yield Misfit(here, f"{kind} has no dataType")
            elif len(pairs) != 1 or len(pairs[0]) != 2:
                message = f"{kind} needs a false and a true: one of int32FalseTrue, fp32FalseTrue, boolFalseTrue"
                yield Misfit(here, message)
    for index, state in enumerate(batching.state):
        where = (place, "state", index)
        if not state.input_name or not state.output_name:
            yield Misfit(where, "a state needs inputName and outputName")
        if not state.data_type or not state.dims:
            yield Misfit(where, "a state needs dataType and dims")


def _instances(group: Any, place: tuple[str | int, ...]) -> Iterator[Misfit]:
    if group.count < 0:
        yield Misfit((*place, "count"), f"count is {group.count}")
    kind = group.Kind.Name(group.kind)
    if group.gpus and kind in ("KIND_CPU", "KIND_MODEL"):
        yield Misfit((*place, "gpus"), f"{kind} runs on no listed GPU")
    for index, resource in enumerate(group.rate_limiter.resources):
        if not resource.name:
            yield Misfit((*place, "rateLimiter", "resources", index), "a resource of the rate limiter has no name")


def _warmup(config: Any, warmup: Any, place: tuple[str | int, ...]) -> Iterator[Misfit]:
    if not warmup.name:
        yield Misfit(place, "a warmup sample has no name")
    if warmup.batch_size > max(1, config.max_batch_size):
        message = f"batchSize {warmup.batch_size} is over maxBatchSize ({config.max_batch_size})"
        yield Misfit((*place, "batchSize"), message)
    inputs = {tensor.name for tensor in config.input}
    for name, one in warmup.inputs.items():
        if name not in inputs:
            yield Misfit((*place, "inputs", name), f"the model has no input {name!r}", at_key=True)
        if one.WhichOneof("input_data_type") is None:
            message = f"{name!r} needs one of zeroData, randomData, inputDataFile"
            yield Misfit((*place, "inputs", name), message)


def _ensemble(config: Any, models: Collection[str]) -> Iterator[Misfit]:
    scheduling, place = config.ensemble_scheduling, ("ensembleScheduling", "step")
    if config.instance_group:
        yield Misfit(("instanceGroup",), "an ensemble runs nowhere itself: leave out instanceGroup")
    if not scheduling.step:
        yield Misfit(("ensembleScheduling",), "an ensemble needs at least one step")
    producer: dict[str, int] = {}
    inputs = {tensor.name for tensor in config.input}
    for index, step in enumerate(scheduling.step):
        where = (*place, index)
        if step.model_name not in models or step.model_name == config.name:
            close = closest(step.model_name, models)
            meant = f"; did you mean {close}?" if close else ""
            message = f"the step names {step.model_name!r}, which this version does not have{meant}"
            yield Misfit((*where, "modelName"), message)
        for key, mapped in (("inputMap", step.input_map), ("outputMap", step.output_map)):
            if not mapped:
                yield Misfit(where, f"the step has no {key}")
        for name, tensor in step.output_map.items():
            if tensor in producer or tensor in inputs:
                yield Misfit((*where, "outputMap", name), f"the tensor {tensor!r} comes from two places")
            producer.setdefault(tensor, index)
    yield from _flow(config, producer, inputs)


def _flow(config: Any, producer: dict[str, int], inputs: set[str]) -> Iterator[Misfit]:
    """Every tensor that is read must come from somewhere, and none from what waits for it."""
    steps, place = config.ensemble_scheduling.step, ("ensembleScheduling", "step")
    waits: dict[int, set[int]] = {index: set() for index in range(len(steps))}
    for index, step in enumerate(steps):
        for name, tensor in step.input_map.items():
            if tensor in producer:
                waits[index].add(producer[tensor])
            elif tensor not in inputs:
                close = closest(tensor, [*producer, *inputs])
                meant = f"; did you mean {close}?" if close else ""
                yield Misfit((*place, index, "inputMap", name), f"nothing makes the tensor {tensor!r}{meant}")
    for index, tensor in enumerate(config.output):
        if tensor.name not in producer:
            yield Misfit(("output", index, "name"), f"no step makes the output {tensor.name!r}")
    try:
        TopologicalSorter(waits).prepare()
    except CycleError as cycle:
        shown = " -> ".join(steps[index].model_name for index in cycle.args[1])
        yield Misfit(place, f"the steps wait for each other: {shown}")
