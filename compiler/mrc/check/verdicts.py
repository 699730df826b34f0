"""What was found of the version that is to serve, and of the one that it falls back to."""

from mrc.diagnostics import Diagnostic, error, warning
from mrc.link import Fleet, Release, Version
from mrc.spelling import closest
from mrc.tree import Tree

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
NOWHERE = error(
    "MRC314", "a version rejected in an environment that there is not",
    reason="It looks as if the version could not serve there again, and it can.",
    hint="name an environment of the policy",
)  # fmt: skip
TOO_EARLY = error(
    "MRC315", "a verdict on a version that is not written yet",
    reason="Whoever writes the version later has it vouched for, or refused, before anybody has seen it.",
    hint="write the version first, or give the verdict the number of the version that was looked at",
)  # fmt: skip
RULES = (REJECTED, REJECTED_ELSEWHERE, UNVALIDATED, NOWHERE, TOO_EARLY)


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


def written(tree: Tree, fleet: Fleet, merged: Tree, base: Fleet) -> list[Diagnostic]:
    """What is wrong with verdicts that were not merged yet; an older one may speak of what has gone since."""
    found: list[Diagnostic] = []
    for name, model in fleet.models.items():
        if name not in base.models and merged.files(f"policies/{name}"):
            continue  # what was merged cannot be read
        old = base.models[name].verdicts if name in base.models else {}
        known = sorted({*model.policy.spec.environments, *fleet.environments})
        for number, (document, verdict) in model.verdicts.items():
            before = old[number][1].spec.rejected if number in old else {}
            for environment in verdict.spec.rejected:
                if environment in known or environment in before:
                    continue
                close = closest(environment, known)
                meant = f"; did you mean {close}?" if close else ""
                message = f"version {number} of {name} is rejected in {environment}, which there is not{meant}"
                found.append(document.report(NOWHERE, ("spec", "rejected", environment), message, at_key=True))
            newest = _newest(tree, name)
            if number not in old and newest is not None and number > newest:
                message = f"{name} has no version {number}; its newest is {newest}"
                found.append(document.report(TOO_EARLY, ("metadata", "version"), message))
    return found


def _newest(tree: Tree, model: str) -> int | None:
    """The largest number of a version's file, whether it can be read or not."""
    names = (path.rpartition("/")[2].removesuffix(".yaml") for path in tree.files(f"policies/{model}/versions"))
    return max((int(name) for name in names if name.isascii() and name.isdecimal()), default=None)
