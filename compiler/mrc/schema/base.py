"""What every document shares: strict models, the envelope, and text types with a pattern."""

import re
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from mrc.schema.core import PydanticCustomError
from mrc.schema.lean import AfterValidator, BaseModel, ConfigDict, to_camel

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic_core import CoreSchema

API_VERSION = "mrc.dev/v1alpha1"


class Model(BaseModel):
    """A frozen mapping with camelCase keys that refuses any other key."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, defer_build=True)


def _text(
    pattern: str,
    what: str,
    longest: int,
    error: str = "pattern",
    *,
    any_ascii: bool = False,
    meant: Callable[[str], str] | None = None,
) -> Any:
    """Annotations of a string that must match `pattern` whole; `error` is pydantic's error type.

    `any_ascii` says that all printable ASCII does which is not blank: most texts then need no pattern. `meant` turns
    the usual mistake into what was meant, which the message then says where it fits the pattern.
    """

    @cache
    def compiled() -> re.Pattern[str]:  # when it is first met: a run meets few of them
        return re.compile(pattern)

    def validate(text: str) -> str:
        if any_ascii and 0 < len(text) <= longest and text.isascii() and text.isprintable() and not text.isspace():
            return text
        if len(text) > longest or not compiled().fullmatch(text):
            shown = text if len(text) <= 80 else text[:77] + "..."
            instead = meant(text) if meant is not None else ""
            hint = f' (write "{instead}")' if len(instead) <= longest and compiled().fullmatch(instead) else ""
            raise PydanticCustomError(error, "{shown} is not {what}", {"shown": repr(shown), "what": f"{what}{hint}"})
        return text

    return AfterValidator(validate), _Described(pattern, what, longest)


class _Described(NamedTuple):
    """What an editor is told of a text."""

    pattern: str
    what: str
    longest: int

    def __get_pydantic_json_schema__(self, schema: "CoreSchema", handler: "GetJsonSchemaHandler") -> dict[str, Any]:
        # Editors take a plain 1.10 or 12e45 for a number; mrc reads the text as it stands.
        numbers = any(re.fullmatch(self.pattern, text) for text in ("1", "1.5", "1e5"))
        kind = ["string", "number"] if numbers else "string"
        pattern = f"^(?:{self.pattern})$"
        return {"type": kind, "pattern": pattern, "maxLength": self.longest, "description": self.what}


def _hyphens(text: str) -> str:
    return re.sub(r"[\s_]+", "-", text.strip().lower())


_LABEL = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
# Nor what turns text round on the screen, and not in the file.
_PRINTABLE = r"[^\x00-\x1f\x7f\x85\u2028-\u202e\u2066-\u2069\ud800-\udfff]*"
_INK = _PRINTABLE.removesuffix("*").replace("[^", r"[^\s", 1)
_URL = r"[^\s\x00-\x1f\x7f\"'<>\\^`{|}]+"

# Names become file names, Kubernetes names and label values: 40 leaves room for `-canary` and `-v42-<hash>`.
Name = Annotated[
    str,
    *_text(
        r"[a-z](?:[-a-z0-9]*[a-z0-9])?",
        "a name of lower-case letters, digits and hyphens, 40 at most",
        40,
        meant=_hyphens,
    ),
]
DnsLabel = Annotated[
    str, *_text(_LABEL, "a Kubernetes name of lower-case letters, digits and hyphens", 63, meant=_hyphens)
]
DnsName = Annotated[str, *_text(rf"{_LABEL}(?:\.{_LABEL})*", "a DNS name", 253)]
# A host is `<model>-grpc.<domain>`, and 253 long at most.
Domain = Annotated[str, *_text(rf"{_LABEL}(?:\.{_LABEL})*", "a DNS name below which there is room for models", 207)]
Words = Annotated[str, *_text(f"{_PRINTABLE}{_INK}{_PRINTABLE}", "a line of words", 1024, any_ascii=True)]
Line = Annotated[str, *_text(_PRINTABLE, "one line of printable text", 1024, any_ascii=True)]
Group = Annotated[
    str,
    *_text(
        r"[A-Za-z0-9](?:[A-Za-z0-9._:@/-]*[A-Za-z0-9])?",
        "the name of a group: letters, digits and any of ._:@/-, without blanks",
        253,
    ),
]
LabelName = Annotated[str, *_text(r"[a-zA-Z_][a-zA-Z0-9_]*", "a Prometheus label name", 128)]
LabelKey = Annotated[
    str,
    *_text(
        rf"(?:{_LABEL}(?:\.{_LABEL})*/)?[A-Za-z0-9](?:[A-Za-z0-9._-]{{0,61}}[A-Za-z0-9])?",
        "a Kubernetes label key",
        317,
    ),
]
# https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/ : all others need a domain.
ResourceName = Annotated[
    str,
    *_text(
        rf"cpu|memory|ephemeral-storage|hugepages-[0-9]+[KMG]i"
        rf"|{_LABEL}(?:\.{_LABEL})*/[A-Za-z0-9](?:[A-Za-z0-9._-]{{0,61}}[A-Za-z0-9])?",
        "a resource of Kubernetes: cpu, memory, ephemeral-storage, or one with its domain such as nvidia.com/gpu",
        317,
    ),
]
LabelValue = Annotated[str, *_text(r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)?", "a Kubernetes label value", 63)]
MetricName = Annotated[str, *_text(r"[a-z][a-z0-9_]*", "a metric's name of lower-case letters, digits and _", 80)]
HttpUrl = Annotated[str, *_text(rf"https?://{_URL}", "an http or https address", 2048)]
# Where a token is sent: by TLS, or to this machine.
TokenUrl = Annotated[
    str,
    *_text(
        r"(?:https://[A-Za-z0-9.-]+|http://(?:127\.0\.0\.1|localhost))(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~-]+)*",
        "an https:// address of a host and a path, such as https://git.example.com/api/v1",
        2048,
    ),
]
RepositoryName = Annotated[
    str,
    *_text(
        r"(?!.*(?:^|/)\.{1,2}(?:/|$))[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)+",
        "a repository with its owner, such as example/models",
        500,
    ),
]
FilePath = Annotated[
    str,
    *_text(
        r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)*",
        "a relative file path of letters, digits, dots, hyphens and underscores",
        200,
    ),
]
Image = Annotated[
    str,
    *_text(
        r"[a-z0-9][a-zA-Z0-9._:/-]*@sha256:[0-9a-f]{64}",
        "an image pinned by digest (name@sha256:<64 hex digits>); a tag can move",
        512,
        "unpinned",
    ),
]
Commit = Annotated[
    str,
    *_text(r"[0-9a-f]{40}", "a full commit (40 hex digits); a branch, tag or short hash can move", 200, "unpinned"),
]
Sha256 = Annotated[str, *_text(r"[0-9a-f]{64}", "a sha256 digest (64 lower-case hex digits)", 200, "unpinned")]
ArtifactUri = Annotated[
    str,
    *_text(rf"(?:file:///|https://|s3://){_URL}", "a file:///, https:// or s3:// address", 2048),
]
RepositoryUrl = Annotated[
    str,
    *_text(
        rf"(?:https|ssh)://{_URL}",
        "an https:// or ssh:// address of a git repository",
        2048,
        # What git prints: user@host:path
        meant=lambda text: re.sub(r"\A([^\s/:@]+@[^\s/:@]+):/?(?=[^\s/])", r"ssh://\1/", text),
    ),
]


class Metadata(Model):
    """Which document this is."""

    name: Name
    """The name that the path of the file has too.

    Example: fraud-detector
    """


class Envelope(Model):
    """`apiVersion`, `kind`, `metadata`, `spec`, as in Kubernetes."""

    api_version: Literal["mrc.dev/v1alpha1"]
    """The form of the document. A released one is read for ever."""
    kind: str
    """What the document is; it belongs to the folder."""


def exactly_one(model: BaseModel, *names: str) -> None:
    """Raise unless exactly one of the fields is given."""
    given = [name for name in names if getattr(model, name) is not None]
    if len(given) != 1:
        fields = type(model).model_fields
        shown = ", ".join(str(fields[name].alias) for name in names)
        found = " and ".join(str(fields[name].alias) for name in given) or "none"
        raise PydanticCustomError("exactly_one", "give exactly one of {shown}, not {found}",
                                  {"shown": shown, "found": found})  # fmt: skip
