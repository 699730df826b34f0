"""The stage chart: the share of the traffic over the phases of a rollout, and what going back takes in each.

Only geometry is decided here, in units of the drawing; `templates/plan/` draws it. Long phases are wider than short
ones, by the logarithm: a day of warmth beside half an hour at 5 % would hide it.
"""

from dataclasses import dataclass
from math import log2

from mrc.plan import words
from mrc.plan.model import Back, ReleasePlan, StagePlan

LEFT, TOP, HEIGHT, NARROWEST, WIDTH = 34, 20, 110, 58, 520
LANE = 20  # the height of the lane below the shares

_BACK: dict[Back | None, str] = {
    "traffic": "at once",
    "commit": "a commit",
    "pods": "pods start",
    None: "no way back",
}


@dataclass(frozen=True)
class Bar:
    """One phase: its column, and the bar of its share in it."""

    kind: str
    x: int
    width: int
    y: int
    height: int
    share: str
    length: str
    begins: str
    back: str
    back_kind: str


@dataclass(frozen=True)
class Chart:
    """A drawing of `width` x `height`."""

    width: int
    height: int
    bars: tuple[Bar, ...]
    says: str

    @property
    def floor(self) -> int:
        """Where a share of nothing is."""
        return TOP + HEIGHT

    @property
    def right(self) -> int:
        return self.bars[-1].x + self.bars[-1].width


def chart(release: ReleasePlan) -> Chart | None:
    """The chart of a release; None where it has no stage."""
    if not release.stages:
        return None
    weights = [_weight(stage.seconds) for stage in release.stages] + [_weight(None)]
    narrowest = NARROWEST * len(weights)
    spare = max(0, WIDTH - LEFT - narrowest)
    bars, x = [], LEFT
    for stage, weight in zip((*release.stages, None), weights, strict=True):
        width = NARROWEST + round(spare * weight / sum(weights))
        bars.append(_bar(stage, release, x, width))
        x += width
    return Chart(x + 1, TOP + HEIGHT + LANE + 44, tuple(bars), words.course(release))


def _weight(seconds: int | None) -> float:
    return log2(1 + seconds / 600) if seconds is not None else 0.5


def _bar(stage: StagePlan | None, release: ReleasePlan, x: int, width: int) -> Bar:
    if stage is None:
        back: Back | None = "pods" if release.way_back is not None and release.way_back.version is not None else None
        return Bar("after", x, width, TOP, HEIGHT, "100%", "later", "", _BACK[back], back or "none")
    drains = stage.back == "traffic" and stage.half_met is not None
    # A share of one percent is still a line.
    height = max(2, round(HEIGHT * stage.percent / 100)) if stage.percent else 0
    return Bar(
        kind=stage.kind,
        x=x,
        width=width,
        y=TOP + HEIGHT - height,
        height=height,
        share=words.share(stage.percent) if stage.kind in ("traffic", "shadow") else stage.kind,
        length=words.length(stage.seconds) if stage.seconds is not None else "wait",
        begins=f"+{words.length(stage.starts)}{' …' if stage.approvals else ''}",
        back=f"drains {words.length(release.sessions)}" if drains and release.sessions else _BACK[stage.back],
        back_kind="drain" if drains else stage.back or "none",
    )
