"""What was found of the version that is to serve, and of the one that it falls back to."""

from mrc.diagnostics import Diagnostic, error, warning
from mrc.link import Release, Version

REJECTED = error(
    "MRC311", "a rejected version",
    reason="It was found unfit here once; serving it again repeats that.",
    hint="serve another version; if the verdict was wrong, its owners change the verdict's file",
)  # fmt: skip
REJECTED_ELSEWHERE = warning(
    "MRC312", "a version that was rejected in another environment",
    reason="What failed there may fail here.",
    hint="read the verdict's reason before you merge",
)  # fmt: skip
UNVALIDATED = error(
    "MRC313", "a version that nobody has validated",
    reason="The environment's owners ask for a person's name before a version serves or is fallen back to.",
    hint="add policies/<model>/verdicts/<n>.yaml with validated: {by, at}",
)  # fmt: skip
RULES = (REJECTED, REJECTED_ELSEWHERE, UNVALIDATED)


def check(release: Release) -> list[Diagnostic]:
    """Findings about the versions of one release."""
    found = _of(release, release.version, "version")
    if release.fallback is not None:
        found += _of(release, release.fallback, "fallback")
    return found


def _of(release: Release, version: Version, key: str) -> list[Diagnostic]:
    found: list[Diagnostic] = []
    document, path = release.policy_document, (*release.path, "serve", key)
    where = release.environment_name
    verdict = release.verdicts.get(version.number)
    for environment, rejected in sorted(verdict.spec.rejected.items() if verdict is not None else []):
        rule = REJECTED if environment == where else REJECTED_ELSEWHERE
        message = f"version {version.number} was rejected in {environment}: {rejected.reason}"
        found.append(document.report(rule, path, message))
    demanded = release.environment.spec.limits.validated
    if demanded and (verdict is None or verdict.spec.validated is None):
        message = f"version {version.number} is not validated, and {where} demands it"
        found.append(document.report(UNVALIDATED, path, message))
    return found
