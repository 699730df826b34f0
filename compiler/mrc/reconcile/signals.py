"""Kubernetes objects and Alertmanager's answer to failures. Pure; what comes from outside is hostile until it matches.

Level-triggered: each function tells what is the case, however often it is asked.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from mrc import labels
from mrc.reconcile.failure import Failure, Running
from mrc.reconcile.lines import line

_NAME = re.compile(r"[a-z](?:[-a-z0-9]{0,38}[a-z0-9])?")
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
_LONGEST = 500  # characters of a message
_EPOCH = 1970  # a time before it is Go's zero, and no time
# Argo's words in the condition Progressing, reason RolloutAborted; none of them means that a person aborted.
_ANALYSED = ("Step-based", "Background analysis", "Blue/green", "post-promotion analysis", "Experiment analysis",
             "Step Plugin", "Metric ")  # fmt: skip
_DEADLINE = "has timed out progressing"
_RUN_LABEL = "rollouts-pod-template-hash"
_REVISION = "rollout.argoproj.io/revision"
_AT_ONCE = timedelta(minutes=2)
"""How long after a run has ended Argo aborts for it, at most; what ended earlier was about another try."""

Object = Mapping[str, Any]


def slim(rollout: Object) -> dict[str, Any]:
    """The few fields of a Rollout that are read: what a table of 10,000 of them holds."""
    metadata, status = mapping(rollout, "metadata"), mapping(rollout, "status")
    template = mapping(rollout, "spec", "template", "metadata", "labels")
    aborted = [each for each in mappings(status, "conditions") if each.get("reason") == "RolloutAborted"]
    return {
        "metadata": {
            "name": metadata.get("name"), "namespace": metadata.get("namespace"), "uid": metadata.get("uid"),
            "generation": metadata.get("generation"),
            "labels": {key: value for key, value in mapping(metadata, "labels").items() if key in _READ},
            "annotations": {_REVISION: mapping(metadata, "annotations").get(_REVISION)},
        },
        "spec": {"template": {"metadata": {"labels": {labels.VERSION: template.get(labels.VERSION)}}}},
        "status": {key: status[key] for key in _STATUS if key in status}
        | ({"conditions": aborted} if aborted else {}),
    }  # fmt: skip


def remembering(before: Object | None, rollout: dict[str, Any]) -> dict[str, Any]:
    """A Rollout with the cause of its abort, where that was seen before: of a deadline Argo speaks once, and a moment
    later says only that it aborted."""
    was, now = mapping(before, "status"), rollout["status"]
    mine = mapping(before, "metadata").get("uid") == rollout["metadata"]["uid"]
    same = mine and now.get("abort") and now.get("abortedAt") == was.get("abortedAt")
    if same and _DEADLINE in _abort_message(was) and _DEADLINE not in _abort_message(now):
        now["conditions"], now["message"] = [], was.get("message")
    return rollout


_READ = (labels.MODEL, labels.ENVIRONMENT)
_STATUS = (
    "observedGeneration",
    "abort",
    "abortedAt",
    "phase",
    "message",
    "stableRS",
    "currentPodHash",
    "pauseConditions",
)


def running(rollout: Object, environment: str) -> Running | None:
    """What a Rollout of this environment does; None when it is not mrc's, or not of this environment."""
    metadata, status = mapping(rollout, "metadata"), mapping(rollout, "status")
    model, version = _identity(rollout, environment)
    if model is None or version is None:
        return None
    # Argo writes it as a string; until it has seen the newest spec, the status speaks of another one.
    if str(status.get("observedGeneration")) != str(metadata.get("generation")):
        return Running(model, version, "unknown")
    if status.get("abort"):
        # Whoever aborts writes the one, and Argo the other when it does: until then, no traffic has moved.
        since = _time(status.get("abortedAt"))
        return Running(model, version, "aborted" if since is not None else "unknown", since)
    stable = status.get("phase") == "Healthy" and status.get("stableRS") == status.get("currentPodHash")
    paused = bool(status.get("pauseConditions"))
    return Running(model, version, "stable" if stable else "paused" if paused else "progressing")


def own(rollouts: Iterable[Object], environment: str) -> tuple[list[Object], list[str]]:
    """Of each model of the environment the one Rollout that is its own, and the names of the others.

    A copy that somebody made to try something has the same labels: what is rendered bears the model's name, unless a
    kustomization renames it.
    """
    found: dict[str, Object] = {}
    others = []
    for rollout in sorted(rollouts, key=lambda each: str(mapping(each, "metadata").get("name"))):
        model, name = _identity(rollout, environment)[0], mapping(rollout, "metadata").get("name")
        if model is None:
            continue
        if name == model and model in found:
            rollout, found[model] = found[model], rollout
        if found.setdefault(model, rollout) is not rollout:
            others.append(str(mapping(rollout, "metadata").get("name")))
    return list(found.values()), others


def _identity(rollout: Object, environment: str) -> tuple[str | None, int | None]:
    own, template = mapping(rollout, "metadata", "labels"), mapping(rollout, "spec", "template", "metadata", "labels")
    model, version = str(own.get(labels.MODEL)), str(template.get(labels.VERSION))
    if own.get(labels.ENVIRONMENT) != environment or not _NAME.fullmatch(model) or not _NUMBER.fullmatch(version):
        return None, None
    return model, int(version)


