"""What the parts of a plan are called, in the same words on the terminal, in Markdown and in HTML."""

from collections.abc import Iterable

from mrc.plan.model import (
    Counts,
    EnvironmentPlan,
    FileOfBundle,
    Plan,
    ReleasePlan,
    Restore,
    Setting,
    Sign,
    StagePlan,
    Watch,
    WayBack,
)
from mrc.schema.units import Duration

KINDS = {
    "added": "new",
    "removed": "removed",
    "promotion": "promotion",
    "rollback": "rollback",
    "restart": "restart",
    "moved": "moved",
    "edit": "edit",
}
DOES = {"abort": "aborts", "rollback": "rolls back", "page": "pages", "ticket": "ticket", "nothing": "silent"}


def headline(release: ReleasePlan) -> str:
    """What happens to the version, in one line without the model's name."""
    before, after = release.version_before, release.version_after
    match release.kind:
        case "added":
            return f"{after} serves for the first time{_falls_back(release)}"
        case "removed":
            return f"{before} serves no more"
        case "promotion":
            return f"{before} → {after}{_falls_back(release)}"
        case "rollback":
            return f"{before} → {after}, an older version{_falls_back(release)}"
        case "moved":
            return f"{after} is deployed anew in another place, all at once, and what runs is left behind"
        case "restart":
            return f"{after} stays, and every pod is replaced in the stages of a rollout"
        case _:
            return f"{after} stays, and no pod is replaced"


def _falls_back(release: ReleasePlan) -> str:
    after = release.fallback_after
    return f", falls back to {after}" if after is not None else ", with nothing to fall back to"


def total(plan: Plan) -> str:
    """The last line: how much there is of it."""
    if plan.empty:
        return "Nothing changes."
    kinds = [release.kind for release in plan.releases]
    parts = [
        many(kinds.count("promotion"), "promotion"),
        many(kinds.count("rollback"), "rollback"),
        many(kinds.count("restart"), "restart"),
        many(kinds.count("moved"), "move"),
        many(kinds.count("edit"), "edit"),
        f"{kinds.count('added')} new" if "added" in kinds else "",
        f"{kinds.count('removed')} removed" if "removed" in kinds else "",
        f"{len(plan.unplanned)} not planned" if plan.unplanned else "",
    ]
    said = ", ".join(part for part in parts if part) or "no model changes"
    return f"{said}. Objects: {counted(plan.objects)}. Files: {counted(plan.files)}."


def counted(counts: Counts) -> str:
    return f"{counts.added} to add, {counts.changed} to change, {counts.removed} to remove"


def counted_signs(signs: Iterable[Sign]) -> str:
    """`1 added, 2 changed`: those that there are."""
    found = list(signs)
    words = {"+": "added", "~": "changed", "-": "removed"}
    return ", ".join(f"{found.count(sign)} {word}" for sign, word in words.items() if sign in found)


def many(number: int, word: str) -> str:
    return "" if number == 0 else f"{number} {word}{'s' if number > 1 else ''}"


def setting(changed: Setting) -> str:
    """`bake: 2h → 30m`."""
    return f"{changed.name}: {there(changed.before)} → {there(changed.after)}"


def there(value: str | None) -> str:
    """A value, or that there is none: `none` is a value of its own."""
    return "not there" if value is None else value


def environment(changed: EnvironmentPlan) -> str:
    """What an edit of the environment does to pods."""
    if changed.moves:
        return f"every pod of {', '.join(changed.moves)} starts anew in another place, without the stages of a rollout"
    if not changed.restarts:
        return "no pod is replaced by it"
    return f"every pod of {', '.join(changed.restarts)} is replaced, in the stages of a rollout"


def length(seconds: int) -> str:
    return str(Duration(seconds * 1000))


def begins(stage: StagePlan) -> str:
    """`+1h`, or `+1h and an approval`."""
    return f"+{length(stage.starts)}{and_approvals(stage.approvals)}"


def share(percent: float) -> str:
    return f"{percent:g}%"


def stage(planned: StagePlan, release: ReleasePlan) -> str:
    """What the phase is."""
    match planned.kind:
        case "shadow":
            return f"shadow: copies of {share(planned.percent)} of the requests"
        case "preview":
            return "preview: beside the active side"
        case "traffic":
            return f"{share(planned.percent)} of the traffic"
        case "approval":
            return f"approval by {planned.group}"
        case "bake":
            return "bake: all traffic, not promoted"
        case _:
            back = release.way_back
            if back is None or not back.restorable:
                return "promoted"
            return f"promoted; {back.version if release.starts_rollout else 'the version before it'} stays warm"


def lasts(planned: StagePlan) -> str:
    return length(planned.seconds) if planned.seconds is not None else "until a person promotes"


