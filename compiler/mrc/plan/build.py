"""Two analysed fleets and the rendered files of both to a `Plan`."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from mrc import settings
from mrc.check import looser
from mrc.compile import Compiled
from mrc.diagnostics import Diagnostic
from mrc.link import Release
from mrc.plan import exposure, objects, text, versions, watching, wayback
from mrc.plan.model import (
    FORMAT,
    EnvironmentPlan,
    FileChange,
    Finding,
    Kind,
    Plan,
    ReleasePlan,
    Setting,
    StagePlan,
    Unplanned,
)
from mrc.plan.touched import Touched
from mrc.render import render
from mrc.render.kustomize import of_environment
from mrc.tree import Tree

Key = tuple[str, str]  # environment, model
# What is read first: what takes a model away, then what users meet, then what is watched otherwise.
_WEIGHT: tuple[Kind, ...] = ("removed", "moved", "promotion", "rollback", "restart", "added", "edit")
_LIFTED = "a freeze that this change lifts,"


def build(base: str, committed: Tree, after: Compiled, touched: Touched, now: datetime | None = None) -> Plan:
    """The plan of everything that is touched.

    `after` was analysed against the base. `base` is its commit, `committed` its tree: what is rendered in it is what
    runs. Where nothing is committed below `rendered/`, the base is rendered anew. `now` is when it is to be merged.
    """
    before = after.before
    assert before is not None
    unplanned = _unplanned(before, after)
    old, new = (_releases(each, touched, unplanned) for each in (before, after))
    found = []
    renamed = _renamed(old, new)
    for key in sorted(old.keys() | new.keys()):
        release = _release(old.get(key), new.get(key), committed, now, renamed.get(key))
        if release is not None:
            found.append(release)
    found.sort(key=lambda release: _WEIGHT.index(release.kind))
    shared = _shared(committed, found)
    return Plan(
        format=FORMAT,
        base=base,
        findings=tuple(_finding(each) for each in unsaid(after.diagnostics)),
        environments=tuple(_environments(before, after, found)),
        releases=tuple(found),
        unplanned=tuple(unplanned),
        shared=shared,
        objects=text.counts(change.sign for release in found for change in release.objects),
        files=text.counts(change.sign for files in (*(release.files for release in found), shared) for change in files),
    )


def _releases(compiled: Compiled, touched: Touched, unplanned: list[Unplanned]) -> dict[Key, Release]:
    models = {each.model for each in unplanned}
    environments = {each.environment for each in unplanned}
    return {
        (release.environment_name, release.model): release
        for release in compiled.fleet.releases
        if touched.has(release) and release.model not in models and release.environment_name not in environments
    }


def _renamed(old: Mapping[Key, Release], new: Mapping[Key, Release]) -> dict[Key, str]:
    """What is removed and what is added in one environment with the same bundle, each with the other's name."""
    come = {(key[0], _content(new[key])): key for key in sorted(new.keys() - old.keys())}
    found: dict[Key, str] = {}
    for key in sorted(old.keys() - new.keys()):
        other = come.pop((key[0], _content(old[key])), None)
        if other is not None:
            found |= {key: other[1], other: key[1]}
    return found


def _content(release: Release) -> frozenset[str]:
    """What the version serves with, wherever it lies."""
    spec = release.version.object.spec
    llm = spec.vllm or spec.tgi
    hub = {llm.hub.revision} if llm is not None and llm.hub is not None else set()
    return frozenset({spec.image} | hub | {file.sha256 for files in spec.bundle.values() for file in files.values()})


def _release(
    before: Release | None, after: Release | None, committed: Tree, now: datetime | None, same_bundle: str | None
) -> ReleasePlan | None:
    """What changes for one release; None where nothing does."""
    there = after or before
    assert there is not None
    running = _running(before, there.folder, committed)
    rendered = _texts(after) if after is not None else {}
    files = text.differences(running, rendered)
    changed = _settings(settings.settings(before, after)) if before is not None and after is not None else ()
    if not files and not changed:
        return None
    paths = {change.path for change in files}
    kind = _kind(before, after, running, rendered, paths)
    back = wayback.way_back(after, before, running) if after is not None else None
    warm = back is not None and back.restorable and back.warm is not None
    anew = back is not None and back.stages_again
    restore = watching.restore(after, warm=warm, anew=anew) if after is not None else ()
    rolls = kind not in ("edit", "removed", "moved")
    forward = after if kind in ("added", "promotion") or (kind == "moved" and _newer(before, after)) else None
    stages = exposure.timeline(after, back, restore) if after is not None and back is not None else ()
    version_changes = after is not None and (before is None or before.version.number != after.version.number)
    stable = before.version.number if before is not None and version_changes else None
    return ReleasePlan(
        model=there.model,
        environment=there.environment_name,
        team=there.team,
        kind=kind,
        version_before=before.version.number if before else None,
        version_after=after.version.number if after else None,
        fallback_before=before.fallback.number if before and before.fallback else None,
        fallback_after=after.fallback.number if after and after.fallback else None,
        version=versions.compare(before.version if before else None, after.version)
        if after is not None and version_changes
        else None,
        stages=stages,
        guardrails=watching.watched(after, stable=stable, warm=warm, anew=anew) if after is not None else (),
        unwatched=tuple(one.name for one in after.unwatched) if after is not None else (),
        restore=restore,
        way_back=back,
        warmth=wayback.warmth(after, before, back, rolls=rolls),
        same_bundle=same_bundle,
        new_versions=_new_versions(before, after),
        sessions=_sessions(after),
        freezes=_freezes(forward) if forward is not None else (),
        frozen=_frozen(before, forward, stages, now) if forward is not None and now is not None else (),
        settings=changed,
        objects=objects.differences(_only(running, paths), _only(rendered, paths)),
        files=files,
    )


