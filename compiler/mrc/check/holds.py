"""What is held: the hold serves, whatever the policy's line says."""

from mrc.diagnostics import Diagnostic, warning
from mrc.link import Release

HELD = warning(
    "MRC386", "a model that is held",
    reason="The hold pins what serves until a person clears it: the policy's line moves nothing until then.",
    hint="when it is safe again: mrc clear MODEL -e ENVIRONMENT --reason TEXT",
)  # fmt: skip
RULES = (HELD,)


def check(release: Release) -> list[Diagnostic]:
    """Said at the line that moves nothing."""
    if release.hold is None:
        return []
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
