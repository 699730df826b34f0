"""In which stage a Rollout is, in words. Pure; what the API server says of it is hostile until it matches.

Where Argo keeps it: https://argo-rollouts.readthedocs.io/en/stable/features/specification/
"""

from mrc.reconcile.signals import Object, mapping, mappings, running


def stage(rollout: Object | None, environment: str, version: int) -> str:
    """The stage of a model's Rollout, None where there is none, for who knows the version that git names."""
    if rollout is None:
        return "not in the cluster"
    found = running(rollout, environment)
    if found is None:
        return "not as mrc renders it"
    if found.version != version:
        return f"not synced, still {found.version}"
    match found.phase:
        case "unknown":
            return "not seen by Argo yet"
        case "aborted":
            return "aborted"
        case "stable":
            return "promoted"
        case _:
            return _position(rollout)


def _position(rollout: Object) -> str:
    spec, status = mapping(rollout, "spec"), mapping(rollout, "status")
    paused_for = [each.get("reason") for each in mappings(status, "pauseConditions")]
    if mapping(spec, "strategy", "blueGreen"):
        name, approval = _of_blue_green(spec, status, paused_for)
    else:
        name, approval = _of_canary(spec, status)
    if spec.get("paused") is True:
        return f"{name}, paused by a person"
    if "InconclusiveAnalysisRun" in paused_for:
        return f"{name}, paused: its analysis is inconclusive"
    return f"{name}, waits for an approval" if approval else name


def _of_canary(spec: Object, status: Object) -> tuple[str, bool]:
    """The name of the stage, and whether it is a person who ends it."""
    steps, index = mappings(mapping(spec, "strategy", "canary"), "steps"), status.get("currentStepIndex")
    done = steps[: index + 1] if type(index) is int and index >= 0 else []
    share = mirrored = 0
    for step in done:
        if type(step.get("setWeight")) is int:
            share = step["setWeight"]
        elif "setMirrorRoute" in step:
            percentage = mapping(step, "setMirrorRoute").get("percentage")
            mirrored = percentage if type(percentage) is int else 0
    approval = bool(done) and "pause" in done[-1] and "duration" not in mapping(done[-1], "pause")
    if share == 0:
        return f"shadow of {mirrored} %" if mirrored else "begins", approval
    return "bake" if share >= 100 else f"{share} %", approval


def _of_blue_green(spec: Object, status: Object, paused_for: list[object]) -> tuple[str, bool]:
    active, current = mapping(status, "blueGreen").get("activeSelector"), status.get("currentPodHash")
    if current is not None and active == current:
        return "bake", False
    manual = mapping(spec, "strategy", "blueGreen").get("autoPromotionEnabled") is False
    return "preview", manual and "BlueGreenPause" in paused_for