def _newer(before: Release | None, after: Release | None) -> bool:
    return before is not None and after is not None and after.version.number > before.version.number


def _new_versions(before: Release | None, after: Release | None) -> tuple[int, ...]:
    if before is None or after is None:
        return ()
    known = {version.number for version in before.retained} | {after.version.number}
    return tuple(version.number for version in after.retained if version.number not in known)


def _sessions(release: Release | None) -> int | None:
    sessions = release.policy.sessions if release is not None else None
    return sessions.lifetime.seconds if sessions is not None else None


def _freezes(release: Release) -> tuple[str, ...]:
    return tuple(freeze.text for freeze in release.environment.spec.freezes)


def _frozen(before: Release | None, release: Release, stages: Iterable[StagePlan], now: datetime) -> tuple[str, ...]:
    """The freezes that a merge at this time falls into, or that begin before its rollout is over.

    What the change itself lifts counts: its owners have frozen that time until they say otherwise.
    """
    mine = release.environment.spec.freezes
    merged = before.environment.spec.freezes if before is not None else []
    lifted = [freeze for freeze in merged if not any(other.covers(freeze) for other in mine)]
    found = []
    for freeze, what in (*((each, "the freeze") for each in mine), *((each, _LIFTED) for each in lifted)):
        if freeze.holds(now):
            found.append(f"a merge now falls into {what} {freeze.text}")
        elif any(freeze.holds(now + timedelta(seconds=stage.starts)) for stage in stages):
            found.append(f"a rollout that begins now is not over before {what} {freeze.text}")
    return tuple(found)


def _kind(
    before: Release | None,
    after: Release | None,
    running: Mapping[str, str],
    rendered: Mapping[str, str],
    paths: set[str],
) -> Kind:
    if before is None or after is None:
        return "added" if before is None else "removed"
    if before.place != after.place:
        return "moved"
    if before.version.number != after.version.number:
        return "promotion" if after.version.number > before.version.number else "rollback"
    if not any(path.endswith("/rollout.yaml") for path in paths):
        return "edit"
    return "edit" if objects.pod_template(running) == objects.pod_template(rendered) else "restart"


def _running(before: Release | None, folder: str, committed: Tree) -> dict[str, str]:
    """The files that the base has for the release: those that are committed, or what it renders to."""
    paths = committed.files(folder)
    if paths:
        return {path: committed.read(path).decode(errors="replace") for path in paths}
    return _texts(before) if before is not None else {}


def _texts(release: Release) -> dict[str, str]:
    return {artifact.path: artifact.text for artifact in render(release)}


def _only(files: Mapping[str, str], paths: Iterable[str]) -> dict[str, str]:
    return {path: files[path] for path in sorted(paths) if path in files}


def _shared(committed: Tree, found: list[ReleasePlan]) -> tuple[FileChange, ...]:
    """The list of models of each environment, where it is committed and a model comes or goes."""
    before, after = {}, {}
    for environment in sorted({release.environment for release in found if release.kind in ("added", "removed")}):
        paths = committed.files(f"rendered/{environment}")
        if not paths:
            continue
        there = {path.split("/")[2] for path in paths if path.count("/") == 3}
        come = {each.model for each in found if each.environment == environment and each.kind == "added"}
        gone = {each.model for each in found if each.environment == environment and each.kind == "removed"}
        listing = of_environment(environment, sorted(there - gone | come))
        after[listing.path] = listing.text
        if listing.path in paths:
            before[listing.path] = committed.read(listing.path).decode(errors="replace")
    return text.differences(before, after)


def _environments(before: Compiled, after: Compiled, found: list[ReleasePlan]) -> Iterable[EnvironmentPlan]:
    for name in sorted(before.objects.environments.keys() & after.objects.environments.keys()):
        old, new = before.objects.environments[name][0], after.objects.environments[name][0]
        changed = _settings(settings.of_environment(old, new))
        if changed:
            restarts = tuple(each.model for each in found if each.environment == name and each.kind == "restart")
            moves = tuple(each.model for each in found if each.environment == name and each.kind == "moved")
            yield EnvironmentPlan(name, changed, restarts, moves)


def _settings(found: Iterable[settings.Difference]) -> tuple[Setting, ...]:
    return tuple(Setting(each.name, each.before, each.after, each.direction) for each in found)


def _unplanned(before: Compiled, after: Compiled) -> list[Unplanned]:
    """What has errors that keep it from being linked whole, now or in the base."""
    found: dict[tuple[str | None, str | None], Unplanned] = {}
    for compiled, why in ((after, "has errors"), (before, "has errors in the base")):
        for path in sorted(compiled.broken):
            folder, _, rest = path.partition("/")
            name = rest.split("/")[0].removesuffix(".yaml")
            if folder == "policies":
                found.setdefault((name, None), Unplanned(text.printable(name), None, text.printable(f"{path} {why}")))
            elif folder == "environments":
                found.setdefault((None, name), Unplanned(None, text.printable(name), text.printable(f"{path} {why}")))
    return list(found.values())


def unsaid(found: Iterable[Diagnostic]) -> list[Diagnostic]:
    """The findings that the plan does not say in its own words."""
    return [each for each in found if each.code not in looser.CODES]


def _finding(found: Diagnostic) -> Finding:
    message, file, hint = (text.printable(each) for each in (found.message, found.file, found.hint))
    return Finding(found.code, found.severity, message, file, found.line, found.column, hint)
