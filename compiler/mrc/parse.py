"""Document to object: the schema's findings, each at its place in the user's words."""

from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

from mrc.diagnostics import Diagnostic, error
from mrc.read import Document, Path
from mrc.schema import API_VERSION, KINDS, Envelope
from mrc.schema.core import ValidationError
from mrc.schema.lean import BaseModel
from mrc.spelling import closest

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

UNKNOWN_KEY = error(
    "MRC101", "unknown key",
    reason="A key that nobody reads is a wish that nobody fulfils; a typo in a threshold must not pass in silence.",
    hint="correct or remove it; `mrc explain KIND` lists every key",
)  # fmt: skip
MISSING_KEY = error(
    "MRC102", "missing key",
    reason="mrc fills in nothing that decides how a model is rolled out.",
    hint="add it; `mrc explain KIND` lists every key, `mrc explain KEY` shows one with an example",
)  # fmt: skip
WRONG_VALUE = error(
    "MRC103", "wrong value",
    reason="Values are typed by the schema, exactly: durations, shares, rates and quantities are not guessed.",
    hint="write it as the message says; `mrc explain KEY` shows an example",
)  # fmt: skip
UNPINNED = error(
    "MRC104", "unpinned part",
    reason="A version is what was tested. A tag, a branch or a file without a digest can change under it, and the "
    "version that a rollback brings back would be another one.",
    hint="pin it: an image by @sha256, a file by size and sha256, code by a full commit",
)  # fmt: skip
WRONG_KIND = error(
    "MRC105", "not a document that mrc reads",
    reason="The kind says how a file is read.",
    hint=f"start with apiVersion: {API_VERSION} and the kind that belongs to the folder",
)  # fmt: skip
RULES = (UNKNOWN_KEY, MISSING_KEY, WRONG_VALUE, UNPINNED, WRONG_KIND)

_PIN_KEYS = {"sha256", "size"}
# What YAML 1.1 takes for true and false, and mrc for text.
_TRUTH = {**dict.fromkeys(("yes", "y", "on", "1"), "true"), **dict.fromkeys(("no", "n", "off", "0"), "false")}
_SHAPES = {"model_type", "model_attributes_type", "dict_type", "list_type", "too_short"}


def parse(document: Document, kind: str) -> Envelope | list[Diagnostic]:
    """The object of that kind, or everything that is wrong with the document."""
    found = document.data.get("kind")
    if found != kind:
        said = f"kind is {found!r}" if found is not None else "it has no kind"
        hint = f"write kind: {kind}"
        return [document.report(WRONG_KIND, ("kind",), f"{said} where {kind} belongs", hint)]
    version = document.data.get("apiVersion")
    if version != API_VERSION:
        said = f"apiVersion is {version!r}" if version is not None else "it has no apiVersion"
        hint = f"write apiVersion: {API_VERSION}"
        return [document.report(WRONG_KIND, ("apiVersion",), f"{said}; mrc reads {API_VERSION}", hint)]
    model = KINDS[kind]
    try:
        return model.model_validate(document.data)
    except ValidationError as problem:
        details = problem.errors(include_url=False)
        return [_diagnostic(document, model, detail) for detail in details]


def _diagnostic(document: Document, model: type[BaseModel], detail: "ErrorDetails") -> Diagnostic:
    path, error_type = _path(document, detail["loc"]), detail["type"]
    if error_type == "extra_forbidden":
        key = str(path[-1])
        known = _keys(model, path[:-1])
        close = closest(key, known)
        message = f"unknown key {_shown(key)}" + (f"; did you mean {close}?" if close else "")
        hint = None if close else f"the keys here are {', '.join(known)}"
        return document.report(UNKNOWN_KEY, path, message, hint, at_key=True)
    if error_type == "missing":
        key = str(detail["loc"][-1])
        if key in _PIN_KEYS:
            return document.report(UNPINNED, path, f"the file is not pinned: {key} is missing")
        where = f" in {_shown(str(path[-1]))}" if path else ""
        return document.report(MISSING_KEY, path, f"{key} is missing{where}")
    if error_type == "unpinned":
        return document.report(UNPINNED, path, detail["msg"])
    hint = _hint(detail) or _example(model, path, detail["type"])
    return document.report(WRONG_VALUE, path, _words(detail), hint, at_key=detail["loc"][-1:] == ("[key]",))


