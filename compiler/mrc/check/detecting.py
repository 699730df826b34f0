"""Can a guardrail fire while something automatic listens, in Prometheus' and Argo's own arithmetic of time?"""

from collections.abc import Sequence
from fractions import Fraction

from mrc.catalogue.metric import PerSecond
from mrc.coverage import Cell, by_guardrail, counts_requests, cover, lag, shown, sustained
from mrc.diagnostics import Diagnostic, error, warning
from mrc.guardrail import Absence, Bound, Guardrail, limit_in_words
from mrc.link import Release
from mrc.power import alone
from mrc.read import Path
from mrc.schema.units import Duration

NEVER_FIRES = error(
    "MRC341", "a guardrail that cannot fire before the promotion",
    reason="Its window is longer than all stages in which it has something to read: Argo promotes before it can be "
    "judged once, and the guardrail only looks like one.",
    hint="use a shorter window, longer stages or a longer bake; hours and days belong to the tier trend",
    source="https://argo-rollouts.readthedocs.io/en/stable/features/analysis/",
)  # fmt: skip
FIRST_UNCOVERED = error(
    "MRC342", "a first stage that no guardrail for hard failures can judge",
    reason="The next stage brings more users before it is known how the first ones fared.",
    hint="make the first stage longer, or the window of an immediate guardrail shorter",
)  # fmt: skip
NARROW_WINDOW = error(
    "MRC343", "a window with less than two scrapes in it",
    reason="A rate needs two samples: with one there is no value, no verdict and no alert, ever.",
    hint="use a window of at least four scrape intervals, so that a lost scrape does no harm",
    source="https://prometheus.io/docs/prometheus/latest/querying/functions/#rate",
)  # fmt: skip
ONLY_COMPARED = error(
    "MRC344", "a metric that nothing watches after the promotion",
    reason="A comparison with stable says nothing once stable answers nothing: in the bake, and ever after.",
    hint="add a guardrail on the same metric with max or min",
)  # fmt: skip
STAGE_TOO_SHORT = warning(
    "MRC347", "a stage that ends before anything in it can be judged",
    reason="What goes wrong at this share of the traffic shows only at the next one, where more users meet it.",
    hint="make the stage longer, or leave it out",
)  # fmt: skip
OTHER_SERVER = warning(
    "MRC348", "a fallback that a guardrail does not see",
    reason="The guardrail reads what the new version's server counts, and the fallback runs in another one: nothing "
    "says whether it is healthy beside the new version, nor whether a rollback to it has helped.",
    hint="add a guardrail on a metric of the router or of kube-state-metrics, or one that mrc.yaml declares for both",
)  # fmt: skip
NO_HISTORY = error(
    "MRC349", "a window longer than Prometheus remembers",
    reason="What is older is gone: the value is taken over less than the policy says, and slow trends never show.",
    hint="use a shorter window; or correct prometheus.retention in the environment, if Prometheus keeps more",
    source="https://prometheus.io/docs/prometheus/latest/storage/#operational-aspects",
)  # fmt: skip
GROWS = error(
    "MRC356", "a comparison of what grows with the share of the traffic",
    reason="The two versions have different shares: what is counted of all requests, or added up over all pods, "
    "differs though both are as good. It never fires while the share is small, and always when it is large.",
    hint="compare a ratio, a quantile or a mean; or hold this metric against max or min",
)  # fmt: skip
TOO_LITTLE = error(
    "MRC357", "a rate that a stage cannot reach",
    reason="A stage has its share of the requests and no more: every version is beyond the limit there, the healthiest "
    "too, and each rollout would be rolled back.",
    hint="write absent: true to notice that requests stop; or a limit below what the smallest stage has",
)  # fmt: skip
RULES = (NEVER_FIRES, FIRST_UNCOVERED, NARROW_WINDOW, ONLY_COMPARED, STAGE_TOO_SHORT, OTHER_SERVER, NO_HISTORY,
         GROWS, TOO_LITTLE)  # fmt: skip


def check(release: Release) -> list[Diagnostic]:
    """Findings about the guardrails of one release against its stages."""
    cells = cover(release)
    return [
        *_windows(release),
        *_compared(release),
        *_never(release, cells),
        *_stages(release, cells),
        *_unseen(release),
        *_growing(release, cells),
    ]


def _place(name: str, *key: str) -> Path:
    return ("spec", "guardrails", name, *key)


def _windows(release: Release) -> list[Diagnostic]:
    prometheus = release.environment.spec.prometheus
    scrape, retention = prometheus.scrape, prometheus.retention
    long = [
        release.policy_document.report(
            NO_HISTORY, _place(guardrail.name),
            f"{guardrail.name} looks back over {_back(guardrail)}; in {release.environment_name} Prometheus keeps "
            f"{retention}",
        )
        for guardrail in release.guardrails
        if _back(guardrail) > retention
    ]  # fmt: skip
    return long + [
        release.policy_document.report(
            NARROW_WINDOW, _place(guardrail.name, "window"),
            f"the window of {guardrail.name} is {guardrail.window}; {release.environment_name} scrapes every {scrape}",
        )
        for guardrail in release.guardrails
        if guardrail.metric is not None and guardrail.window < 2 * scrape
    ]  # fmt: skip


