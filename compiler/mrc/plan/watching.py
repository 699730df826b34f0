"""A release to what each guardrail does in each phase, and to how long going back takes at worst."""

from typing import Any

from mrc import timing
from mrc.coverage import cover, phases
from mrc.guardrail import limit_in_words
from mrc.link import Release
from mrc.plan.model import GuardrailPlan, Restore, TimePart, Watch
from mrc.power import Decidability, decidability
from mrc.rollouts import Stage

_DOES = {"abort": "abort", "revert": "rollback", "page": "page", "ticket": "ticket", "nothing": "nothing"}


def watched(release: Release, *, stable: int | None, warm: bool, anew: bool) -> tuple[GuardrailPlan, ...]:
    """Each guardrail across the phases: what it does in each, how fast, or why it does nothing.

    `stable` is what serves until the promotion, where that is known: a comparison is with the fallback alone. `warm`
    says whether the fallback could be what stays warm: without it, going back after the promotion is cold. `anew` says
    that Argo would not know its pods again, and takes them through the stages.
    """
    fallback = release.fallback.number if release.fallback is not None else None
    idle = f"{fallback} answers nothing: {stable} serves until the promotion" if stable not in (None, fallback) else ""
    compared = {guardrail.name for guardrail in release.guardrails if guardrail.compares}
    shown = [stage for stage in phases(release) if stage.kind != "approval"]
    cells = {(cell.guardrail.name, cell.stage): cell for cell in cover(release)}
    ways = {(way.guardrail.name, way.phase): way for way in timing.restore(release, anew=anew)}
    tells = {(each.cell.guardrail.name, each.cell.stage): each for each in decidability(release)}

    def watch(name: str, stage: Stage) -> Watch:
        cell = cells.get((name, stage))
        if cell is None:
            return Watch(_name(stage), "nothing", why="there is no fallback to compare with")
        if idle and name in compared:
            return Watch(_name(stage), "nothing", why=idle)
        way = ways.get((name, _phase(stage, warm=warm))) if cell.automatic else None
        return Watch(
            _name(stage),
            _DOES[cell.how],  # type: ignore[arg-type]
            way.restored.seconds if way is not None else None,
            len(way.approvals) if way is not None else 0,
            cell.sees == "part",
            **_errs(tells.get((name, stage)), promoted=stage.promoted, automatic=cell.automatic),
            why=cell.why,
        )

    return tuple(
        GuardrailPlan(
            guardrail.name,
            guardrail.title,
            limit_in_words(guardrail),
            guardrail.window.seconds,
            tuple(watch(guardrail.name, stage) for stage in shown),
        )
        for guardrail in release.guardrails
    )


def _errs(tells: Decidability | None, *, promoted: bool, automatic: bool) -> dict[str, Any]:
    if tells is None:
        return {}
    found: dict[str, Any] = {"samples": int(tells.cell.samples or 0), "smallest": tells.smallest}
    if promoted:
        found["false_alarms_a_month"] = tells.a_month
    elif automatic:
        found["false_alarm"] = tells.false_alarm
    return found


def restore(release: Release, *, warm: bool, anew: bool) -> tuple[Restore, ...]:
    """The slowest guardrail of each phase. Trends take hours by their nature and have no budget."""
    ways = timing.restore(release, anew=anew)
    given = [release.policy.time_to_restore, release.environment.spec.limits.time_to_restore]
    budget = min((each.seconds for each in given if each is not None), default=None)
    found = []
    for phase in timing.PHASES:
        way = timing.slowest(ways, phase, "immediate", "short")
        if way is not None and (warm or phase != "warm"):
            counts = phase != "cold" or not warm
            found.append(
                Restore(
                    phase,
                    way.guardrail.name,
                    _parts(way.detection),
                    _parts(way.execution),
                    way.restored.seconds,
                    way.approvals,
                    budget if counts else None,
                )
            )
    return tuple(found)


def _parts(parts: tuple[timing.Part, ...]) -> tuple[TimePart, ...]:
    return tuple(TimePart(name, long.seconds) for name, long in parts)


def _phase(stage: Stage, *, warm: bool) -> timing.Phase:
    if stage.kind == "bake":
        return "bake"
    if stage.promoted:
        return "warm" if warm else "cold"
    return "rollout"


def _name(stage: Stage) -> str:
    """`5%`, `bake`, `warm`: the head of a column."""
    if stage.kind == "traffic":
        return str(stage.share)
    return "promoted" if stage.promoted and stage.length is None else stage.kind
