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
    ended = [one for one in incidents if one.spec.outcome is not None and one.spec.action == "rollback"]
    moved = [one for one in incidents if one.spec.action == "rollback" and one.spec.outcome is None]
    if len(incidents) == 1:
        (one,) = incidents
        model = one.metadata.model
        if ended:
            assert one.spec.outcome is not None
            return f"Close the incident of {model} in {environment}: {one.spec.outcome.state}"
        if moved:
            assert one.spec.after is not None
            return f"Roll {model} back to {int(one.spec.after.version)} in {environment}"
        return f"Record that {model} in {environment} needs a person"
    if moved:
        return f"Roll {len(moved)} models back in {environment}"
    return f"Record {len(incidents)} incidents in {environment}"


def _body(incidents: Sequence[Incident]) -> list[str]:
    lines: list[str] = []
    for one in incidents:
        spec = one.spec
        if spec.outcome is not None and spec.action == "rollback":
            lines += [f"{one.metadata.model}: {spec.outcome.message}.", ""]
            continue
        lines.append(f"Version {int(spec.cause.version)} of {one.metadata.model} failed: {spec.cause.message}")
        lines += [f"- {each.guardrail}: {each.found}" for each in spec.cause.evidence]
        lines += ["", _done(one), *[f"- {each.gate}: {each.saw}" for each in spec.reasons], ""]
    return lines[:-1]


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
    if spec.outcome is not None and spec.action == "rollback":
        return [*found, f"Mrc-Outcome: {spec.outcome.state}"]
    found.append(f"Mrc-Cause: {spec.cause.id}")
    if spec.after is not None:
        found += [f"Mrc-From: {int(spec.before.version)}", f"Mrc-To: {int(spec.after.version)}"]
    return found
