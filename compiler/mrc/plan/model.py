"""A plan: what a change would do, as data. The JSON of `mrc plan` is this, field by field.

Times are whole seconds; shares are percent of the model's traffic; None says that there is none, or that it cannot be
known from files.
"""

from typing import Any, ClassVar, Literal

from mrc.diagnostics import Severity
from mrc.records import dataclass
from mrc.schema.lean import to_camel
from mrc.settings import Direction

FORMAT = "mrc.dev/plan/v1alpha1"

Kind = Literal["added", "removed", "promotion", "rollback", "restart", "moved", "edit"]
Sign = Literal["+", "~", "-"]
Back = Literal["traffic", "commit", "pods"]


class Part:
    """What the parts share: camelCase in JSON, and the docstring below a field as its description."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {
        "alias_generator": to_camel, "use_attribute_docstrings": True, "extra": "forbid",
    }  # fmt: skip


@dataclass(frozen=True)
class Finding(Part):
    """A problem that `mrc check` finds in what changes."""

    code: str
    severity: Severity
    message: str
    file: str
    line: int
    """From 1; 0 means the file as a whole."""
    column: int
    hint: str


@dataclass(frozen=True)
class FileOfBundle(Part):
    """A pinned part of the version: a file of the bundle, an image, a config or data, and how it changes."""

    sign: Sign
    role: str
    """weights, tokenizer, preprocessing, prompts, retrievalIndex, adapters; or image, config, settings, data."""
    name: str
    before: str | None
    """What pins it: a SHA-256, an image, or a value as it was written."""
    after: str | None
    size: int | None = None
    """Bytes of the new file."""


@dataclass(frozen=True)
class Commits(Part):
    """The code that made the two versions: what a reader of the range would review."""

    repository: str
    before: str | None
    after: str


@dataclass(frozen=True)
class VersionChange(Part):
    """What the new version has that the one before has not."""

    files: tuple[FileOfBundle, ...]
    same: tuple[str, ...]
    """Roles in which nothing changed."""
    commits: Commits | None
    """None where both were made by the same commit."""


@dataclass(frozen=True)
class StagePlan(Part):
    """A phase of the rollout: who meets the new version, from when, for how long."""

    kind: Literal["shadow", "preview", "traffic", "approval", "bake", "warm"]
    percent: float
    """What the new version gets of the traffic; copies of it in a shadow."""
    starts: int
    """Seconds after the start of the rollout, without the time that approvals and starting pods take."""
    approvals: int
    """How many approvals come before it."""
    seconds: int | None
    """How long it is; None where a person ends it."""
    group: str | None
    """Who ends it."""
    per_second: float
    """Requests a second that the new version answers, by expectedTraffic."""
    exposed: int | None
    """Requests that users had answered by the new version up to the end of this stage; None once a person decides. At
    least so many, where sessions are pinned."""
    at_risk: int | None
    """Requests that a bad version answers in this stage at worst, until all requests are on the fallback again. Where
    sessions are pinned, every session may have met it: then these are all requests."""
    back: Back | None
    """What going back takes in this stage: Argo moves the traffic at once; a commit, then the traffic moves; or pods
    must start first. None where there is nothing to go back to. Pinned sessions follow within their lifetime."""
    half_met: int | None = None
    """Where sessions are pinned: after how many requests in this stage half of the sessions have met the new version,
    and stay with it. None where they are not, and after the promotion."""


@dataclass(frozen=True)
class Watch(Part):
    """What one guardrail does in one phase."""

    phase: str
    does: Literal["abort", "rollback", "page", "ticket", "nothing"]
    """`abort` is Argo's, at once; `rollback` is an alert and a commit."""
    seconds: int | None = None
    """Where it goes back by itself: the worst case from the onset until all requests are on the fallback."""
    approvals: int = 0
    """How many approvals the way back waits for, which are not in `seconds`."""
    partly: bool = False
    """Whether the phase is too short for a whole window of its own."""
    samples: int | None = None
    """Requests of the new version in the guardrail's window at the end of the phase, where they can be counted."""
    smallest: float | None = None
    """The smallest share of bad requests that one window finds with a power of 80 %, where it can be computed."""
    false_alarm: float | None = None
    """The share of rollouts in which a healthy version is accused in this phase: one with a quarter of the bad requests
    that the limit allows, or with as many as stable. Before the promotion, where it goes back by itself and can be
    computed."""
    false_alarms_a_month: float | None = None
    """How often a healthy version is accused in 30 days after the promotion, where it can be computed."""
    why: str = ""
    """Why it does nothing."""


@dataclass(frozen=True)
class GuardrailPlan(Part):
    """A guardrail across the phases of the rollout, in their order."""

    name: str
    title: str
    limit: str
    window: int
    phases: tuple[Watch, ...]


@dataclass(frozen=True)
class TimePart(Part):
    """One part of a worst case: what it is, and its seconds."""

    name: str
    seconds: int


@dataclass(frozen=True)
class Restore(Part):
    """The slowest guardrail of a phase, from the onset of a failure until all requests are on the fallback."""

    phase: Literal["rollout", "bake", "warm", "cold"]
    """`warm` and `cold` are after the promotion, with the fallback running or not."""
    guardrail: str
    detection: tuple[TimePart, ...]
    execution: tuple[TimePart, ...]
    seconds: int
    approvals: tuple[str, ...]
    """Groups that must approve on the way back: that takes as long as it takes, and is not in `seconds`."""
    budget: int | None
    """timeToRestore, of the policy or of the environment's owners; a cold start has none."""


