"""Can a guardrail tell? Expected traffic, share and window against the samples that a verdict needs."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from mrc.chance import RARE, alarms, enough, enough_throughout
from mrc.coverage import Cell, by_guardrail, counts_requests, cover, lag, shown
from mrc.diagnostics import Diagnostic, error, warning
from mrc.guardrail import BurnRate
from mrc.link import Release
from mrc.power import HEALTHY, MONTH, Decidability, decidability
from mrc.rollouts import stages
from mrc.schema.units import Duration, Share

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
EVERY_MONTH = warning(
    "MRC350", "a guardrail that takes back healthy versions month by month",
    reason="Nobody is there when it happens: the service goes back by itself, and the version is rejected by chance.",
    hint="give the guardrail a longer window, a limit further from what is healthy, or action: page",
)  # fmt: skip
RULES = (TOO_FEW, FALSE_ALARMS, EVERY_MONTH)

_TOLERANCES = [Share.parse(f"{percent}%") for percent in ("0.1", "0.2", "0.5", "1", "2", "5", "10")]
_OFTEN = 1.0  # false alarms in 30 days

_LONGEST = Duration.parse("1h")  # beyond this a window is no way out of false alarms within a stage


def check(release: Release) -> list[Diagnostic]:
    """At most one finding of each rule a guardrail: its worst stage."""
    found: list[Diagnostic] = []
    for cells in by_guardrail(cover(release)).values():
        if counts_requests(cells[0].guardrail):
            found += _too_few(release, cells)
    told = decidability(release)
    for rule in (_accused, _every_month):
        said = {item.line for item in found}
        found += [item for item in rule(release, told) if item.line not in said]
    return found


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
    short = [
        cell for cell in read if min(cell.samples or 0, cell.stable_samples or cell.samples or 0) < _expected(cell)
    ]
    if not short or (guardrail.on_missing == "ignore" and len(short) < len(read)):
        return []
    cell, expected = short[0], _expected(short[0])
    said, ways = _said(release, cell, expected), _ways(release, cell, expected)
    return [release.policy_document.report(TOO_FEW, ("spec", "guardrails", guardrail.name), said, ways)]


def _expected(cell: Cell) -> int:
    """How many requests must be expected, so that a verdict is nearly always there while it is asked for.

    Argo pauses when there was none for twice the window in all, and aborts at once where that counts as worse.
    """
    guardrail, stage = cell.guardrail, cell.stage
    windows = int(stage.length or 0) / int(guardrail.window) if not stage.promoted else 0.0
    if guardrail.on_missing == "rollback" and windows:
        return enough_throughout(guardrail.min_samples, windows)
    return enough(guardrail.min_samples, 1 - min(0.01, 1 / max(1.0, windows)))


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


def _every_month(release: Release, told: Sequence[Decidability]) -> list[Diagnostic]:
    found = []
    for one in told:
        cell = one.cell
        if not cell.stage.promoted or cell.how != "revert" or (one.a_month or 0) <= _OFTEN:
            continue
        message = (
            f"{cell.guardrail.name}: after the promotion in {release.environment_name}, {int(cell.samples or 0)} "
            f"requests within {cell.guardrail.window} accuse a version with {_percent(one.limit * HEALTHY)} bad ones, "
            f"a quarter of the limit, about {one.a_month:.2g} times a month"
        )
        ways = _rarer(release, one)
        found.append(
            release.policy_document.report(EVERY_MONTH, ("spec", "guardrails", cell.guardrail.name), message, ways)
        )
    return found


def _rarer(release: Release, one: Decidability) -> str:
    """A window with which it is rare enough, and the other ways out."""
    rate, window = release.policy.expected_traffic.per_second, int(one.cell.guardrail.window)
    ways = []
    for longer in range(window - window % 60_000 + 60_000, int(_LONGEST) + 1, 60_000):
        n = int(rate * Fraction(longer, 1000))
        if alarms(n, one.limit, float(one.limit * HEALTHY)) * int(MONTH) / longer <= _OFTEN:
            ways.append(_look_longer(one.cell, Duration(longer)))
            break
    return ", or ".join([*ways, "choose a limit further from what is healthy, or write action: page"])


def _accused(release: Release, told: Sequence[Decidability]) -> list[Diagnostic]:
    worst: dict[str, Decidability] = {}
    for one in told:
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
    healthy, hundredth = _percent(one.healthy), max(1, round(100 * one.false_alarm))
    like = "a quarter of the limit" if cell.stable_samples is None else "as many as stable"
    return (
        f"{cell.guardrail.name}: {shown(cell.stage)} in {release.environment_name} gives {int(cell.samples or 0)} "
        f"requests within {cell.guardrail.window}; a version with {healthy} bad ones, {like}, would be "
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
            if _rare(one, rate, Fraction(p, 100), window, int(length))
        )
        if (percent := next(percents, None)) is not None:
            ways.append(f"give the stage {percent}% of the traffic")
    longest = min(int(length) - int(lag(release)), int(_LONGEST))
    for longer in range(window - window % 60_000 + 60_000, longest + 1, 60_000):
        if _rare(one, rate, share, longer, int(length)):
            ways.append(_look_longer(cell, Duration(longer)))
            break
    further = "choose a limit further from what is healthy" if cell.stable_samples is None else _wider(one, int(length))
    return ", or ".join([*ways, further])


def _wider(one: Decidability, length: int) -> str:
    """A tolerance with which a version that is as good as stable is rarely accused."""
    windows = max(1.0, length / int(one.cell.guardrail.window))
    for share in _TOLERANCES:
        chance = one.accused(int(one.cell.samples or 0), int(one.cell.stable_samples or 0), windows, share)
        if (chance or 0.0) <= RARE:
            return f"give it absolute: {share}"
    return "give it a larger absolute"


def _rare(one: Decidability, rate: Fraction, share: Fraction, window: int, length: int) -> bool:
    within = rate * Fraction(window, 1000)
    stable = within if one.cell.stage.kind == "shadow" else within * (1 - share)
    return (one.accused(int(within * share), int(stable), max(1.0, length / window)) or 0.0) <= RARE
