"""The commit's message: what was done, why, on what evidence; trailers that an index of people can rely on."""

import re
from collections.abc import Sequence

from mrc.schema import Incident

_TRAILER = re.compile(r"[A-Za-z0-9-]+: [^\r\n]+")


def message(environment: str, incidents: Sequence[Incident]) -> str:
    """Reads as a revert; each incident with its own reasons. ValueError when a trailer could inject another."""
    parts = [_subject(environment, incidents), "", *_body(incidents)]
    trailers = [line for one in incidents for line in _trailers(one)]
    for line in trailers:
        if not _TRAILER.fullmatch(line):
            raise ValueError(f"{line!r} is no trailer")
    return "\n".join([*parts, "", *trailers]) + "\n"


def _subject(environment: str, incidents: Sequence[Incident]) -> str:
    ended = [one for one in incidents if _later(one)]
    moved = [one for one in incidents if one.spec.action == "rollback" and not _later(one)]
    if len(incidents) == 1:
        (one,) = incidents
        model = one.metadata.model
        if ended:
            if one.spec.outcome is None:
                return f"Record that {model} is back in {environment}, before its hooks are called"
            return f"Close the incident of {model} in {environment}: {one.spec.outcome.state}"
        if not moved:
            return f"Record that {model} in {environment} needs a person"
    if len(moved) == 1:
        (one,) = moved
        assert one.spec.after is not None
        return f"Roll {one.metadata.model} back to {int(one.spec.after.version)} in {environment}"
    if moved:
        return f"Roll {len(moved)} models back in {environment}"
    return f"Record {len(incidents)} incidents in {environment}"


def _later(one: Incident) -> bool:
    """Whether it tells how a rollback went on; the rollback itself is an earlier commit."""
    return one.spec.action == "rollback" and (one.spec.outcome is not None or one.spec.affected is not None)


def _body(incidents: Sequence[Incident]) -> list[str]:
    lines: list[str] = []
    for one in incidents:
        spec = one.spec
        if _later(one):
            lines += [f"{one.metadata.model}: {_went_on(one)}.", *_told(one), ""]
            continue
        lines.append(f"Version {int(spec.cause.version)} of {one.metadata.model} failed: {spec.cause.message}")
        lines += [f"- {each.guardrail}: {each.found}" for each in spec.cause.evidence]
        lines += ["", _done(one), *[f"- {each.gate}: {each.saw}" for each in spec.reasons], ""]
    return lines[:-1]


def _went_on(one: Incident) -> str:
    if one.spec.outcome is not None:
        return one.spec.outcome.message
    assert one.spec.affected is not None
    between = f"from {one.spec.affected.from_} until {one.spec.affected.until}"
    return f"users may have met version {int(one.spec.cause.version)} {between}"


def _told(one: Incident) -> list[str]:
    return [f"- {each.hook}: {each.found}" for each in one.spec.told]


def _done(one: Incident) -> str:
    spec = one.spec
    if spec.action == "page" or spec.after is None:
        return "Nothing is moved; people are paged, because:"
    said = f"Version {int(spec.after.version)} serves again"
    said += {"rejected": f"; {int(spec.cause.version)} is rejected", "mayRetry": f"; {int(spec.cause.version)} may be "
             "tried again", "none": ""}[spec.verdict]  # fmt: skip
    return said + ("; the model is held until a person clears it. Why:" if spec.held else ". Why:")


def _trailers(one: Incident) -> list[str]:
    spec, metadata = one.spec, one.metadata
    found = [f"Mrc-Incident: {metadata.id}", f"Mrc-Model: {metadata.model}", f"Mrc-Environment: {metadata.environment}"]
    if _later(one):
        return [*found, f"Mrc-Outcome: {spec.outcome.state}"] if spec.outcome is not None else found
    found.append(f"Mrc-Cause: {spec.cause.id}")
    if spec.after is not None:
        found += [f"Mrc-From: {int(spec.before.version)}", f"Mrc-To: {int(spec.after.version)}"]
    return found