@dataclass(frozen=True)
class WayBack(Part):
    """What a rollback of this change would return to, and whether only traffic has to move for it."""

    version: int | None
    """None where there is nothing to go back to."""
    restorable: bool
    """Whether its pod template, rendered now, equals what runs: going back then only moves traffic."""
    why: str
    warm: int | None
    """Seconds for which it is kept running after the promotion."""
    seconds_to_cold_start: int | None
    """What a start of its pods may take at most, where nothing is warm."""
    stages_again: bool
    """Whether Argo would not know its pods again, and takes them through the stages of a rollout."""


@dataclass(frozen=True)
class Warmth(Part):
    """A version that keeps running, or does not any more, because of this change."""

    version: int
    becomes: Literal["warm", "cold"]
    when: str


@dataclass(frozen=True)
class Setting(Part):
    """A value of the policy or the environment that changes, and whether the change makes it looser."""

    name: str
    before: str | None
    after: str | None
    direction: Direction


@dataclass(frozen=True)
class ObjectChange(Part):
    """A Kubernetes object that is added, changed or removed."""

    sign: Sign
    kind: str
    name: str
    namespace: str
    file: str
    fields: tuple[str, ...]
    """Where a changed object differs, such as spec.template."""


@dataclass(frozen=True)
class FileChange(Part):
    """A rendered file that is added, changed or removed, with the unified diff of its text."""

    sign: Sign
    path: str
    added: int
    removed: int
    diff: tuple[str, ...]
    """Lines of the unified diff, without the two that name the file."""


@dataclass(frozen=True)
class ReleasePlan(Part):
    """What changes for one model in one environment: what it means, then objects, then text."""

    model: str
    environment: str
    team: str
    kind: Kind
    """`promotion` and `rollback` change the version; `restart` replaces the pods of the same one; `moved` starts them
    in another namespace or cluster; `edit` replaces no pod."""
    version_before: int | None
    version_after: int | None
    fallback_before: int | None
    fallback_after: int | None
    version: VersionChange | None
    stages: tuple[StagePlan, ...]
    """Of the rollout that this change starts; of the next one where it starts none, as when a model is new."""
    guardrails: tuple[GuardrailPlan, ...]
    unwatched: tuple[str, ...]
    """Guardrails of the policy that do not watch in this environment."""
    restore: tuple[Restore, ...]
    """How long going back takes at worst, by phase, for hard failures and anomalies over minutes."""
    way_back: WayBack | None
    warmth: tuple[Warmth, ...]
    same_bundle: str | None
    """Where a model is removed, the new one of this environment that serves the very same bundle: another name for it.
    Where one is added, the one that is removed so."""
    new_versions: tuple[int, ...]
    """Versions that come with this change and serve nothing here yet."""
    sessions: int | None
    """Seconds for which a session stays with the new version once it has met it: more requests meet it than the shares
    of the traffic say. None where sessions are not pinned."""
    freezes: tuple[str, ...]
    """When the environment lets no new version in, where this change would bring one."""
    frozen: tuple[str, ...]
    """Those that the time of `--now` falls into, or that begin before a rollout from then on is over (without what
    approvals take)."""
    settings: tuple[Setting, ...]
    objects: tuple[ObjectChange, ...]
    files: tuple[FileChange, ...]

    @property
    def name(self) -> str:
        return f"{self.model} in {self.environment}"

    @property
    def starts_rollout(self) -> bool:
        """Whether pods are replaced in the stages of a rollout: Argo skips them when it first deploys a model."""
        return self.kind not in ("added", "removed", "moved", "edit")


@dataclass(frozen=True)
class EnvironmentPlan(Part):
    """An environment whose own document changes, and what that does to the models in it."""

    name: str
    settings: tuple[Setting, ...]
    restarts: tuple[str, ...]
    """Models whose pods are replaced although their version stays."""
    moves: tuple[str, ...] = ()
    """Models that are deployed anew in another namespace or cluster, all at once."""


@dataclass(frozen=True)
class Counts(Part):
    """How many objects or files are added, changed and removed."""

    added: int
    changed: int
    removed: int


@dataclass(frozen=True)
class Unplanned(Part):
    """A model in every environment, or an environment with every model, whose documents have errors."""

    model: str | None
    environment: str | None
    why: str


@dataclass(frozen=True)
class Plan(Part):
    """What a change does to every model in every environment that it touches."""

    format: str
    """`mrc.dev/plan/v1alpha1`. Fields are added to a version, never renamed or removed."""
    base: str
    """The commit that is compared with: the merge base."""
    findings: tuple[Finding, ...]
    environments: tuple[EnvironmentPlan, ...]
    releases: tuple[ReleasePlan, ...]
    unplanned: tuple[Unplanned, ...]
    shared: tuple[FileChange, ...]
    """Rendered files that belong to no single model."""
    objects: Counts
    files: Counts

    @property
    def failed(self) -> bool:
        return any(finding.severity is Severity.ERROR for finding in self.findings)

    @property
    def empty(self) -> bool:
        return not (self.releases or self.environments or self.shared or self.unplanned)