def _back(guardrail: Guardrail) -> Duration:
    """How far it looks back; an absence is one of what came within the last day."""
    return (
        max(guardrail.window, Duration.parse("1d")) if isinstance(guardrail.comparison, Absence) else guardrail.window
    )


def _compared(release: Release) -> list[Diagnostic]:
    here = f" in {release.environment_name}" if release.unwatched else ""
    return [
        release.policy_document.report(
            ONLY_COMPARED, _place(guardrail.name, "worseThanStable"),
            f"{guardrail.name} compares with stable, and no other guardrail holds the same metric against a limit"
            f"{here}",
        )
        for guardrail in release.guardrails
        if guardrail.compares and not guardrail.of_pods and guardrail.action == "rollback"
        and alone(release, guardrail) is None
    ]  # fmt: skip


def _unseen(release: Release) -> list[Diagnostic]:
    fallback, runtime = release.fallback, release.version.object.spec.runtime
    if fallback is None or fallback.object.spec.runtime == runtime:
        return []
    return [
        release.policy_document.report(
            OTHER_SERVER, _place(guardrail.name, "metric"),
            f"{guardrail.name} reads {runtime}, and fallback {fallback.number} in {release.environment_name} runs in "
            f"{fallback.object.spec.runtime}",
        )
        for guardrail in release.guardrails
        if guardrail.metric is not None and guardrail.metric.source.name == runtime
    ]  # fmt: skip


def _growing(release: Release, cells: Sequence[Cell]) -> list[Diagnostic]:
    """What is no property of a version alone, but of its share as well."""
    found = []
    for of_one in by_guardrail(cells).values():
        guardrail = of_one[0].guardrail
        measure, comparison = guardrail.metric.measure if guardrail.metric else None, guardrail.comparison
        if guardrail.compares and (isinstance(measure, PerSecond) or getattr(measure, "over_pods", "") == "sum"):
            message = f"{guardrail.name} compares {guardrail.metric.name if guardrail.metric else ''} of both versions"
            found.append(release.policy_document.report(GROWS, _place(guardrail.name, "worseThanStable"), message))
        elif isinstance(measure, PerSecond) and isinstance(comparison, Bound) and comparison.worse == "lower":
            found += _unreached(release, [cell for cell in of_one if cell.automatic], comparison)
    return found


def _unreached(release: Release, cells: Sequence[Cell], bound: Bound) -> list[Diagnostic]:
    traffic = release.policy.expected_traffic
    for cell in cells:
        rate = Fraction(cell.stage.share) * traffic.per_second
        if rate <= Fraction(bound.limit):
            stage, name = shown(cell.stage), cell.guardrail.name
            message = (
                f"{name}: {stage} in {release.environment_name} gives about {float(rate):.3g}/s (expectedTraffic "
                f"{traffic}), and worse is {limit_in_words(cell.guardrail)}"
            )
            return [release.policy_document.report(TOO_LITTLE, _place(name, "min"), message)]
    return []


def _never(release: Release, cells: Sequence[Cell]) -> list[Diagnostic]:
    found = []
    for of_one in by_guardrail(cells).values():
        guardrail = of_one[0].guardrail
        if guardrail.action != "rollback" or (guardrail.tier == "trend" and not guardrail.compares):
            continue
        if guardrail.compares and release.policy.blue_green is not None:
            continue  # for one window after the switch only: said by the rules of strategies
        read = [cell for cell in of_one if cell.how == "abort" and cell.stage.length]
        there = Duration(sum(cell.stage.length or 0 for cell in read))
        needed = Duration(guardrail.window + lag(release) + sustained(guardrail))
        if not read or there >= needed:
            continue
        names = ", ".join(shown(cell.stage) for cell in read)
        message = (
            f"{guardrail.name} needs {needed} in {release.environment_name} (a window of {guardrail.window}, scrape, "
            f"evaluation and analysis); what it reads before the promotion lasts {there} ({names})"
        )
        found.append(release.policy_document.report(NEVER_FIRES, _place(guardrail.name, "window"), message))
    return found


def _stages(release: Release, cells: Sequence[Cell]) -> list[Diagnostic]:
    """Stages with users whose immediate guardrails all need longer than the stage is."""
    found: list[Diagnostic] = []
    exposed: dict[Path, list[Cell]] = {}
    for cell in cells:
        if cell.stage.answers and not cell.stage.promoted:
            exposed.setdefault(cell.stage.path, []).append(cell)
    for index, of_one in enumerate(exposed.values()):
        stage = of_one[0].stage
        if stage.length is None:
            continue
        hard = [cell for cell in of_one if cell.guardrail.tier == "immediate" and cell.guardrail.action == "rollback"]
        # Crashes alone are not all hard failures, and too few samples are said by their own rule.
        judging = [cell for cell in hard if counts_requests(cell.guardrail)] or hard
        if not judging or any(cell.sees != "part" for cell in judging):
            continue
        fastest = min(judging, key=lambda cell: cell.guardrail.window).guardrail
        needed = Duration(fastest.window + lag(release) + sustained(fastest))
        rule, what = (FIRST_UNCOVERED, "the first stage") if index == 0 else (STAGE_TOO_SHORT, "this stage")
        message = f"{what} has {shown(stage)} for {stage.length}, and {fastest.name} needs {needed}"
        place = (*stage.path, "for") if stage.kind != "bake" else stage.path
        found.append(release.policy_document.report(rule, place, message))
    return found
