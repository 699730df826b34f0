"""`Repository`: marks the root of a tree, pins mrc, names the base branch, declares metrics of its own."""

from typing import Annotated, Literal

from mrc.schema.base import Envelope, MetricName, Model, Words, _text
from mrc.schema.guardrail import PromQL, Unit
from mrc.schema.lean import Field

VersionPin = Annotated[
    str, *_text(r"(?:0|[1-9]\d*)(?:\.(?:\d+|\*)){1,2}", "a version of mrc such as 0.1.* or 0.1.2", 40)
]
Revision = Annotated[str, *_text(r"[A-Za-z0-9][A-Za-z0-9._/-]*", "a git branch such as origin/main", 250)]


class OwnMetric(Model):
    """What the catalogue says of a metric, said by the repository.

    In both expressions `$model`, `$namespace` and `$environment` are what a label is compared with (`model=$model`),
    and `$window` is the guardrail's window (`[$window]`). Each yields one value by `version`.
    """

    title: Words
    """What is measured, in the words of its reader.

    Example: share of the questions for which nothing was found
    Rendered: the annotations of the alerts
    """
    unit: Unit
    """The unit of the value, in which a guardrail's limit is read.

    Example: ratio
    """
    worse: Literal["higher", "lower"]
    """Which direction is worse. A limit on the other side is an error.

    Example: higher
    """
    value: PromQL
    """The value by `version`. Of several series of a version the worst one counts.

    Example: sum by (version) (rate(rag_empty_total{model=$model}[$window]))
    Rendered: `mrc:guardrail:value`
    """
    samples: PromQL
    """How many observations the value rests on, by `version`.

    Example: sum by (version) (increase(rag_questions_total{model=$model}[$window]))
    Rendered: `mrc:guardrail:samples`
    """


class RepositorySpec(Model):
    """Which mrc, compared with what, and which metrics beside the catalogue's."""

    mrc: VersionPin
    """The version of mrc that renders this tree; `*` stands for any number. Another version refuses to work:
    it might render other bytes, and a fallback that is rendered otherwise is not restorable.

    Example: 0.1.*
    """
    base: Revision = "origin/main"
    """The branch that `mrc check` compares with unless `--base` names another revision.

    Example: origin/main
    """
    metrics: dict[MetricName, OwnMetric] = Field(default_factory=dict)
    """Metrics of the repository's own, which guardrails name as those of the catalogue.

    Rendered: where a guardrail names one
    """


class Repository(Envelope):
    """The root of a repository of policies."""

    kind: Literal["Repository"]
    spec: RepositorySpec


def allows(pin: str, version: str) -> bool:
    """Whether `version` (major.minor.patch) is one that the pin names; `*` stands for any part."""
    wanted, found = pin.split("."), version.split(".")
    return all(want in ("*", have) for want, have in zip(wanted, found, strict=False))
