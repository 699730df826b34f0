"""A policy may only be stricter than its environment's owners demand."""

from mrc import catalogue
from mrc.diagnostics import Diagnostic, error
from mrc.link import Release
from mrc.rollouts import stages

TOO_MUCH = error(
    "MRC321", "the first stage is larger than the environment allows",
    reason="The first stage decides how many users meet a bad version.",
    hint="begin with a smaller share",
)  # fmt: skip
NO_APPROVAL = error(
    "MRC322", "an approval is missing",
    reason="The environment's owners ask for a person between the first traffic and all of it.",
    hint="add a stage such as {approval: <group>}",
)  # fmt: skip
MISSING_GUARDRAIL = error(
    "MRC323", "a guardrail that the environment demands is missing",
    reason="The environment's owners ask that each model is watched for it, with a limit that holds alone and an "
    "automatic rollback.",
    hint="add a guardrail on that metric with max or min, and the action rollback",
)  # fmt: skip
RULES = (TOO_MUCH, NO_APPROVAL, MISSING_GUARDRAIL)


def check(release: Release) -> list[Diagnostic]:
    """Findings about one release against its environment's limits."""
    found: list[Diagnostic] = []
    limits, where = release.environment.spec.limits, release.environment_name
    document, path = release.policy_document, release.path
    strategy = "blueGreen" if release.policy.blue_green is not None else "canary"
    first = next((stage for stage in stages(release) if stage.kind == "traffic"), None)
    if limits.first_traffic is not None and (first is None or first.share > limits.first_traffic):
        said = f"the first stage has {first.share}" if first is not None else "there is no stage before all traffic"
        place = (*first.path, "traffic") if first is not None else (*path, strategy)
        found.append(document.report(TOO_MUCH, place, f"{said}; {where} allows at most {limits.first_traffic}"))
    if limits.approval and not any(stage.kind == "approval" for stage in stages(release)):
        found.append(document.report(NO_APPROVAL, (*path, strategy), f"{where} demands an approval"))
    bound = {
        guardrail.metric.name
        for guardrail in release.guardrails
        if guardrail.metric is not None and not guardrail.only_served and guardrail.action == "rollback"
    }
    for name in limits.guardrails:
        if name not in bound:
            message = f"{where} demands a guardrail on {name} that rolls back"
            hint = None
            router, runtime = release.environment.spec.router.kind, release.version.object.spec.runtime
            if catalogue.measured_by(name) and name not in catalogue.available(router, runtime):
                message += f", and nothing measures it there (router {router}, runtime {runtime})"
                hint = f"ask the owners of {where} to demand what is measured there for {runtime}, too"
            found.append(document.report(MISSING_GUARDRAIL, ("spec", "guardrails"), message, hint))
    return found
