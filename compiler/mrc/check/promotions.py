"""May this version be promoted now, and has it been where it should have been before?

Only a forward move is judged: a way back is never frozen, and needs no other environment.
"""

from collections.abc import Iterable
from datetime import datetime

from mrc.diagnostics import Diagnostic, error, warning
from mrc.link import Fleet, Release
from mrc.records import replace
from mrc.schema.environment import Freeze
from mrc.schema.policy import PolicyEnvironment
from mrc.spelling import closest

FROZEN = error(
    "MRC371", "a promotion during a freeze",
    reason="The environment's owners let no new version in at this time: nobody may be there to see it fail.",
    hint="merge it after the freeze; a rollback is never frozen",
)  # fmt: skip
NOT_FROM = error(
    "MRC372", "a version that the environment before has not served",
    reason="Each environment is there to find what the next one should not meet.",
    hint="let it serve there first; if it did and that environment has moved on, name the environment in the "
    "version's verdict: validated: {by, at, environments: [<environment>]}",
)  # fmt: skip
REJECTED_BEFORE = error(
    "MRC373", "a version that the environment before has rejected",
    reason="It was found unfit where that was to be found out.",
    hint="promote another version; if the verdict was wrong, its owners change the verdict's file",
)  # fmt: skip
NO_SOURCE = error(
    "MRC374", "a promotion from an environment that the policy does not have",
    reason="What has served nowhere cannot be promoted from there.",
    hint="name another environment of the same policy",
)  # fmt: skip
BOTH_AT_ONCE = error(
    "MRC375", "another strategy and another version in one change",
    reason="Argo takes the first revision of a blue-green rollout for the one that was active all along: it skips the "
    "preview and switches at once.",
    hint="change the strategy first and let it be applied, then promote the version",
    source="https://argo-rollouts.readthedocs.io/en/stable/features/bluegreen/",
)  # fmt: skip
LEFT_BEHIND = warning(
    "MRC376", "a canary in place of blue-green",
    reason="Argo leaves its mark on the model's Service: until it is removed, that Service leads to the pods of one "
    "revision alone, and to none when they are gone.",
    hint="once this is applied, remove rollouts-pod-template-hash from the selector of the Service",
)  # fmt: skip
LIFTED = error(
    "MRC377", "a freeze that is lifted by what it would stop",
    reason="Who promotes would decide whether promoting is allowed: the environment's owners have frozen it until they "
    "say otherwise, in a change of which that is the whole point.",
    hint="lift the freeze in a change of its own, and promote when that is merged; a rollback is never frozen",
)  # fmt: skip
NEVER_SERVED = error(
    "MRC378", "a fallback that has never served",
    reason="Going back to it would be a promotion that no freeze, no other environment and no stage has held up, at "
    "the moment when something has failed already.",
    hint="name the version that serves now, or an older one; what is newer is promoted first",
)  # fmt: skip
NOT_WHAT_SERVES = warning(
    "MRC379", "a fallback that is not what serves now",
    reason="Until the promotion Argo returns to what serves now, and it is that version which stays warm after it: "
    "going back to any other one starts pods. A comparison with stable reads the fallback, which answers nothing, and "
    "the rollout pauses undecided.",
    hint="name what serves now as the fallback; where that must not come back, count on a cold start, and leave "
    "comparisons out",
)  # fmt: skip
RULES = (FROZEN, NOT_FROM, REJECTED_BEFORE, NO_SOURCE, BOTH_AT_ONCE, LEFT_BEHIND, LIFTED, NEVER_SERVED,
         NOT_WHAT_SERVES)  # fmt: skip


def check(fleet: Fleet, base: Fleet | None, now: datetime | None) -> list[Diagnostic]:
    """Findings about what would be promoted. What has not changed since the base was judged when it was merged."""
    found: list[Diagnostic] = []
    for release in fleet.releases:
        before = _served(base, release.model, release.environment_name)
        forward = _forward(release, before)
        found += _fallback(release, before)
        found += _idle(release, before) if forward else []
        found += _strategy(release, before)
        found += _from(fleet, base, release, forward=forward)
        if forward and before is not None and before.promotes_from not in (None, release.policy.promotes_from):
            found += _skipped(fleet, base, release, before.promotes_from)
        if base is not None and now is not None and forward:
            found += _frozen(release, _merged_freezes(base, release), now)
    return found


def _served(fleet: Fleet | None, model: str, environment: str) -> PolicyEnvironment | None:
    """What serves there, which a hold may have pinned: when it is cleared, the line beneath it is a promotion."""
    if fleet is None or model not in fleet.models:
        return None
    linked = fleet.models[model]
    there = (release.policy for release in linked.releases if release.environment_name == environment)
    return next(there, None) or linked.policy.spec.environments.get(environment)


def _forward(release: Release, before: PolicyEnvironment | None) -> bool:
    """Whether another version is to serve, and not one to go back to."""
    if before is None:
        return True
    version, served = release.version.number, int(before.serve.version)
    return version > served and version != before.serve.fallback