def _path(document: Document, loc: tuple[str | int, ...]) -> Path:
    """The part of pydantic's location that exists in the document (it adds marks such as [key])."""
    value: Any = document.data
    path: list[str | int] = []
    for step in loc:
        in_list = isinstance(value, list) and isinstance(step, int) and step < len(value)
        if not in_list and not (isinstance(value, dict) and step in value):
            continue
        value = value[step]
        path.append(step)
    return tuple(path)


def _words(detail: "ErrorDetails") -> str:
    """The reason in the user's words."""
    context = detail.get("ctx", {})
    match detail["type"]:
        case "value_error":
            return str(context["error"])
        case "literal_error":
            return f"{_shown(detail['input'])} is not one of {context['expected']}"
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"{_shown(detail['input'])} stands where a mapping belongs"
        case "list_type":
            return f"{_shown(detail['input'])} stands where a list belongs"
        case "string_type":
            return f"{_shown(detail['input'])} stands where text belongs"
        case "bool_type" | "bool_parsing":
            meant = _TRUTH.get(str(detail["input"]).lower())
            hint = f" (write {meant})" if meant else ""
            return f"{_shown(detail['input'])} is neither true nor false{hint}"
        case "too_short":
            return "nothing is listed here; at least one entry is needed"
        case _:
            return detail["msg"]


def _hint(detail: "ErrorDetails") -> str | None:
    if detail["type"] == "literal_error":
        choices = [choice.strip("'") for choice in detail["ctx"]["expected"].replace(" or ", ", ").split(", ")]
        close = closest(str(detail["input"]), choices, 0.5)
        return f"did you mean {close}?" if close else None
    if detail["type"] == "string_type" and isinstance(detail["input"], bool):
        return f'quote it: "{str(detail["input"]).lower()}"'
    return None


def _example(model: type[BaseModel], path: Path, error_type: str) -> str | None:
    """Where a mapping or a list belongs, one that is right says more than a word for it."""
    if error_type not in _SHAPES or not path or not isinstance(path[-1], str):
        return None
    from mrc.schema.fields import described  # reads the schema's source, and is needed for mistakes alone

    above = _at(model, path[:-1])
    if not _is_model(above):
        return None
    name = next((name for name, field in above.model_fields.items() if field.alias == path[-1]), "")
    example = described(above)[name].example if name else ""
    return f"write it as here: {example}" if example else None


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "null"
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _keys(model: type[BaseModel], path: Path) -> list[str]:
    """The keys that the schema knows at `path`."""
    found = _at(model, path)
    return list(_fields(found)) if _is_model(found) else []


def _at(model: type[BaseModel], path: Path) -> Any:
    """The type of the value at `path`."""
    here: Any = model
    for step in path:
        here = _value_type(_bare(here), step)
    return _bare(here)


def _value_type(annotation: Any, step: str | int) -> Any:
    """The annotation of the value at one key or index."""
    if _is_model(annotation):
        return _fields(annotation).get(str(step))
    arguments = get_args(annotation)
    return arguments[-1] if arguments else None  # dict[key, value] or list[value]


def _bare(annotation: Any) -> Any:
    """The annotation without Annotated and without `| None`."""
    while get_origin(annotation) in (Annotated, Union, UnionType):
        annotation = get_args(annotation)[0]
    return annotation


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _fields(model: type[BaseModel]) -> dict[str, Any]:
    return {str(field.alias): field.annotation for field in model.model_fields.values()}
