"""Versions with what their servers offer, and what the servers would refuse of them."""

from mrc import modelconfig, runtime
from mrc.diagnostics import Diagnostic, error
from mrc.link.release import Version
from mrc.load import Model
from mrc.read import Document, Path
from mrc.schema import ModelVersion

BAD_CONFIG = error(
    "MRC207", "Triton would refuse this model",
    reason="Triton says so at load time only, in its log, on a pod that then never becomes ready.",
    hint="correct the config; it is Triton's own ModelConfig in its JSON form",
    source="https://github.com/triton-inference-server/common/blob/main/protobuf/model_config.proto",
)  # fmt: skip
BAD_SERVER = error(
    "MRC221", "the server could not serve this version as it is written",
    reason="What the server misses it says at its start only, in the log of a pod that then never becomes ready; what "
    "it takes from elsewhere is not the version that was tested.",
    hint="make runtime and bundle agree",
)  # fmt: skip
RULES = (BAD_CONFIG, BAD_SERVER)


def link_versions(model: Model, known: dict[int, Version], found: list[Diagnostic]) -> dict[int, Version]:
    linked: dict[int, Version] = {}
    for number, (document, version) in sorted(model.versions.items()):
        if number in known and known[number].document is document:
            linked[number] = known[number]
            continue
        problems = [
            document.report(BAD_SERVER, ("spec", *one.path), one.message, one.hint, at_key=one.at_key)
            for one in runtime.problems(version)
        ]
        configs: dict[str, modelconfig.Config] = {}
        entrypoint: str = version.metadata.name
        if version.spec.triton is not None:
            configs, entrypoint = _triton(document, version, problems)
        if problems:
            found += problems
        else:
            linked[number] = Version(number, document, version, configs, entrypoint, runtime.server(version))
    return linked


def _triton(
    document: Document, version: ModelVersion, found: list[Diagnostic]
) -> tuple[dict[str, modelconfig.Config], str]:
    """The Triton configs by Triton model, and the model that clients call."""
    assert version.spec.triton is not None
    configs: dict[str, modelconfig.Config] = {}
    entrypoint = ""
    for name in version.spec.triton.models:
        try:
            configs[name] = modelconfig.config(version, name)
        except modelconfig.ConfigError as wrong:
            above: Path = ("spec", "triton", "models", name, "config")
            found += [
                document.report(BAD_CONFIG, (*above, *one.path), f"{name}: {one.message}", at_key=one.at_key)
                for one in wrong.problems
            ]
    try:
        entrypoint = modelconfig.entrypoint(version)
    except modelconfig.ConfigError as problem:
        found.append(document.report(BAD_CONFIG, ("spec", "triton"), str(problem)))
    return configs, entrypoint
