"""What a rollback of this change would return to, and which versions become warm or cold by it."""

from collections.abc import Mapping

from mrc import routers
from mrc.link import Release, Version
from mrc.plan.model import Warmth, WayBack
from mrc.plan.objects import pod_template
from mrc.revert import template
from mrc.timing import cold_start, total


def way_back(release: Release, before: Release | None, running: Mapping[str, str]) -> WayBack:
    """Held against what runs: `running` are the files that the cluster has applied."""
    fallback = release.fallback
    if fallback is None:
        return WayBack(None, False, "the policy names no fallback", None, None, False)
    warm = release.policy.warm.seconds if release.policy.warm is not None else None
    unknown = _unknown(release, before, fallback, running)
    why_not = unknown
    serves = before is not None and before.version.number == fallback.number
    if unknown is None and not keeps_warm(release):
        why_not = "without a traffic router nothing is kept running: going back starts pods"
    elif unknown is None and before is not None and not serves and before.version.number != release.version.number:
        why_not = f"{before.version.number} serves now, and stays up in its place: going back starts pods"
    start = total(cold_start(release, fallback)).seconds
    why = why_not or f"its pod template equals the one that {'runs' if serves else 'ran'}"
    return WayBack(fallback.number, why_not is None, why, warm, start, unknown is not None)


def _unknown(release: Release, before: Release | None, fallback: Version, running: Mapping[str, str]) -> str | None:
    """Why Argo would not know the fallback's pods again; None where it would."""
    if before is None:
        return "nothing runs here yet"
    if before.place != release.place:
        return f"nothing runs in {release.place} yet"
    if before.version.number == fallback.number:
        was = pod_template(running)
    elif before.fallback is not None and before.fallback.number == fallback.number:
        was = template(before, before.fallback)
    else:
        return "no pod of it runs now: going back starts new ones"
    if template(release, fallback) != was:
        return "its pods would differ from those that were promoted: going back starts new ones"
    return None


def warmth(release: Release | None, before: Release | None, back: WayBack | None, *, rolls: bool) -> tuple[Warmth, ...]:
    """The versions that stay up, or do not, because of this change."""
    if release is None:
        assert before is not None
        return (Warmth(before.version.number, "cold", "once the objects are deleted"),)
    found: list[Warmth] = []
    if before is not None and before.place != release.place and before.fallback is not None:
        found.append(Warmth(before.fallback.number, "cold", f"it stays behind in {before.place}"))
    if rolls and before is not None and before.version.number != release.version.number:
        was = before.version.number
        if back is not None and back.version == was and not back.restorable and keeps_warm(release):
            found.append(
                Warmth(was, "cold", "its pods stay, and a rollback does not find them: it would start new ones")
            )
        elif release.policy.warm is not None and keeps_warm(release):
            found.append(Warmth(was, "warm", f"whole until the promotion, and for {release.policy.warm} after it"))
        elif keeps_warm(release):
            found.append(Warmth(was, "cold", "at the promotion: the policy keeps nothing warm"))
        else:
            found.append(Warmth(was, "cold", "as its pods are replaced: there is no traffic router"))
        older = before.fallback
        if older is not None and before.policy.warm is not None and older.number != release.version.number:
            found.append(Warmth(older.number, "cold", "at the latest when this rollout is promoted"))
    return tuple(found)


def keeps_warm(release: Release) -> bool:
    """Whether Argo keeps the stable side whole until the promotion, so that an abort only moves traffic."""
    return release.policy.blue_green is not None or routers.can(release.environment.spec.router.kind, "weights")
