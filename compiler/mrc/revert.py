"""The way back of a change: the revert that it would need is built, checked, and held against what runs."""

from collections.abc import Callable, Mapping
from typing import Any

from mrc import coverage, timing
from mrc.diagnostics import Diagnostic, Severity, error, warning
from mrc.libyaml import MarkedYAMLError, ReaderError
from mrc.link import Fleet, Release, Version
from mrc.promote import PromotionError, promote
from mrc.rollouts import stages
from mrc.schema.units import Duration
from mrc.tree import Overlay, Tree, UnreadableError

NO_REVERT = error(
    "MRC354", "a change that could not be reverted",
    reason="When the new version fails, this commit must be possible at once, by a machine, at night.",
    hint="correct what stands in the way of the fallback, in this change",
)  # fmt: skip
NOT_RESTORABLE = warning(
    "MRC355", "a fallback that would not come back as it ran",
    reason="Argo finds the pods that are still warm by their template. Where it differs by one byte, going back is a "
    "rollout of its own: cold, and through the stages.",
    hint="change what belongs to every pod in a pull request of its own, and let it roll out before the next version",
    source="https://argo-rollouts.readthedocs.io/en/stable/features/rollback/",
)  # fmt: skip
RULES = (NO_REVERT, NOT_RESTORABLE)

_DEEPEST = 5  # keys of a path that say where two templates differ
_MOST = 3

Analyse = Callable[[Tree, str], list[Diagnostic]]


def check(
    tree: Tree, base: Tree, fleet: Fleet, before: Fleet, known: list[Diagnostic], analyse: Analyse
) -> list[Diagnostic]:
    """Findings about every release that the change touches. `analyse` checks one model of a change of `tree`.

    A model that has errors of its own is left out: they come first. A freeze is never asked about.
    """
    merged = {(release.model, release.environment_name): release for release in before.releases}
    faulty = {item.file.split("/")[1] for item in known if _is_error(item) and item.file.startswith("policies/")}
    found: list[Diagnostic] = []
    for release in fleet.releases:
        old = merged.get((release.model, release.environment_name))
        if release.fallback is None or release.model in faulty:
            continue
        if old is not None and not _touched(old, release) and _same(tree, base, f"{release.folder}/rollout.yaml"):
            continue
        if release.hold is None:  # what is held moves with no change: there is nothing to revert
            found += _revert(tree, fleet, release, known, analyse)
        if old is not None:
            found += _restorable(base, old, release)
    return found


def _is_error(item: Diagnostic) -> bool:
    return item.severity is Severity.ERROR


def _touched(before: Release, after: Release) -> bool:
    """Whether anything that a way back rests on differs."""
    return _rests_on(before) != _rests_on(after)


def _rests_on(release: Release) -> tuple[object, ...]:
    return (
        release.policy_document.text,
        release.policy,  # a hold may have changed what serves
        release.environment_document.text,
        [version.document.text for version in release.retained],
        release.verdicts,
    )


def _same(tree: Tree, base: Tree, path: str) -> bool:
    """Whether the file is the same on both sides: another mrc may render other pods from the same documents."""
    try:
        return tree.read(path) == base.read(path)
    except UnreadableError:
        return True  # it is not rendered yet


def _revert(tree: Tree, fleet: Fleet, release: Release, known: list[Diagnostic], analyse: Analyse) -> list[Diagnostic]:
    assert release.fallback is not None
    document, place = release.policy_document, (*release.path, "serve", "fallback")
    to = f"back to {release.fallback.number} in {release.environment_name}"
    try:
        text = promote(fleet.models[release.model], release.environment_name, release.fallback.number)
    except PromotionError as problem:
        return [document.report(NO_REVERT, place, f"the way {to} cannot be written: {problem}")]
    already = {(item.code, item.file) for item in known if _is_error(item)}
    problems = [
        item
        for item in analyse(Overlay(tree, {document.file: text.encode()}), release.model)
        if _is_error(item) and (item.code, item.file) not in already
    ]
    if not problems:
        return []
    first, more = problems[0], f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    message = f"the commit {to} would have errors: {first.code}, {first.message}{more}"
    return [document.report(NO_REVERT, place, message)]


def _restorable(base: Tree, before: Release, after: Release) -> list[Diagnostic]:
    assert after.fallback is not None
    was, now = running(base, before, after.fallback), template(after, after.fallback)
    moved = before.place != after.place
    if now == was and not moved:
        return []
    if moved:
        why = f"nothing runs in {after.place}"
    elif was is None:
        why = f"no pod of it is known to run: {before.version.number} serves there"
    else:
        paths = _differences(was, now, ())
        more = f" and {len(paths) - _MOST} more" if len(paths) > _MOST else ""
        why = f"its pods would differ from those that run ({', '.join(paths[:_MOST])}{more})"
    start = timing.total(timing.cold_start(after))
    message = (
        f"going back to {after.fallback.number} in {after.environment_name} would be cold: {why}. Its pods take up to "
        f"{start} to start, and Argo runs the stages again{_stages(after)}"
    )
    return [after.policy_document.report(NOT_RESTORABLE, (*after.path, "serve", "fallback"), message)]


def _stages(release: Release) -> str:
    """How long, until all requests are back."""
    kept = [stage for stage in stages(release) if stage.kind not in ("bake", "warm")]
    long = Duration(sum(stage.length or 0 for stage in kept))
    approvals = [coverage.shown(stage) for stage in kept if stage.kind == "approval"]
    return f", {long}" + (f" and the {', the '.join(approvals)}" if approvals else "")


def running(base: Tree, before: Release, version: Version) -> Any:
    """The pod template with which a version runs, or ran last; None where no pod of it is known.

    What serves is read from the rendered tree, so that it is what an older mrc made of it.
    """
    if before.version.number == version.number:
        rollout = f"{before.folder}/rollout.yaml"
        try:
            document = _loaded(base.read(rollout))
        except (UnreadableError, MarkedYAMLError, ReaderError):
            return template(before, before.version)
        return _at(document, "spec", "template")
    if before.fallback is not None and before.fallback.number == version.number:
        return template(before, before.fallback)
    return None


def template(release: Release, version: Version) -> Any:
    """The pod template of a version as it is rendered now, parsed."""
    from mrc.render import pod  # and its templates: only where there is a base to compare with

    return _loaded(pod.template(release, version))


def _loaded(text: bytes | str) -> Any:
    """The YAML that mrc has rendered. Raises MarkedYAMLError, ReaderError."""
    import yaml  # whole, for its loader: only where there is a base to compare with

    return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  safe, in C where there is one


def _at(document: Any, *keys: str) -> Any:
    for key in keys:
        document = document.get(key) if isinstance(document, Mapping) else None
    return document


def _differences(old: Any, new: Any, at: tuple[str, ...]) -> list[str]:
    """Where two templates differ, no deeper than is worth reading. Containers are called by their names."""
    if len(at) < _DEEPEST and isinstance(old, Mapping) and isinstance(new, Mapping):
        keys = [str(key) for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)]
        return [path for key in keys for path in _differences(old.get(key), new.get(key), (*at, key))]
    if len(at) < _DEEPEST and _named(old) and _named(new):
        left, right = ({each["name"]: each for each in side} for side in (old, new))
        names = [name for name in sorted(left.keys() | right.keys()) if left.get(name) != right.get(name)]
        return [path for name in names for path in _differences(left.get(name), right.get(name), (*at, name))]
    return [".".join(at)]


def _named(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, Mapping) and "name" in each for each in value)
