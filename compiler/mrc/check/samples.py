"""Can a guardrail tell? Expected traffic, share and window against the samples that a verdict needs."""

from decimal import Decimal
from fractions import Fraction

from mrc.chance import RARE, enough, false_alarm
from mrc.coverage import Cell, counts_requests, cover, lag, shown
from mrc.diagnostics import Diagnostic, error, warning
from mrc.guardrail import BurnRate
from mrc.link import Release
from mrc.power import HEALTHY, Decidability, decidability
from mrc.rollouts import active, stages
from mrc.schema.units import Duration

TOO_FEW = error(
    "MRC345", "a stage whose traffic cannot decide a guardrail",
    reason="With too few samples there is no verdict: the rollout pauses in this stage every time, or goes on unseen.",
    hint="give the stage a larger share, or the guardrail a longer window",
)  # fmt: skip
FALSE_ALARMS = warning(
    "MRC346", "a guardrail that accuses healthy versions",
    reason="In a window of few requests chance alone passes the limit, and a good version is rolled back.",
    hint="give the stage a larger share, the guardrail a longer window, or a limit further from what is healthy",
)  # fmt: skip
RULES = (TOO_FEW, FALSE_ALARMS)

_LONGEST = Duration.parse("1h")  # beyond this a window is no way out of false alarms within a stage


def check(release: Release) -> list[Diagnostic]:
    """At most one finding of each rule a guardrail: its worst stage."""
    found: list[Diagnostic] = []
    cells = cover(release)
    for guardrail in active(release):
        if counts_requests(guardrail):
            found += _too_few(release, [cell for cell in cells if cell.guardrail.name == guardrail.name])
    starved = {item.line for item in found}
    return found + [item for item in _accused(release) if item.line not in starved]


def _too_few(release: Release, cells: list[Cell]) -> list[Diagnostic]:
    guardrail = cells[0].guardrail
    if guardrail.action == "rollback":
        read = [cell for cell in cells if not cell.stage.promoted and cell.stage.length and cell.stage.share > 0]
        if guardrail.compares:
            read = [cell for cell in read if cell.stage.kind != "bake"]
    else:
        read = []
    if not guardrail.compares:
        read += [cell for cell in cells if cell.stage.promoted]
    expected = enough(guardrail.min_samples)
    short = [cell for cell in read if min(cell.samples or 0, cell.stable_samples or cell.samples or 0) < expected]
    if not short or (guardrail.on_missing == "ignore" and len(short) < len(read)):
        return []
    cell = short[0]
    said, ways = _said(release, cell, expected), _ways(release, cell, expected)
    return [release.policy_document.report(TOO_FEW, ("spec", "guardrails", guardrail.name), said, ways)]


def _said(release: Release, cell: Cell, expected: int) -> str:
    guardrail, stage = cell.guardrail, cell.stage
    whose = cell.samples or Fraction(0)
    version = "the new version"
    if cell.stable_samples is not None and cell.stable_samples < whose:
        whose, version = cell.stable_samples, "the stable version"
    long = min(guardrail.window, stage.length or guardrail.window)
    return (
        f"{guardrail.name}: {shown(stage)} in {release.environment_name} gives {version} about {_number(whose)} "
        f"samples within {Duration(long)} (expectedTraffic {release.policy.expected_traffic}); a verdict needs "
        f"{guardrail.min_samples}, so expect at least {expected}"
    )


def _number(value: Fraction) -> str:
    return str(round(value)) if value >= 1 or value == 0 else f"{float(value):.1g}"


