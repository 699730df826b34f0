"""What does a change make looser than what was merged? Reviewers see it at its place, and decide."""

from mrc.diagnostics import Diagnostic, warning
from mrc.link import Fleet, Release
from mrc.rollouts import stages
from mrc.settings import Difference, of_environment, settings

LOOSER = warning(
    "MRC333", "a policy that is looser than before",
    reason="A bound raised, a stage skipped or a fallback that is warm for less time is often what let a bad version "
    "through, and easily missed among other changes.",
    hint="say in the pull request why this is safe, or undo it",
)  # fmt: skip
LIMIT_LOOSER = warning(
    "MRC334", "an environment that demands less than before",
    reason="It holds for every model in the environment.",
    hint="say in the pull request why this is safe, or undo it",
)  # fmt: skip
STEPS_CHANGED = warning(
    "MRC335", "other stages for the version that serves",
    reason="Argo begins a rollout that is in progress again at its first stage, and one that was aborted starts again "
    "with the bad version.",
    hint="merge it when the version is promoted everywhere here; after an abort, serve the fallback in the same commit",
    source="https://github.com/argoproj/argo-rollouts/blob/v1.9.1/rollout/controller.go",
)  # fmt: skip
MOVED = warning(
    "MRC336", "an environment that moves",
    reason="Every model in it is deployed anew, all at once: Argo skips the stages of what it deploys for the first "
    "time, and what runs warm stays behind, until it is deleted with the rest.",
    hint="make the new place an environment of its own, let the models serve there, and then move the traffic",
    source="https://argo-rollouts.readthedocs.io/en/stable/concepts/#rollout",
)  # fmt: skip
RULES = (LOOSER, LIMIT_LOOSER, STEPS_CHANGED, MOVED)
CODES = frozenset(rule.code for rule in (LOOSER, LIMIT_LOOSER, STEPS_CHANGED))
"""What a plan says in its own words."""


def check(fleet: Fleet, base: Fleet) -> list[Diagnostic]:
    """Findings against the base, in its models and environments that still exist."""
    found: list[Diagnostic] = []
    for name, (document, _) in sorted(fleet.environments.items()):
        before = base.environments[name][0] if name in base.environments else None
        if before is not None and before.text != document.text:
            found += [
                document.report(LIMIT_LOOSER, each.path, f"{each.name} {_was(each)}")
                for each in of_environment(before, document)
                if each.direction == "looser"
            ]
            found += [
                document.report(MOVED, each.path, f"{each.name} was {each.before}, and is {each.after}")
                for each in of_environment(before, document)
                if each.name in ("cluster", "namespace")
            ]
    merged = {(release.model, release.environment_name): release for release in base.releases}
    for release in fleet.releases:
        if (old := merged.get((release.model, release.environment_name))) is not None:
            found += _policy(old, release)
    return found


def _policy(before: Release, after: Release) -> list[Diagnostic]:
    document = after.policy_document
    # A metric of mrc.yaml or a verdict may differ though the policy does not.
    if document.text == before.policy_document.text and _held_to(before) == _held_to(after):
        return []
    found = []
    left_out = {one.name for one in (*before.unwatched, *after.unwatched)}
    for each in settings(before, after):
        if each.direction == "looser":
            # A guardrail is the same in all environments in which it watches, and said once.
            everywhere = each.path[:2] == ("spec", "guardrails") and each.path[2] not in left_out
            where = "" if everywhere else f" in {after.environment_name}"
            found.append(document.report(LOOSER, each.path, f"{each.name}{where} {_was(each)}"))
    same = before.version.number == after.version.number
    if same and after.fallback is not None and _steps(before) != _steps(after):
        place = (*after.path, "blueGreen" if after.policy.blue_green is not None else "canary")
        message = f"the stages in {after.environment_name} change, and {after.version.number} serves before and after"
        found.append(document.report(STEPS_CHANGED, place, message))
    return found


def _held_to(release: Release) -> tuple[object, ...]:
    return release.guardrails, release.verdicts


def _steps(release: Release) -> list[tuple[object, ...]]:
    """What becomes steps of Argo: all but what is warm, and nothing of blue-green. Who approves is in none of them."""
    if release.policy.blue_green is not None:
        return [("blueGreen",)]
    shadow = release.policy.shadow
    mirrored = [("shadow", shadow.protocol)] if shadow is not None else []
    return [*mirrored, *((stage.kind, stage.share, stage.length) for stage in stages(release) if not stage.promoted)]


def _was(each: Difference) -> str:
    if each.after is None:
        return f"was {each.before}, and is gone"
    return f"was {each.before or 'not there'}, and is {each.after}"