def aborted(rollout: Object, runs: Iterable[Object], environment: str, events: Iterable[Object] = ()) -> Failure | None:
    """The failure of an aborted Rollout; None while it is not aborted, or its status is of another spec.

    `events` are what Argo said of aborts of it: of a deadline, the status says so for a moment only.
    """
    found = running(rollout, environment)
    if found is None or found.phase != "aborted":
        return None
    metadata, status = rollout["metadata"], rollout["status"]
    assert found.since is not None
    onset = found.since
    message = _abort_message(status)
    common: dict[str, Any] = {"model": found.model, "version": found.version, "onset": onset}
    failed = [run for run in runs if _of(run, metadata, status.get("currentPodHash"), onset)]
    failed = [run for run in failed if mapping(run, "status").get("phase") in ("Failed", "Error")]
    if failed:
        # A run that Failed tells of the model; one in Error could not ask.
        failed.sort(key=lambda run: (run["status"]["phase"] != "Failed", str(run["metadata"].get("uid"))))
        run = failed[0]
        blamed = run["status"]["phase"] == "Failed"
        return Failure(
            _line(f"analysisrun/{run['metadata']['uid']}"), "analysis",
            message=_line(run["status"].get("message") or message), blamed=blamed,
            evidence=tuple(pair for each in failed for pair in _evidence(each)), **common,
        )  # fmt: skip
    # With the version: Argo notes seconds, and in one of them another version may be aborted.
    cause = _line(f"rollout/{metadata.get('uid')}/{found.version}/{status['abortedAt']}")
    said = [_line(each.get("message")) for each in events if abs(_told(each) - onset) <= _AT_ONCE]
    late = next((each for each in (message, *said) if _DEADLINE in each), None)
    if late is not None:
        return Failure(cause, "deadline", message=late, blamed=True, **common)
    if any(words in message for words in _ANALYSED):
        # The run is gone: nobody can tell any more whether it Failed or could not ask.
        return Failure(cause, "analysis", message=message, blamed=False, **common)
    return Failure(cause, "abort", message=message, blamed=False, **common)


def _told(event: Object) -> datetime:
    times = (_time(event.get(key)) for key in ("lastTimestamp", "eventTime"))
    return next((each for each in times if each is not None), datetime.fromtimestamp(0, UTC))


def _abort_message(status: Object) -> str:
    aborted = (each for each in mappings(status, "conditions") if each.get("reason") == "RolloutAborted")
    texts = [str(each.get("message", "")) for each in aborted]
    return _line(texts[0] if texts else str(status.get("message") or "aborted"))


def _of(run: Object, rollout: Object, template: object, at: datetime) -> bool:
    """Whether it is about the try that was aborted then: the version may have been tried before."""
    metadata = mapping(run, "metadata")
    owners = [each.get("uid") for each in mappings(metadata, "ownerReferences")]
    if rollout.get("uid") not in owners or mapping(metadata, "labels").get(_RUN_LABEL, template) != template:
        return False
    revision, its = (mapping(each, "annotations").get(_REVISION) for each in (rollout, metadata))
    if revision is not None and its is not None and revision != its:
        return False
    ended = _time(mapping(run, "status").get("completedAt"))  # a person can let Argo retry the same revision
    return ended is None or at - ended <= _AT_ONCE


def _evidence(run: Object) -> list[tuple[str, str]]:
    found = []
    for result in mappings(run["status"], "metricResults"):
        phase = result.get("phase")
        if phase not in ("Failed", "Error"):
            continue
        measured = [each for each in mappings(result, "measurements") if each.get("phase") == phase]
        last = measured[-1] if measured else {}
        said = str(last.get("value") or last.get("message") or result.get("message") or "no value")
        counts = ", ".join(f"{result[key]} {key}" for key in ("failed", "error") if result.get(key))
        found.append((_line(str(result.get("name"))), _line(f"{phase}: {said}" + (f" ({counts})" if counts else ""))))
    return found


def alerts(answer: Iterable[Object], environment: str) -> list[Failure]:
    """The failures of Alertmanager's active alerts that ask for a rollback in this environment."""
    found = []
    for alert in answer:
        own = mapping(alert, "labels")
        model, version = str(own.get(labels.SERIES_MODEL)), str(own.get(labels.SERIES_VERSION))
        onset = _time(alert.get("startsAt"))
        fits = (
            own.get(labels.ALERT_ACTION) == "rollback"
            and own.get(labels.SERIES_ENVIRONMENT) == environment
            and mapping(alert, "status").get("state", "active") == "active"
            and _NAME.fullmatch(model)
            and _NUMBER.fullmatch(version)
            and onset is not None
        )
        if not fits:
            continue
        assert onset is not None
        guardrail = line(own.get(labels.SERIES_GUARDRAIL, ""), _LONGEST)
        text = mapping(alert, "annotations")
        found.append(
            Failure(
                _line(f"alert/{alert.get('fingerprint')}/{alert.get('startsAt')}"), "alert", model, int(version),
                onset, _line(str(text.get("summary") or own.get("alertname") or "alert")), blamed=True,
                evidence=((guardrail, _line(str(text.get("description") or "firing"))),) if guardrail else (),
            )
        )  # fmt: skip
    return found


def mapping(value: object, *keys: str) -> Object:
    """What stands there, or nothing: whoever may write an object or an alert ends no reconciler with it."""
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def mappings(value: Object, key: str) -> list[Object]:
    """What stands in the list there, but for what is no mapping."""
    found = value.get(key)
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []


def _line(text: object) -> str:
    return line(text, _LONGEST) or "it does not say"


def _time(text: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
        if found.tzinfo is None:
            return None
        found = found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return found if found.year >= _EPOCH else None
