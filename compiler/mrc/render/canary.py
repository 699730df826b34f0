"""The canary strategy: stages, approvals and the bake as Argo's steps.

The steps: https://argo-rollouts.readthedocs.io/en/stable/features/canary/
"""

from typing import Any

from mrc import routers
from mrc.link import Release
from mrc.render.analysis import GATE, template_name
from mrc.render.common import HTTP_PORT, canary_service, ingress_names, service_ports, stable_service
from mrc.render.engine import fill
from mrc.rollouts import stages

MIRROR = "shadow"
# While the pods of an aborted version run, Argo's controller points the canary Service at them and away again, several
# times a second: https://github.com/argoproj/argo-rollouts/issues/3078. Only sessions need them longer than this.
ABORT_SECONDS = 30


def steps(release: Release) -> list[dict[str, Any]]:
    """Argo's steps: weight and pause a stage, a pause without end an approval, and the bake at weight 100.

    The mirror of a shadow stays on until the first share of the traffic, so that whoever approves in between still
    sees what the new version makes of it.
    """
    found: list[dict[str, Any]] = []
    mirrored = 0
    for stage in stages(release):
        match stage.kind:
            case "shadow":
                assert stage.length is not None
                share = int(stage.share.percent)
                # As many pods as the copies need: fewer would fail of the load, not of the model.
                found += [{"scale": share}, {"mirror": share}, {"duration": f"{stage.length.seconds}s"}]
                mirrored = share
            case "traffic" | "bake":
                assert stage.length is not None
                share = int(stage.share.percent)
                moves: list[dict[str, Any]] = [{"weight": share}]
                if mirrored:
                    # Scaled to a weight that is still 0, all pods of the shadow would end, and others start anew.
                    more: list[dict[str, Any]] = [{"scale": share}] if share > mirrored else []
                    moves = [{"mirror": None}, *more, *moves, {"scale": None}]
                    mirrored = 0
                found += [*moves, {"duration": f"{stage.length.seconds}s"}]
            case "approval":
                found.append({"group": stage.group})
    return found


def first_watched(found: list[dict[str, Any]]) -> int | None:
    """The index of the step after the first one that gives the new version something to answer."""
    return next((index + 1 for index, step in enumerate(found) if "weight" in step or "mirror" in step), None)


def gated(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The steps with a gate before and behind each pause, from the second watched one on.

    A background analysis that becomes inconclusive pauses the rollout, but Argo ends a timed pause all the same, and
    takes the next one, even an approval, for one that a person resumed. While the rollout is paused like this, it
    starts no analysis of a step: a gate stays shut until a person resumes.
    """
    first = first_watched(found)
    if first is None:
        return found
    result = found[: first + 1]
    timed = "duration" in found[first] if first < len(found) else False
    for step in found[first + 1 :]:
        if timed or "duration" in step or "group" in step:
            result.append({"gate": True})
        result.append(step)
        timed = "duration" in step
    return [*result, {"gate": True}] if timed else result


def strategy(release: Release, *, analysed: bool) -> str:
    """What stands below `strategy:`; `analysed` says whether there is an AnalysisTemplate to name."""
    policy, environment = release.policy, release.environment.spec
    mirror = None
    routes = sorted(port["name"] for port in service_ports(release))
    if policy.shadow is not None:
        # Argo mirrors to the port of the first route that it is told of.
        protocol = policy.shadow.protocol
        routes = [protocol, *(route for route in routes if route != protocol)]
        mirror = {"name": MIRROR, "path": release.version.server.answers.get(protocol, "/")}
    found = steps(release)
    starting_step = first_watched(found)
    return fill(
        "argo/canary.yaml",
        model=release.model,
        namespace=environment.namespace,
        router=environment.router.kind,
        weighted=routers.can(environment.router.kind, "weights"),
        routes=routes,
        ingresses=list(ingress_names(release).values()),
        port=HTTP_PORT,
        mirror=mirror,
        canary_service=canary_service(release),
        stable_service=stable_service(release),
        abort_seconds=max(ABORT_SECONDS, policy.sessions.lifetime.seconds if policy.sessions is not None else 0),
        warm_seconds=policy.warm.seconds if policy.warm is not None else None,
        analysis=analysed and starting_step is not None,
        starting_step=starting_step,
        version=str(release.version.number),
        steps=gated(found) if analysed else found,
        gate=template_name(release, GATE),
    )
