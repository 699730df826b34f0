"""Can sessions stay with their version, and does it run for as long as they last?"""

from mrc import routers
from mrc.diagnostics import Diagnostic, error
from mrc.link import Release
from mrc.schema.units import Duration

CANNOT_PIN = error(
    "MRC381", "a router that cannot pin sessions",
    reason="The router has to set a cookie that names the version and to read it. One that cannot would let every "
    "request of a session meet another version.",
    hint="use an environment with a router that can, or leave sessions out",
)  # fmt: skip
ALL_AT_ONCE = error(
    "MRC382", "sessions in a blue-green rollout",
    reason="The switch of the Service takes every session with it: nothing is left to be pinned.",
    hint="use a canary, or leave sessions out",
)  # fmt: skip
OUTLIVED = error(
    "MRC383", "sessions that outlive the version that they are pinned to",
    reason="After the promotion the pods of the version before run for the time in warm. A session that is pinned to "
    "it for longer is answered by nobody.",
    hint="let warm be at least as long as the lifetime of a session",
)  # fmt: skip
PAST_THE_PINS = error(
    "MRC384", "sessions and a shadow",
    reason="Argo puts the route that mirrors before all others: while it is there, every request goes by weight and "
    "pinned sessions lose their version.",
    hint="leave out shadow or sessions",
    source="https://argo-rollouts.readthedocs.io/en/stable/features/traffic-management/#traffic-routing-mirroring-traffic-to-canary",
)  # fmt: skip
CUT_SHORT = error(
    "MRC385", "sessions that outlive an abort",
    reason="Argo keeps the pods of an aborted version for its resync period of 15 minutes at most: with a longer "
    "delay it scales them down at once, and whoever is pinned to them is answered by nobody.",
    hint="let a session last 14 minutes at most",
    source="https://github.com/argoproj/argo-rollouts/blob/v1.9.1/rollout/replicaset.go",
)  # fmt: skip
RULES = (CANNOT_PIN, ALL_AT_ONCE, OUTLIVED, PAST_THE_PINS, CUT_SHORT)

LONGEST = Duration.parse("14m")


def check(release: Release) -> list[Diagnostic]:
    """Findings about the sessions of one release."""
    policy, document = release.policy, release.policy_document
    if policy.sessions is None:
        return []
    found: list[Diagnostic] = []
    place = (*release.path, "sessions")
    router = release.environment.spec.router.kind
    if policy.blue_green is not None:
        return [document.report(ALL_AT_ONCE, place, "blueGreen moves all sessions at once")]
    if not routers.can(router, "pins"):
        message = f"{release.environment_name} has the router {router}; {routers.those_that('pins')} can pin sessions"
        found.append(document.report(CANNOT_PIN, place, message))
    if policy.shadow is not None:
        message = "the mirror of the shadow takes pinned sessions past their version"
        found.append(document.report(PAST_THE_PINS, place, message))
    if policy.sessions.lifetime > LONGEST:
        message = f"a session lasts {policy.sessions.lifetime}, and an aborted version runs for {LONGEST} at most"
        found.append(document.report(CUT_SHORT, (*place, "lifetime"), message))
    if policy.warm is None or policy.warm < policy.sessions.lifetime:
        said = f"runs for {policy.warm} after the promotion" if policy.warm is not None else "is not kept warm"
        message = f"a session lasts {policy.sessions.lifetime}, and the version before {said}"
        found.append(document.report(OUTLIVED, (*place, "lifetime"), message))
    return found