def _ways(release: Release, cell: Cell, expected: int) -> str:
    """The two ways out, with numbers that suffice."""
    rate, window = release.policy.expected_traffic.per_second, cell.guardrail.window
    ways = []
    if cell.stage.kind in ("traffic", "shadow") and rate:
        percent = -(-100 * expected * 1000 // (rate * int(window)))
        if percent <= _largest(release, cell):
            ways.append(f"give the stage {percent}% of the traffic")
    share = Fraction(cell.stage.share)
    if rate * share:
        longer = _whole(Fraction(expected * 1000) / (rate * share))
        stage = f" in a stage of at least {Duration(longer + lag(release))}" if cell.stage.length else ""
        ways.append(f"{_look_longer(cell, longer)}{stage}")
    return (
        ", or ".join(ways) or "nothing can be told without traffic: correct expectedTraffic, or write onMissing: ignore"
    )


def _look_longer(cell: Cell, window: Duration) -> str:
    if isinstance(cell.guardrail.comparison, BurnRate):
        return f"give burnRate a factor whose long window is {window} or more"
    return f"give the guardrail window: {window}"


def _largest(release: Release, cell: Cell) -> int:
    """The largest share, in percent, that the environment allows to this stage."""
    first = next((stage for stage in stages(release) if stage.kind == "traffic"), None)
    demanded = release.environment.spec.limits.first_traffic
    return int(demanded.percent) if demanded is not None and cell.stage == first else 99


def _whole(milliseconds: Fraction) -> Duration:
    """Rounded up to what people write: seconds below two minutes, minutes beyond."""
    unit = 1000 if milliseconds <= 120_000 else 60_000
    return Duration(-(-milliseconds // unit) * unit)


def _accused(release: Release) -> list[Diagnostic]:
    worst: dict[str, Decidability] = {}
    for one in decidability(release):
        guardrail, stage = one.cell.guardrail, one.cell.stage
        if guardrail.action != "rollback" or stage.promoted or not stage.length or one.false_alarm is None:
            continue
        if one.false_alarm > max(RARE, _of(worst.get(guardrail.name))):
            worst[guardrail.name] = one
    return [
        release.policy_document.report(
            FALSE_ALARMS, ("spec", "guardrails", name), _accusation(release, one), _calmer(release, one)
        )
        for name, one in sorted(worst.items())
    ]  # fmt: skip


def _of(one: Decidability | None) -> float:
    return 0.0 if one is None or one.false_alarm is None else one.false_alarm


def _accusation(release: Release, one: Decidability) -> str:
    cell = one.cell
    assert one.false_alarm is not None
    healthy, hundredth = _percent(one.limit * HEALTHY), max(1, round(100 * one.false_alarm))
    return (
        f"{cell.guardrail.name}: {shown(cell.stage)} in {release.environment_name} gives {int(cell.samples or 0)} "
        f"requests within {cell.guardrail.window}; a version with {healthy} bad ones, a quarter of the limit, would be "
        f"rolled back in {hundredth} of 100 rollouts"
    )


def _percent(share: Decimal) -> str:
    return f"{float(100 * share):.3g}%"


def _calmer(release: Release, one: Decidability) -> str:
    """A share, and a window, with which a healthy version is rarely accused in this stage."""
    cell = one.cell
    rate, share, length = release.policy.expected_traffic.per_second, Fraction(cell.stage.share), cell.stage.length
    window = int(cell.guardrail.window)
    assert length is not None
    ways = []
    if cell.stage.kind in ("traffic", "shadow"):
        start = int(100 * share) + 1
        percents = (
            p
            for p in range(start, _largest(release, cell) + 1)
            if _rare(one, rate * Fraction(p, 100), window, int(length))
        )
        if (percent := next(percents, None)) is not None:
            ways.append(f"give the stage {percent}% of the traffic")
    longest = min(int(length) - int(lag(release)), int(_LONGEST))
    for longer in range(window - window % 60_000 + 60_000, longest + 1, 60_000):
        if _rare(one, rate * share, longer, int(length)):
            ways.append(_look_longer(cell, Duration(longer)))
            break
    return ", or ".join([*ways, "choose a limit further from what is healthy"])


def _rare(one: Decidability, rate: Fraction, window: int, length: int) -> bool:
    n = int(rate * Fraction(window, 1000))
    return false_alarm(n, one.limit, float(one.limit * HEALTHY), max(1.0, length / window)) <= RARE
