"""A release to who meets the new version when, and to what watches it then."""

from fractions import Fraction

from mrc.guardrail import Guardrail, limit_in_words
from mrc.link import Release
from mrc.plan.model import Back, GuardrailPlan, StagePlan, Watch, WayBack
from mrc.plan.wayback import keeps_warm
from mrc.rollouts import Stage, active, stages

COLD = "cold"


def timeline(release: Release, back: WayBack) -> tuple[StagePlan, ...]:
    """The phases in their order. Requests are counted by expectedTraffic; copies and previews expose nobody."""
    rate = release.policy.expected_traffic.per_second
    found: list[StagePlan] = []
    starts = approvals = 0
    exposed: Fraction | None = Fraction(0)
    for stage in stages(release):
        seconds = stage.length.seconds if stage.length is not None else None
        per_second = Fraction(stage.share) * rate
        if stage.answers and exposed is not None:
            exposed = exposed + per_second * seconds if seconds is not None else None
        found.append(
            StagePlan(
                kind=stage.kind,
                percent=float(stage.share.percent),
                starts=starts,
                approvals=approvals,
                seconds=seconds,
                group=stage.group,
                per_second=float(per_second),
                exposed=None if exposed is None or stage.promoted else round(exposed),
                back=_back(release, stage, back),
            )
        )
        starts += seconds or 0
        approvals += stage.kind == "approval"
    return tuple(found)


def _back(release: Release, stage: Stage, back: WayBack) -> Back | None:
    if back.version is None:
        return None
    if stage.promoted:
        return "commit" if back.restorable else "pods"
    return "traffic" if keeps_warm(release) else "pods"


def watched(release: Release) -> tuple[GuardrailPlan, ...]:
    """Each guardrail across the phases: what it does in each, or why it does nothing."""
    phases = [stage for stage in stages(release) if stage.kind != "approval"]
    listening = active(release)
    found = []
    for guardrail in release.guardrails:
        watches = [_watch(release, guardrail, stage, silent=guardrail not in listening) for stage in phases]
        if phases and phases[-1].kind != "warm":
            watches.append(_after(release, guardrail, COLD))
        found.append(
            GuardrailPlan(
                guardrail.name,
                guardrail.title,
                limit_in_words(guardrail),
                guardrail.window.seconds,
                tuple(watches),
            )
        )
    return tuple(found)


def phase_name(stage: Stage) -> str:
    """`5%`, `bake`, `warm`: the head of a column."""
    return str(stage.share) if stage.kind == "traffic" else stage.kind


def _watch(release: Release, guardrail: Guardrail, stage: Stage, *, silent: bool) -> Watch:
    name = phase_name(stage)
    if silent:
        return Watch(name, "nothing", why="there is no fallback to compare with")
    if stage.promoted:
        return _after(release, guardrail, name)
    if guardrail.compares and not guardrail.of_pods and stage.kind == "bake":
        return Watch(name, "nothing", why="stable answers nothing any more")
    if stage.kind == "preview" and not guardrail.of_pods:
        return Watch(name, "nothing", why="no user's request reaches the preview")
    if guardrail.action == "rollback":
        return Watch(name, "abort")
    return Watch(name, guardrail.action)


def _after(release: Release, guardrail: Guardrail, name: str) -> Watch:
    if guardrail.compares:
        return Watch(name, "nothing", why="after the promotion there is no stable version to compare with")
    return Watch(name, guardrail.action)