def _fallback(release: Release, before: PolicyEnvironment | None) -> list[Diagnostic]:
    """Versions are numbered in their order: what is newer than all that served has not served."""
    if before is None or release.fallback is None:
        return []
    number, served = release.fallback.number, int(before.serve.version)
    if number <= served or number == before.serve.fallback:
        return []
    message = f"fallback {number} is newer than {served}, which serves in {release.environment_name}"
    return [release.policy_document.report(NEVER_SERVED, (*release.path, "serve", "fallback"), message)]


def _idle(release: Release, before: PolicyEnvironment | None) -> list[Diagnostic]:
    """A fallback older than what serves, and what is compared with it."""
    if before is None or release.fallback is None or release.fallback.number >= before.serve.version:
        return []
    number, served = release.fallback.number, int(before.serve.version)
    compared = [guardrail.name for guardrail in release.guardrails if guardrail.compares]
    also = f"; {', '.join(compared)} would compare with what answers nothing" if compared else ""
    message = f"fallback {number} does not stay warm in {release.environment_name}: {served} serves, and does{also}"
    return [release.policy_document.report(NOT_WHAT_SERVES, (*release.path, "serve", "fallback"), message)]


def _strategy(release: Release, before: PolicyEnvironment | None) -> list[Diagnostic]:
    if before is None or (before.blue_green is None) == (release.policy.blue_green is None):
        return []
    document = release.policy_document
    key = "canary" if release.policy.blue_green is None else "blueGreen"
    found = []
    if release.version.number != before.serve.version:
        message = f"{key} is new in {release.environment_name}, and version {release.version.number} too"
        found.append(document.report(BOTH_AT_ONCE, (*release.path, key), message))
    if release.policy.blue_green is None:
        message = f"{release.environment_name} was blue-green: the Service {release.model} keeps Argo's selector"
        found.append(document.report(LEFT_BEHIND, (*release.path, key), message))
    return found


def _merged_freezes(base: Fleet, release: Release) -> list[Freeze]:
    """Those of the environment, and of one that had another name in the same place."""
    here = release.environment.spec
    return [
        freeze
        for name, (_, environment) in sorted(base.environments.items())
        if name == release.environment_name
        or (environment.spec.cluster, environment.spec.namespace) == (here.cluster, here.namespace)
        for freeze in environment.spec.freezes
    ]


def _frozen(release: Release, merged: Iterable[Freeze], now: datetime) -> list[Diagnostic]:
    """The freezes of the change, and where none of them holds, those that were merged: they hold until this is."""
    place, where = (*release.path, "serve", "version"), release.environment_name
    report = release.policy_document.report
    found = [
        report(FROZEN, place, f"{where} is frozen until {freeze.end}: {freeze.reason}")
        for freeze in release.environment.spec.freezes
        if freeze.holds(now)
    ]
    return found or [
        report(LIFTED, place, f"{where} was frozen until {freeze.end} ({freeze.reason}), and this change lifts that")
        for freeze in merged
        if freeze.holds(now)
    ]


def _from(fleet: Fleet, base: Fleet | None, release: Release, *, forward: bool) -> list[Diagnostic]:
    source, document = release.policy.promotes_from, release.policy_document
    if source is None:
        return []
    now = _served(fleet, release.model, source)
    if now is None or source == release.environment_name:
        others = fleet.models[release.model].policy.spec.environments.keys() - {release.environment_name}
        close = closest(source, sorted(others))
        meant = f"; did you mean {close}?" if close else ""
        message = (
            f"{release.model} is promoted from {source}, and the policy has no other environment of that name{meant}"
        )
        return [document.report(NO_SOURCE, (*release.path, "promotesFrom"), message)]
    return _been(fleet, base, release, source) if forward else []


def _skipped(fleet: Fleet, base: Fleet | None, release: Release, source: str) -> list[Diagnostic]:
    """What was merged counts: who promotes does not decide in the same change where a version comes from."""
    return [
        replace(found, message=f"{found.message}; promotesFrom: {source} goes in the same change",
                hint="let promotesFrom go in a change of its own, and promote when that is merged")
        for found in _been(fleet, base, release, source)
    ]  # fmt: skip


def _been(fleet: Fleet, base: Fleet | None, release: Release, source: str) -> list[Diagnostic]:
    """Whether the version was in that environment, as far as anybody knows, and did well."""
    document, now = release.policy_document, _served(fleet, release.model, source)
    number, place = release.version.number, (*release.path, "serve", "version")
    verdict = release.verdicts.get(number)
    if verdict is not None and source in verdict.spec.rejected:
        message = f"version {number} was rejected in {source}: {verdict.spec.rejected[source].reason}"
        return [document.report(REJECTED_BEFORE, place, message)]
    validated = verdict.spec.validated if verdict is not None else None
    if validated is not None and source in validated.environments:
        return []
    # What one change lets serve in both has served in neither. Without a base the past is not known: an older
    # version may have served there.
    known = _served(base, release.model, source) if base is not None else now
    if known is not None and number in (known.serve.version, known.serve.fallback):
        return []
    if base is None and now is not None and number < now.serve.version:
        return []
    says = f"which serves {int(known.serve.version)}" if known is not None else "which does not serve it at all"
    return [document.report(NOT_FROM, place, f"version {number} has not served in {source}, {says}")]