def sees(planned: StagePlan) -> str:
    """Who meets the new version."""
    if planned.kind == "shadow":
        return f"{rate(planned.per_second)}; no user its answers"
    if planned.kind == "preview" or planned.percent == 0:
        return "no user"
    return f"{rate(planned.per_second)}{_or_more(planned)}"


def exposed(planned: StagePlan) -> str:
    """Requests answered by the new version up to the end of the stage."""
    if planned.exposed is None or planned.exposed == 0:
        return ""
    return f"{rounded(planned.exposed)}{_or_more(planned)}"


def _or_more(planned: StagePlan) -> str:
    """Pinned sessions ask again what they have met."""
    return " or more" if planned.half_met is not None and planned.percent < 100 else ""


def at_risk(planned: StagePlan, release: ReleasePlan) -> str:
    """Requests that a bad version answers at worst."""
    if not planned.at_risk:
        return ""
    waits = planned.kind == "warm" and planned.back == "pods" and any(each.approvals for each in release.restore)
    return f"{rounded(planned.at_risk)}{', more until an approval' if waits else ''}"


def rate(per_second: float) -> str:
    if 1 <= per_second < 10:
        return f"{per_second:.2g} requests/s"
    if per_second >= 1 or per_second == 0:
        return f"{rounded(round(per_second))} requests/s"
    a_minute = per_second * 60
    return f"{round(a_minute)} requests/min" if a_minute >= 1 else f"{round(a_minute * 60)} requests/h"


def rounded(number: int) -> str:
    """Three figures are enough to judge by: 1.08 million, 306,000."""
    if number >= 10**9:
        return f"{number / 10**9:.3g} billion"
    return f"{number / 10**6:.3g} million" if number >= 10**6 else f"{number:,}"


def promoted_after(release: ReleasePlan) -> str | None:
    """When all of it is over, as `3h30m and an approval`."""
    stages = [each for each in release.stages if each.kind != "warm"]
    if not release.stages:
        return None
    seconds = sum(each.seconds or 0 for each in stages)
    return f"{length(seconds)}{and_approvals(sum(each.kind == 'approval' for each in stages))}"


def and_approvals(number: int) -> str:
    """What a time is without: ` and an approval`."""
    return "" if number == 0 else " and an approval" if number == 1 else f" and {number} approvals"


def worst(release: ReleasePlan) -> str:
    """The worst time to restore before the promotion and after it: `5m55s, 9m15s`."""
    before = max((each.seconds for each in release.restore if each.phase in ("rollout", "bake")), default=None)
    promoted = next((each for each in release.restore if each.phase in ("warm", "cold")), None)
    after = f"{length(promoted.seconds)}{and_approvals(len(promoted.approvals))}" if promoted is not None else ""
    said = [f"{length(before)} in the rollout" if before else "", f"{after} after it" if after else ""]
    return ", ".join(each for each in said if each)


def course(release: ReleasePlan) -> str:
    """The whole rollout in a line: `5% for 30m, approval by leads, 50% for 30m, bake 2h; promoted 3h later or more`."""
    said = []
    for planned in release.stages:
        match planned.kind:
            case "traffic":
                said.append(f"{share(planned.percent)} for {lasts(planned)}")
            case "approval":
                said.append(stage(planned, release))
            case "warm":
                continue
            case _:
                said.append(f"{planned.kind} for {lasts(planned)}")
    return f"{', '.join(said)}; promoted {promoted_after(release)} later or more"


def watch(planned: Watch) -> str:
    """`aborts 2m40s`; `~` where the phase is shorter than a window."""
    took = f" {length(planned.seconds)}{and_approvals(planned.approvals)}" if planned.seconds is not None else ""
    return f"{DOES[planned.does]}{took}{'~' if planned.partly else ''}"


def small(share_of_bad: float) -> str:
    """A share to two figures: `1.4%`."""
    return f"{share_of_bad * 100:.2g}%"


def partly(release: ReleasePlan) -> bool:
    """Whether the mark of `watch` needs to be explained."""
    return any(each.partly for guardrail in release.guardrails for each in guardrail.phases)


def tells(release: ReleasePlan) -> list[str]:
    """For each guardrail of which it is known, what its fewest samples find, and how often it errs."""
    found = []
    for guardrail in release.guardrails:
        counted = [(each.samples, each.phase, each.smallest) for each in guardrail.phases if each.samples is not None]
        before = [(each.false_alarm, each.phase) for each in guardrail.phases if each.false_alarm is not None]
        a_month = [each.false_alarms_a_month for each in guardrail.phases if each.false_alarms_a_month is not None]
        said = [_finds(*min(counted, key=lambda one: one[0]))] if counted else []
        errs = (
            [f"in {_seldom(100 * worst)}% of rollouts (at {phase})" for worst, phase in [max(before)]] if before else []
        )
        errs += [f"{_seldom(a_month[-1])} times a month after the promotion"] if a_month else []
        said += [f"accuses {', '.join(errs)}"] if errs else []
        if said:
            found.append(f"{guardrail.name}: {'; '.join(said)}")
    return found


