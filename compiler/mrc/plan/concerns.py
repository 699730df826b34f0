"""What whoever reviews a plan must not miss: what can hurt users, what got looser, what they may not expect."""

from mrc.plan import words
from mrc.plan.model import Plan, ReleasePlan, Setting, WayBack


def looser(plan: Plan) -> list[tuple[str, Setting]]:
    """Everything that the change makes looser, with where."""
    found = [(f"environment {each.name}", setting) for each in plan.environments for setting in each.settings]
    found += [(release.name, setting) for release in plan.releases for setting in release.settings]
    return [(where, setting) for where, setting in found if setting.direction == "looser"]


FIRST = "Look here first"


def first(plan: Plan) -> list[tuple[str, str]]:
    """What can hurt users most, with where: said before everything else, and not by the alphabet."""
    gone = [(each.name, _gone(each)) for each in plan.releases if each.kind == "removed"]
    moved = [
        (each.name, "it is deployed anew in another place, all at once, and nothing there is warm to go back to")
        for each in plan.releases
        if each.kind == "moved"
    ]
    back = [
        (each.name, "there is nothing to go back to" if each.way_back.version is None else _cold(each.way_back))
        for each in plan.releases
        if each.starts_rollout and each.way_back is not None and not each.way_back.restorable
        if each.way_back.version is None or each.way_back.warm is not None
    ]
    frozen = [(each.name, said) for each in plan.releases for said in each.frozen]
    unplanned = [
        (each.model or f"environment {each.environment}", f"not planned: {each.why}") for each in plan.unplanned
    ]
    return gone + moved + back + frozen + unplanned


def errors(plan: Plan) -> str:
    """`2 errors: this cannot be merged.`; nothing where there are none."""
    number = sum(finding.severity == "error" for finding in plan.findings)
    return f"{words.many(number, 'error')}: this cannot be merged." if number else ""


def _gone(release: ReleasePlan) -> str:
    said = f"{release.version_before} serves, and this change removes it: whoever calls it gets errors"
    return f"{said}; {release.same_bundle} has the same bundle, and another address" if release.same_bundle else said


def _cold(back: WayBack) -> str:
    cold = f" takes up to {words.length(back.seconds_to_cold_start)}" if back.seconds_to_cold_start is not None else ""
    return f"going back to {back.version}{cold or ' starts pods'}: {back.why}"


def cautions(release: ReleasePlan) -> list[str]:
    """What a reviewer may not expect."""
    found = [f"{release.environment}: {frozen}." for frozen in release.frozen]
    steps = any(each.name in ("stages", "bake") for each in release.settings)
    if release.kind == "edit" and steps:
        found.append(
            "The stages change and the version does not: a rollout in progress begins again at its first stage."
        )
    if release.sessions is not None and release.kind in ("promotion", "restart"):
        met = [(each.half_met, words.share(each.percent)) for each in release.stages if each.kind == "traffic"]
        half = ", ".join(f"after {words.many(number or 1, 'request')} at {percent}" for number, percent in met)
        found.append(
            "Sessions are pinned: whoever has met the new version stays with it for up to "
            f"{words.length(release.sessions)}, and an abort alone moves none of theirs. More meet it than the shares "
            f"say: half of the sessions {half}."
        )
    if release.kind == "promotion" and release.version is not None and not release.version.files:
        found.append(
            f"{release.version_after} has every file, image and setting of {release.version_before}: were new digests "
            "forgotten?"
        )
    if release.kind == "rollback":
        found.append("Argo goes back without the stages where it still has this version's ReplicaSet.")
    if release.kind == "removed":
        found.append("kubectl apply deletes nothing; a syncer that prunes deletes its objects at once.")
        if release.same_bundle:
            found.append(f"{release.same_bundle} is new with the same bundle: let its clients move there first.")
    if release.kind == "added" and release.same_bundle:
        found.append(f"It has the bundle of {release.same_bundle}, which this change removes: a name is an address.")
    if release.kind in ("added", "moved"):
        found.append("Argo skips the stages and their analysis when it first deploys a model.")
    return found
