"""Is there a way back, and does something automatic watch for hard failures?"""

from mrc import routers
from mrc.diagnostics import Diagnostic, error, warning
from mrc.link import Release
from mrc.read import Path
from mrc.schema.units import Share

NO_HARD = error(
    "MRC301", "no automatic guardrail for hard failures",
    reason="A version that answers with errors must go back before a person has read the page.",
    hint="add a guardrail such as errors: {metric: error_ratio, max: 1%, tier: immediate}",
)  # fmt: skip
NO_CRASHES = warning(
    "MRC302", "nothing watches for crashes",
    reason="A pod that crashes answers nothing: no error, no latency, and every other guardrail is silent.",
    hint="add crashes: {metric: restarts, max: 2, tier: immediate}",
    source="https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/workload/pod-metrics.md",
)  # fmt: skip
NO_FALLBACK = warning(
    "MRC303", "no fallback yet",
    reason="The first version of a model has nothing to go back to; Argo also skips the stages of a first deploy.",
    hint="serve the first version to few users by other means; name a fallback with the second version",
    source="https://argo-rollouts.readthedocs.io/en/stable/FAQ/",
)  # fmt: skip
SHRINKING = error(
    "MRC304", "a stage with no more traffic than the one before",
    reason="Exposure grows in stages; a stage that does not grow tells nothing new.",
    hint="let the shares of traffic rise from stage to stage",
)  # fmt: skip
NOT_WARM = error(
    "MRC305", "warm needs a traffic router",
    reason="Without a router a canary is weighed by the number of pods: Argo keeps no old ReplicaSet running after the "
    "promotion, and the delay is refused.",
    hint="remove warm, use blueGreen, or use an environment with a traffic router",
    source="https://argo-rollouts.readthedocs.io/en/stable/features/scaledown-aborted-rs/",
)  # fmt: skip
TOO_FINE = error(
    "MRC306", "a share that the replicas cannot make",
    reason="Without a router a share of the traffic is a share of the pods: 1% of 4 pods is one pod, a quarter.",
    hint="use a larger share, more replicas, or an environment with a traffic router",
    source="https://argo-rollouts.readthedocs.io/en/stable/features/canary/",
)  # fmt: skip
COLD_BAKE = warning(
    "MRC307", "going back from the bake is a cold start",
    reason="Without a router the old pods are gone at weight 100: an abort starts them anew.",
    hint="count on the start-up time, or use an environment with a traffic router",
)  # fmt: skip
UNWATCHED = warning(
    "MRC308", "an environment in which a guardrail does not watch",
    reason="What it finds elsewhere is not found here, and nothing else of the same tier and action was written for "
    "here alone.",
    hint="write a guardrail with environments: [...] on what is measured here",
)  # fmt: skip
BLIND = warning(
    "MRC309", "hard failures that nobody sees without telemetry",
    reason="Every guardrail for them takes missing data for fine: when a scrape breaks, or the version exports "
    "nothing, it is promoted unseen, and nobody is paged.",
    hint="write onMissing: pause, or leave it out, in one of them",
)  # fmt: skip
RULES = (NO_HARD, NO_CRASHES, NO_FALLBACK, SHRINKING, NOT_WARM, TOO_FINE, COLD_BAKE, UNWATCHED, BLIND)


def check(release: Release) -> list[Diagnostic]:
    """Findings about one release alone."""
    found: list[Diagnostic] = []
    document, path = release.policy_document, release.path
    guardrails: Path = ("spec", "guardrails")
    # One finding for all environments where they have the same guardrails.
    here = f" in {release.environment_name}" if release.unwatched else ""
    hard = [each for each in release.guardrails if each.tier == "immediate" and each.action == "rollback"]
    judging = [each for each in hard if not each.of_pods] or hard
    if judging and all(each.on_missing == "ignore" for each in judging):
        place = (*guardrails, judging[0].name, "onMissing")
        names = ", ".join(each.name for each in judging)
        found.append(
            document.report(BLIND, place, f"{names}: all that watches for hard failures ignores missing data{here}")
        )
    if not hard:
        message = f"no guardrail of the tier immediate rolls back{here}"
        found.append(document.report(NO_HARD, guardrails, message))
    if not any(g.metric is not None and g.metric.crash for g in release.guardrails):
        message = f"no guardrail is on restarts, out_of_memory or not_ready{here}"
        found.append(document.report(NO_CRASHES, guardrails, message))
    if release.fallback is None:
        message = f"version {release.version.number} has no fallback in {release.environment_name}"
        found.append(document.report(NO_FALLBACK, (*path, "serve"), message, _fallback(release)))
    return found + _unwatched(release) + _stages(release)


def _fallback(release: Release) -> str | None:
    """Where there are older versions, the first one's hint would be the wrong one."""
    older = sorted((each.number for each in release.retained if each.number < release.version.number), reverse=True)
    if not older:
        return None
    rejected = {number for number, one in release.verdicts.items() if release.environment_name in one.spec.rejected}
    good = next((number for number in older if number not in rejected), None)
    if good is None:
        return "bring the next version with this one as its fallback; until then nothing goes back by itself"
    return f"name what served before it: serve: {{version: {release.version.number}, fallback: {good}}}"


def _unwatched(release: Release) -> list[Diagnostic]:
    """A guardrail that is written for here alone stands in for one that is left out."""
    instead = {(each.tier, each.action) for each in release.guardrails if not each.everywhere}
    found = []
    for one in release.unwatched:
        if (one.tier, one.action) in instead:
            continue
        place = ("spec", "guardrails", one.name, "environments")
        message = f"{one.name} does not watch {release.environment_name}, and nothing stands in for it there"
        hint = f"{one.metric} is measured there too: leave out environments" if one.measured and one.metric else None
        found.append(release.policy_document.report(UNWATCHED, place, message, hint))
    return found


def _stages(release: Release) -> list[Diagnostic]:
    found: list[Diagnostic] = []
    document, path, policy = release.policy_document, release.path, release.policy
    before: Share | None = None
    weighted = routers.can(release.environment.spec.router.kind, "weights")
    for index, step in enumerate(policy.canary):
        if step.traffic is None:
            continue
        place = (*path, "canary", index, "traffic")
        if before is not None and step.traffic <= before:
            found.append(document.report(SHRINKING, place, f"{step.traffic} comes after {before}"))
        before = step.traffic
        if not weighted and step.traffic * policy.replicas < 1:
            message = f"{step.traffic} of {policy.replicas} pods is less than one pod"
            found.append(document.report(TOO_FINE, place, message))
    if not weighted and policy.blue_green is None:
        if policy.warm is not None:
            able = routers.those_that("weights")
            message = f"{release.environment_name} has no traffic router (router: none); {able} can keep a version warm"
            found.append(document.report(NOT_WARM, (*path, "warm"), message))
        if policy.bake:
            back = f"version {release.fallback.number}" if release.fallback else "the fallback"
            message = f"an abort in the bake of {release.environment_name} starts {back} anew: nothing of it runs then"
            found.append(document.report(COLD_BAKE, (*path, "bake"), message))
    return found
