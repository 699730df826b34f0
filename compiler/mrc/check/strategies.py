"""Can the environment's router do what the strategy asks for, and is it safe to ask?"""

from mrc import routers
from mrc.diagnostics import Diagnostic, error, warning
from mrc.guardrail import Guardrail
from mrc.link import Release
from mrc.rollouts import stages

NO_MIRROR = error(
    "MRC361", "a router that cannot mirror",
    reason="Argo Rollouts mirrors with Istio alone; for any other router its step succeeds and does nothing, and the "
    "shadow would prove nothing.",
    hint="use an environment with a router that mirrors, or leave shadow out",
    source="https://argo-rollouts.readthedocs.io/en/stable/features/traffic-management/istio/",
)  # fmt: skip
SIDE_EFFECTS = error(
    "MRC362", "a shadow of a model that may have side effects",
    reason="A mirrored request is answered twice: what the model writes, books or sends happens twice.",
    hint="if answering twice does no harm, say so in the policy's spec: sideEffects: none",
)  # fmt: skip
NOT_WATCHED = error(
    "MRC363", "a rollout in which nothing is watched",
    reason="No stage gives the new version traffic before it is promoted: Argo's analysis has nothing to read.",
    hint="add a stage such as {traffic: 5%, for: 30m}, or a bake",
)  # fmt: skip
ALWAYS_MISSING = error(
    "MRC364", "a comparison with stable that rolls back when it cannot be made",
    reason="In the bake all traffic is on the new version: stable answers nothing, the comparison has nothing to "
    "compare with, and every rollout would be rolled back.",
    hint="write onMissing: pause here, and a guardrail on the same metric with max or min",
)  # fmt: skip
ONE_WINDOW = warning(
    "MRC365", "a comparison with stable in a blue-green rollout",
    reason="The two sides never answer at the same time: it can be made for one window after the switch only.",
    hint="add a guardrail on the same metric with max or min",
)  # fmt: skip
NOT_SPOKEN = error(
    "MRC366", "a shadow over a protocol that the server does not speak",
    reason="Copies would go to a port that nobody listens on, and the new version would see none of them.",
    hint="leave out protocol for HTTP; or name the port in container.grpc, where the server speaks it",
)  # fmt: skip
ONE_HEALTH_CHECK = error(
    "MRC367", "a load balancer that would ask one of the versions in vain",
    reason="An ALB checks the pods of both versions at one path. Where the fallback answers at another one, its pods "
    "count as failed from the moment that this is applied.",
    hint="let both versions be ready at the same path, or roll out in an environment with another router",
    source="https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/",
)  # fmt: skip
RULES = (NO_MIRROR, SIDE_EFFECTS, NOT_WATCHED, ALWAYS_MISSING, ONE_WINDOW, NOT_SPOKEN, ONE_HEALTH_CHECK)


def check(release: Release) -> list[Diagnostic]:
    """Findings about the strategy of one release."""
    found: list[Diagnostic] = []
    document, path, policy = release.policy_document, release.path, release.policy
    router = release.environment.spec.router.kind
    if policy.shadow is not None:
        place = (*path, "shadow")
        if not routers.can(router, "mirror"):
            message = f"{release.environment_name} has the router {router}; {routers.those_that('mirror')} can mirror"
            found.append(document.report(NO_MIRROR, place, message))
        if release.side_effects is None:
            message = f"shadow copies requests to {release.model}, and the policy does not say sideEffects: none"
            found.append(document.report(SIDE_EFFECTS, place, message))
        if policy.shadow.protocol not in release.version.server.answers:
            speaks = " and ".join(release.version.server.answers)
            message = f"version {release.version.number} answers {speaks} only"
            found.append(document.report(NOT_SPOKEN, (*place, "protocol"), message))
    fallback = release.fallback
    if router == "alb" and fallback is not None and fallback.server.ready != release.version.server.ready:
        message = (
            f"version {release.version.number} is ready at {release.version.server.ready}, "
            f"its fallback {fallback.number} at {fallback.server.ready}"
        )
        found.append(document.report(ONE_HEALTH_CHECK, (*path, "serve"), message))
    watched = [stage for stage in stages(release) if stage.kind in ("shadow", "preview", "traffic", "bake")]
    if not watched:
        message = "approvals alone: the new version gets all traffic at once and is promoted at once"
        found.append(document.report(NOT_WATCHED, (*path, "canary"), message))
    return found + _comparisons(release)


def _comparisons(release: Release) -> list[Diagnostic]:
    found: list[Diagnostic] = []
    document = release.policy_document
    for guardrail in release.guardrails:
        if not guardrail.compares or guardrail.of_pods or guardrail.action != "rollback":
            continue
        place = ("spec", "guardrails", guardrail.name)
        if guardrail.on_missing == "rollback" and release.policy.bake:
            message = f"{guardrail.name} cannot be judged in the bake, and asks to roll back then"
            found.append(document.report(ALWAYS_MISSING, (*place, "onMissing"), message))
        if release.policy.blue_green is not None and not _bounded(release, guardrail):
            message = (
                f"{guardrail.name} is judged for {guardrail.window} after the switch in {release.environment_name}"
            )
            found.append(document.report(ONE_WINDOW, (*place, "worseThanStable"), message))
    return found


def _bounded(release: Release, guardrail: Guardrail) -> bool:
    """Whether another guardrail holds the same metric against a limit that needs no other version."""
    return guardrail.metric is not None and any(
        other.metric == guardrail.metric and not other.compares and other.action == "rollback"
        for other in release.guardrails
    )
