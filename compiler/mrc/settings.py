"""Two releases of a model to the values that differ, and which of the differences make it looser."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from mrc.catalogue.own import Own
from mrc.guardrail import Bound, Guardrail, WorseThanStable, limit_in_words
from mrc.link import Release
from mrc.read import Document, Path
from mrc.records import dataclass
from mrc.rollouts import EVERYTHING, Stage, stages
from mrc.schema import Verdict
from mrc.schema.environment import Freeze, Limits
from mrc.schema.reconcile import Reconcile
from mrc.schema.units import Duration, Positive, Share

Direction = Literal["looser", "stricter", "other"]

_ACTIONS = ("ticket", "page", "rollback")  # from the loosest to the strictest
_COMPARED = ("max", "min", "worseThanStable", "burnRate", "absent")
_WRITTEN = ("promql", "samples", "expression")
# Told in words of their own.
_APART = ("serve", "shadow", "canary", "blueGreen", "bake", "warm")
_MODES = ("observe", "pullRequest", "commit")  # from the one that does nothing by itself
_MISSING = ("ignore", "pause", "rollback")
_TIERS = ("trend", "short", "immediate")  # from what nobody waits for to what a machine must see first


@dataclass(frozen=True)
class Difference:
    """A value that differs: what it is called, what it was and is (None where it is not there), and where it stands.

    `path` is that of the newer document, or of what is left around a value that is gone.
    """

    name: str
    before: str | None
    after: str | None
    direction: Direction
    path: Path


def settings(before: Release, after: Release) -> tuple[Difference, ...]:
    """What of the policy, and of the environment as far as it is known here, differs."""
    return (*_policy(before, after), *_guardrails(before, after), *_verdicts(before, after))


def of_environment(before: Document, after: Document) -> tuple[Difference, ...]:
    """What differs in the document of an environment, value by value, and freeze by freeze."""
    was, now = (dict(_leaves(document.data["spec"], "")) for document in (before, after))
    freezes = [_freezes(leaves.pop("freezes", "[]")) for leaves in (was, now)]
    values = (
        Difference(
            path,
            was.get(path),
            now.get(path),
            _demanded(path, was.get(path), now.get(path)),
            ("spec", *path.split(".")),
        )
        for path in sorted(was.keys() | now.keys())
        if was.get(path) != now.get(path)
    )
    return tuple(sorted((*values, *_frozen(*freezes)), key=lambda each: each.name))


def _freezes(written: str) -> list[Freeze]:
    return [Freeze.model_validate(each) for each in json.loads(written)]


def _frozen(before: Sequence[Freeze], after: Sequence[Freeze]) -> Iterator[Difference]:
    """A freeze that is gone makes it looser, unless another one covers all of its time."""
    for freeze in before:
        if freeze not in after:
            covered = any(other.covers(freeze) for other in after)
            yield Difference("freeze", freeze.text, None, "other" if covered else "looser", ("spec", "freezes"))
    for index, freeze in enumerate(after):
        if freeze not in before:
            yield Difference("freeze", None, freeze.text, "stricter", ("spec", "freezes", index))


def _leaves(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    else:
        yield path, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _demanded(path: str, before: str | None, after: str | None) -> Direction:
    """Limits have a direction, and what holds a promotion up, takes it back or guards what is told of it."""
    match path:
        case "limits.approval" | "limits.validated":
            return "stricter" if after == "true" else "looser"
        case "limits.firstTraffic":
            if before is None or after is None:
                return "looser" if after is None else "stricter"
            return _less(Share.parse(before), Share.parse(after))
        case "limits.retained":
            old, new = (Positive.parse(each) if each is not None else Limits().retained for each in (before, after))
            return _less(new, old)
        case "limits.timeToRestore":
            return _budget(before and Duration.parse(before), after and Duration.parse(after))
        case "limits.guardrails":
            return "looser" if set(json.loads(before or "[]")) - set(json.loads(after or "[]")) else "stricter"
        case "reconcile.mode":
            return _less(_MODES.index(after or _MODES[0]), _MODES.index(before or _MODES[0]))
        case "reconcile.plainHosts":
            return "looser" if set(json.loads(after or "[]")) - set(json.loads(before or "[]")) else "stricter"
        case "reconcile.cooldown" | "reconcile.verify" | "reconcile.recover":
            least = getattr(Reconcile(), path.partition(".")[2])
            was, now = (Duration.parse(each) if each is not None else least for each in (before, after))
            return _less(was, now) if path == "reconcile.recover" else _less(now, was)
        case "reconcile.breaker":
            most = [Positive.parse(each) if each is not None else Reconcile().breaker for each in (before, after)]
            return _less(*most)
        case "reconcile.mass":
            return _less(*(Share.parse(each) if each is not None else Reconcile().mass for each in (before, after)))
        case _ if path.startswith("reconcile.healthy."):
            return "looser" if after is None else "stricter" if before is None else "other"
        case _:
            return "other"


def _policy(before: Release, after: Release) -> Iterator[Difference]:
    old, new = before.policy, after.policy
    path = after.path
    if (was := _stages(before)) != (now := _stages(after)):
        strategy = "blueGreen" if new.blue_green is not None else "canary"
        direction = _exposure(stages(before), stages(after))
        yield Difference("stages", _joined(was), _joined(now), direction, (*path, strategy))
    if old.bake != new.bake:
        yield Difference("bake", str(old.bake), str(new.bake), _less(new.bake, old.bake), (*path, "bake"))
    if old.warm != new.warm:
        direction = _less(new.warm or Duration(0), old.warm or Duration(0))
        yield Difference("warm", _text(old.warm), _text(new.warm), direction, (*path, "warm"))
    left, right = _others(before), _others(after)
    for name in sorted(left.keys() | right.keys()):
        (place, was_said), (_, said) = (side.get(name, (path, None)) for side in (left, right))
        if was_said != said:
            direction = _promised(name, was_said, said)
            yield Difference(name, was_said, said, direction, right.get(name, (place, said))[0])
    if (was_held := _hold(before)) != (now_held := _hold(after)):
        yield Difference("hold", was_held, now_held, "other", (*path, "serve"))
    if before.team != after.team:
        yield Difference("team", before.team, after.team, "other", ("metadata", "team"))


def _hold(release: Release) -> str | None:
    """The hold that pins the release, whatever the policy says."""
    return f"{release.hold[0].file} pins {release.version.number}" if release.hold is not None else None


def _others(release: Release) -> dict[str, tuple[Path, str]]:
    """What else the policy says, for this environment and for all of them, and where."""
    spec = release.policy_document.data["spec"]
    own = spec["environments"][release.environment_name]
    parts = ((spec, ("environments", "guardrails"), ("spec",)), (own, _APART, release.path))
    return {
        path: ((*place, *path.split(".")), text)
        for part, apart, place in parts
        for key, value in part.items()
        if key not in apart
        for path, text in _leaves(value, key)
    }


def _promised(path: str, before: str | None, after: str | None) -> Direction:
    match path:
        case "timeToRestore":
            return _budget(before and Duration.parse(before), after and Duration.parse(after))
        case "promotesFrom":  # another environment is not the one in which it had to serve
            return "stricter" if before is None else "looser"
        case "sideEffects":  # a shadow may copy requests now
            return "looser" if before is None else "stricter"
        case _:
            return "other"


def _budget(before: object, after: object) -> Direction:
    """Looser where more time may pass, or any."""
    if before is None or after is None:
        return "looser" if after is None else "stricter"
    return _less(before, after)


def _stages(release: Release) -> list[str]:
    return [_stage(release, stage) for stage in stages(release) if stage.kind not in ("bake", "warm")]


def _stage(release: Release, stage: Stage) -> str:
    shadow, blue_green = release.policy.shadow, release.policy.blue_green
    match stage.kind:
        case "traffic":
            return f"{stage.share} for {stage.length}"
        case "shadow":
            over = " over gRPC" if shadow is not None and shadow.protocol == "grpc" else ""
            return f"shadow {stage.share} for {stage.length}{over}"
        case "approval":
            return f"approval by {stage.group}"
        case _:
            pods = blue_green.preview.replicas if blue_green is not None else None
            here = f" on {pods} pod{'s' if pods > 1 else ''}" if pods is not None else ""
            return f"{stage.kind} for {stage.length}{here}"


def _exposure(old: list[Stage], new: list[Stage]) -> Direction:
    """Looser when more users meet the new version than before: at first, at some moment, or after so many approvals.

    Also when an approval is gone, or others may give it, and when a shadow or a preview is less than it was.
    """
    if Counter(stage.group for stage in old if stage.group) - Counter(stage.group for stage in new if stage.group):
        return "looser"
    for stage in old:
        if stage.kind in ("shadow", "preview") and not _as_long(stage, new):
            return "looser"
    if _first(new) > _first(old):
        return "looser"
    was, now = _curve(old), _curve(new)
    moments = sorted({moment for moment, _ in (*was, *now)})
    shares = [(_at(was, moment), _at(now, moment)) for moment in moments]
    shares += zip(_approved(old), _approved(new), strict=False)
    more = any(after > before for before, after in shares)
    less = any(after < before for before, after in shares)
    return "looser" if more else "stricter" if less else "other"


def _as_long(stage: Stage, others: list[Stage]) -> bool:
    return any(
        other.kind == stage.kind and (other.length or 0) >= (stage.length or 0) and other.share >= stage.share
        for other in others
    )


def _first(found: list[Stage]) -> Share:
    """The share of the users who meet the new version first."""
    return next((stage.share for stage in found if stage.answers), EVERYTHING)


def _curve(found: list[Stage]) -> list[tuple[int, float]]:
    """From which moment which share: milliseconds after the start without approvals, and all of it at the end."""
    curve, moment = [(0, 0.0)], 0
    for stage in found:
        if stage.answers:
            curve.append((moment, float(stage.share)))
        moment += stage.length or 0
    return [*curve, (moment, 1.0)]


def _approved(found: list[Stage]) -> list[float]:
    """The largest share without any approval, with the first one, with the second one, and so on."""
    reached = [0.0]
    for stage in found:
        if stage.kind == "approval":
            reached.append(reached[-1])
        elif stage.answers:
            reached[-1] = max(reached[-1], float(stage.share))
    return reached


def _at(curve: list[tuple[int, float]], moment: int) -> float:
    return [share for since, share in curve if since <= moment][-1]


def _guardrails(before: Release, after: Release) -> Iterator[Difference]:
    old = {guardrail.name: guardrail for guardrail in before.guardrails}
    new = {guardrail.name: guardrail for guardrail in after.guardrails}
    written = after.policy_document.data["spec"]["guardrails"]
    for name in sorted(old.keys() | new.keys()):
        was, now = old.get(name), new.get(name)
        place, path = f"guardrail {name}", ("spec", "guardrails", name)
        if was is None or now is None:
            direction: Direction = "stricter" if was is None else "looser"
            yield Difference(place, _limit(was) if was else None, _limit(now) if now else None, direction, path)
            continue
        if _metric(was) != _metric(now) or was.comparison != now.comparison:
            key = next((key for key in _COMPARED if key in written.get(name, {})), "metric")
            yield Difference(place, _limit(was), _limit(now), _limits(was, now), (*path, key))
        if _metric(was) == _metric(now):
            for key, left, right in zip(_WRITTEN, _expressions(was), _expressions(now), strict=True):
                if left != right:
                    at = (*path, "metric" if key == "expression" else key)
                    yield Difference(f"{place} {key}", left, right, "other", at)
        for key, left, right, way in (
            ("window", str(was.window), str(now.window), _less(was.window, now.window)),
            ("minSamples", str(was.min_samples), str(now.min_samples), _less(was.min_samples, now.min_samples)),
            ("action", was.action, now.action, _less(_ACTIONS.index(now.action), _ACTIONS.index(was.action))),
            (
                "onMissing",
                was.on_missing,
                now.on_missing,
                _less(_MISSING.index(now.on_missing), _MISSING.index(was.on_missing)),
            ),
            ("tier", was.tier, now.tier, _less(_TIERS.index(now.tier), _TIERS.index(was.tier))),
        ):
            if left != right:
                yield Difference(f"{place} {key}", left, right, way, (*path, key))


def _metric(guardrail: Guardrail) -> str | None:
    """The metric's name; None for the team's own expression."""
    return guardrail.metric.name if guardrail.metric is not None else None


def _expressions(guardrail: Guardrail) -> tuple[str | None, ...]:
    """What the team has written itself: in the guardrail, and of a metric in mrc.yaml."""
    measure = guardrail.metric.measure if guardrail.metric is not None else None
    said = None
    if isinstance(measure, Own):
        said = f"{measure.written.value} of {measure.written.samples} samples in {measure.written.unit}"
    written = (guardrail.promql, guardrail.samples_promql, said)
    return tuple(" ".join(each.split()) if each else None for each in written)


def _limit(guardrail: Guardrail) -> str:
    metric = guardrail.metric.name if guardrail.metric is not None else "the team's expression"
    return f"{metric} {limit_in_words(guardrail)}"


def _limits(was: Guardrail, now: Guardrail) -> Direction:
    """Looser too where the metric, the side or the kind of comparison is another: what was held to is not any more."""
    if _metric(was) != _metric(now):
        return "looser"
    old, new = was.comparison, now.comparison
    if isinstance(old, Bound) and isinstance(new, Bound) and old.worse == new.worse:
        return _less(old.limit, new.limit) if old.worse == "higher" else _less(new.limit, old.limit)
    if isinstance(old, WorseThanStable) and isinstance(new, WorseThanStable) and old.worse == new.worse:
        more = new.relative > old.relative or new.absolute > old.absolute
        fewer = new.relative < old.relative or new.absolute < old.absolute
        return "looser" if more else "stricter" if fewer else "other"
    return "looser"


def _less(value: object, than: object) -> Direction:
    """Looser where the value has become less than it was."""
    return "looser" if value < than else "stricter" if value > than else "other"  # type: ignore[operator]


def _joined(found: list[str]) -> str:
    return ", ".join(found) or "none"


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _verdicts(before: Release, after: Release) -> Iterator[Difference]:
    """What people or the reconciler have said of the versions since."""
    for number in sorted(before.verdicts.keys() | after.verdicts.keys()):
        was, now = (_said(each.verdicts.get(number), after.environment_name) for each in (before, after))
        if was != now:
            taken_back = _rejected(before, number) and not _rejected(after, number)
            place = (*after.path, "serve")
            yield Difference(f"verdict on {number}", was, now, "looser" if taken_back else "other", place)


def _rejected(release: Release, number: int) -> bool:
    verdict = release.verdicts.get(number)
    return verdict is not None and release.environment_name in verdict.spec.rejected


def _said(verdict: Verdict | None, environment: str) -> str | None:
    if verdict is None:
        return None
    said = []
    if verdict.spec.validated is not None:
        said.append(f"validated by {verdict.spec.validated.by}")
    if environment in verdict.spec.rejected:
        said.append(f"rejected: {verdict.spec.rejected[environment].reason}")
    return "; ".join(said) or None
