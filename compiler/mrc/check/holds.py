"""What is held: the hold serves, whatever the policy's line says."""

from mrc.diagnostics import Diagnostic, error, warning
from mrc.link import Fleet, Release

HELD = warning(
    "MRC386", "a model that is held",
    reason="The hold pins what serves until a person clears it: the policy's line moves nothing until then.",
    hint="when it is safe again: mrc clear MODEL -e ENVIRONMENT --reason TEXT",
)  # fmt: skip
REJECTED_BENEATH = error(
    "MRC388", "a rejected version beneath a hold",
    reason="It moves nothing today. The day on which the hold is cleared, it serves what was rejected.",
    hint="promote another version; if the verdict was wrong, its owners change the verdict's file",
)  # fmt: skip
RULES = (HELD, REJECTED_BENEATH)


def check(fleet: Fleet, base: Fleet | None) -> list[Diagnostic]:
    """Findings about every release that is held. Without a base, nobody knows whether the line has moved."""
    found: list[Diagnostic] = []
    for release in fleet.releases:
        if release.hold is not None:
            found += _held(release)
            found += _rejected(release, _line(fleet, release), _line(base, release) if base is not None else None)
    return found


def _line(fleet: Fleet, release: Release) -> int | None:
    """The version that the policy itself names."""
    model = fleet.models.get(release.model)
    own = model.policy.spec.environments.get(release.environment_name) if model is not None else None
    return int(own.serve.version) if own is not None else None


def _rejected(release: Release, line: int | None, before: int | None) -> list[Diagnostic]:
    if line is None or before is None or line == before:
        return []  # a line that stays while its version is rejected is how the reconciler holds what it cannot edit
    verdict, where = release.verdicts.get(line), release.environment_name
    if verdict is None or where not in verdict.spec.rejected:
        return []
    message = f"version {line} was rejected in {where}: {verdict.spec.rejected[where].reason}"
    return [release.policy_document.report(REJECTED_BENEATH, (*release.path, "serve", "version"), message)]


def _held(release: Release) -> list[Diagnostic]:
    """Said at the line that moves nothing."""
    assert release.hold is not None
    document, hold = release.hold
    where, serving = release.environment_name, int(release.policy.serve.version)
    what = release.model if hold.metadata.model is not None else "everything"
    message = (
        f"{what} is held in {where} since {hold.spec.at} by {hold.spec.by}: {hold.spec.reason}. "
        f"Version {serving} serves, whatever stands here ({document.file})"
    )
    name = release.model if hold.metadata.model is not None else "--all"
    hint = f"when it is safe again: mrc clear {name} -e {where} --reason TEXT"
    return [release.policy_document.report(HELD, (*release.path, "serve", "version"), message, hint)]