def _finds(samples: int, phase: str, smallest: float | None) -> str:
    """`1,200 requests in a window (at 5%) find 1.3% bad ones or more`."""
    share = found(smallest) if smallest is not None else "nothing for certain"
    return f"{rounded(samples)} requests in a window (at {phase}) find {share}"


def found(smallest: float) -> str:
    """What one window finds; where most requests are bad anyway, as with a lower bound, the good ones are told."""
    if smallest > 0.5:
        return f"{small(1 - smallest)} good ones or fewer"
    return f"{small(smallest)} bad ones or more"


def new_version(number: int) -> str:
    """What a version file alone does."""
    return f"{number} is new, and serves nothing here yet"


def unwatched(release: ReleasePlan) -> str:
    """`Not watched in support: errors, latency`."""
    return f"Not watched in {release.environment}: {', '.join(release.unwatched)}"


def frozen(release: ReleasePlan, freeze: str) -> str:
    """`production lets no new version in, every week from Fri 16:00 to Mon 06:00 UTC: weekend`."""
    return f"{release.environment} lets no new version in, {freeze}"


def _seldom(number: float) -> str:
    return f"{number:.2g}" if number >= 0.01 else "under 0.01"


TELLS = (
    "Can it tell? What is found in 80 of 100 windows, and how often a healthy version is accused: one with a quarter "
    "of the bad requests that the limit allows, or as many as stable."
)
PARTLY = "~ the phase is too short for a whole window of its own"
TIMES = "Times are worst cases from the onset of a failure until all requests are on the fallback."
_WHEN = {
    "rollout": "during the rollout",
    "bake": "in the bake",
    "warm": "promoted, while warm",
    "cold": "promoted, when cold",
}


def restored(planned: Restore) -> str:
    """`in the bake 5m55s: latency is seen within 5m45s, 10s later the fallback serves`."""
    seen, back = (sum(part.seconds for part in parts) for parts in (planned.detection, planned.execution))
    said = f"{_WHEN[planned.phase]} {length(planned.seconds)}{and_approvals(len(planned.approvals))}"
    if planned.budget is not None:
        said += f" of {length(planned.budget)}" + (", over budget" if planned.seconds > planned.budget else "")
    later = f"{length(back)} later" + "".join(f" and an approval by {group}" for group in planned.approvals)
    return f"{said}: {planned.guardrail} is seen within {length(seen)}, and the fallback serves {later}"


def way_back(planned: WayBack) -> str:
    """What a rollback would return to, in a sentence."""
    if planned.version is None:
        return f"There is no way back: {planned.why}."
    said = f"to {planned.version}: " + ("restorable, " if planned.restorable else "not restorable, ") + planned.why
    if planned.warm is not None and planned.restorable:
        said += f"; only traffic moves until {length(planned.warm)} after the promotion"
    if planned.seconds_to_cold_start is not None:
        cold = f"a cold start takes up to {length(planned.seconds_to_cold_start)}"
        cold += ", and Argo runs the stages again" if planned.stages_again else ""
        said += f"; later {cold}" if planned.warm is not None and planned.restorable else f"; {cold}"
    return said


def pinned(value: str | None) -> str:
    """A digest by its first twelve characters; anything else as it is."""
    if value is None:
        return "none"
    _, at, digest = value.rpartition("@sha256:")
    if at:
        return digest[:12]
    return value[:12] if len(value) in (40, 64) and set(value) <= set("0123456789abcdef") else value


def part(file: FileOfBundle) -> str:
    """`weights/model.onnx 8d9e77fe33b9 → 056bce024a6b, 45.8 MiB`."""
    name = file.name if file.role in ("config", "settings") else f"{file.role} {file.name}"
    size = f", {bytes_of(file.size)}" if file.size is not None else ""
    if file.sign == "+":
        return f"{name} {pinned(file.after)}{size}"
    return f"{name} {pinned(file.before)} → {pinned(file.after)}{size}"


def bytes_of(size: int) -> str:
    value, units = float(size), ["B", "KiB", "MiB", "GiB", "TiB"]
    while value >= 1024 and len(units) > 1:
        value, units = value / 1024, units[1:]
    return f"{value:.3g} {units[0]}" if units[0] != "B" else f"{size} B"
