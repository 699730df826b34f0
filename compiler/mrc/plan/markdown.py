"""A plan as a comment of a pull request: the summary first, details folded, cut with a count where it is too long."""

import re
from dataclasses import dataclass

from mrc.plan import concerns, words
from mrc.plan.model import FileChange, Plan, ReleasePlan
from mrc.render.engine import markdown_code, markdown_text

LONGEST = 65_000  # bytes; GitHub refuses a comment of more than 65,536 characters
_ROWS = 100  # of the summary, and of findings
_LINES = 40  # of one file's diff
_SIGNS = {"+": "🟢 +", "~": "🟡 ~", "-": "🔴 -"}


@dataclass(frozen=True)
class _Block:
    """A piece that is kept whole or left out; the smaller the rank, the more it matters."""

    rank: int
    text: str
    what: str = ""


def render(plan: Plan, longest: int = LONGEST) -> str:
    """The comment, of at most `longest` bytes."""
    if plan.empty and not plan.findings:
        return "## mrc plan\n\nNothing changes.\n"
    blocks = [_Block(0, _head(plan))]
    for release in plan.releases:
        blocks += _release(release)
    if plan.shared:
        blocks += [_diff(file) for file in plan.shared]
    return _fitting(blocks, longest)


def _fitting(blocks: list[_Block], longest: int) -> str:
    """What fits, by rank, in the order of the page; what does not is counted."""
    room = longest - 400  # for the line that counts
    kept: set[int] = set()
    for index, block in sorted(enumerate(blocks), key=lambda each: (each[1].rank, each[0])):
        size = len(block.text.encode()) + 1
        if size <= room:
            room -= size
            kept.add(index)
    out = [block.text for index, block in enumerate(blocks) if index in kept]
    left: dict[str, int] = {}
    for index, block in enumerate(blocks):
        if index not in kept:
            left[block.what] = left.get(block.what, 0) + 1
    if left:
        said = ", ".join(f"{number} {what}" for what, number in left.items())
        out.append(f"*Too long for a comment: {said} left out. All of it: run `mrc plan`.*\n")
    return "\n".join(out)


def _head(plan: Plan) -> str:
    lines = ["## mrc plan", "", _text(words.total(plan)), ""]
    if errors := concerns.errors(plan):
        lines += ["> [!CAUTION]", f"> {errors}", ""]
    if first := concerns.first(plan):
        lines += ["> [!CAUTION]", f"> **{concerns.FIRST}**"]
        lines += [f"> - {_text(where)}: {_text(what)}" for where, what in first[:_ROWS]]
        lines += [*_more(len(first) - _ROWS, "> - "), ""]
    if looser := concerns.looser(plan):
        lines += ["> [!WARNING]", "> **Looser than before**"]
        lines += [f"> - {_text(where)}: {_code(words.setting(each))}" for where, each in looser[:_ROWS]]
        lines += [*_more(len(looser) - _ROWS, "> - "), ""]
    if plan.releases:
        lines += [
            "| model | environment | | promoted after at least | worst case | going back |",
            "| --- | --- | --- | --- | --- | --- |",
        ]
        lines += [_row(release) for release in plan.releases[:_ROWS]]
        lines += [*_more(len(plan.releases) - _ROWS, ""), ""]
    for changed in plan.environments:
        lines += [f"**Environment {_text(changed.name)}**: {_text(words.environment(changed))}", ""]
        lines += [f"- {_code(words.setting(each))}" for each in changed.settings] + [""]
    if plan.findings:
        lines += _findings(plan)
    return "\n".join(lines)


def _more(number: int, lead: str) -> list[str]:
    return [f"{lead}*and {number} more*"] if number > 0 else []


def _row(release: ReleasePlan) -> str:
    after = words.promoted_after(release) if release.starts_rollout else None
    back = ""
    if release.way_back is not None:
        number = release.way_back.version
        how = "restorable" if release.way_back.restorable else "**not restorable**"
        back = "**no way back**" if number is None else f"{number}, {how}"
    cells = (
        _code(release.model),
        _text(release.environment),
        _text(words.headline(release)),
        after or "",
        words.worst(release),
        back,
    )
    return f"| {' | '.join(cells)} |"


def _findings(plan: Plan) -> list[str]:
    lines = [f"<details{' open' if plan.failed else ''}><summary>Findings: {len(plan.findings)}</summary>", ""]
    for finding in plan.findings[:_ROWS]:
        place = ":".join(str(part) for part in (finding.file, finding.line, finding.column) if part)
        hint = f" *{_text(finding.hint)}*" if finding.hint else ""
        lines.append(f"- **{finding.severity}** {finding.code} {_code(place)}: {_text(finding.message)}.{hint}")
    return [*lines, *_more(len(plan.findings) - _ROWS, "- "), "", "</details>", ""]


def _release(release: ReleasePlan) -> list[_Block]:
    where = "sections"
    return [
        _Block(1, _meaning(release), where),
        *([_Block(2, _tables(release), "tables")] if release.stages else []),
        *([_Block(3, _objects(release), "lists of objects")] if release.objects else []),
        *(_diff(file) for file in release.files),
    ]


def _meaning(release: ReleasePlan) -> str:
    lines = [f"### {_text(release.name)}: {_text(words.headline(release))}", ""]
    lines += [f"- ⚠️ {_text(caution)}" for caution in concerns.cautions(release)]
    if release.version is not None and release.version_before is not None:
        lines += [f"- {_code(f'{file.sign} {words.part(file)}')}" for file in release.version.files[:_ROWS]]
        lines += _more(len(release.version.files) - _ROWS, "- ")
        if (commits := release.version.commits) is not None and commits.before is not None:
            lines.append(
                f"- code {_code(f'{commits.before[:12]}..{commits.after[:12]}')} in {_code(commits.repository)}"
            )
    lines += [f"- {_direction(each.direction)}{_code(words.setting(each))}" for each in release.settings]
    if release.starts_rollout and release.stages:
        lines.append(f"- Exposure: {_text(words.course(release))}")
    lines += [f"- {words.new_version(number)}" for number in release.new_versions]
    if release.starts_rollout or release.settings:
        lines += _restored(release)
    if release.way_back is not None:
        lines.append(f"- Going back {_text(words.way_back(release.way_back))}")
    if release.unwatched:
        lines.append(f"- ⚠️ {_text(words.unwatched(release))}")
    lines += [f"- {each.version} becomes **{each.becomes}**: {_text(each.when)}" for each in release.warmth]
    lines += [f"- {_text(words.frozen(release, freeze))}" for freeze in release.freezes]
    return "\n".join([*lines, ""])


def _restored(release: ReleasePlan) -> list[str]:
    lines = ["- Worst case until restored:"] if release.restore else []
    return lines + [f"  - {_text(words.restored(each))}" for each in release.restore]


def _direction(direction: str) -> str:
    return {"looser": "**looser** ", "stricter": "stricter "}.get(direction, "")


def _tables(release: ReleasePlan) -> str:
    title = "Stages and guardrails" if release.starts_rollout else "Stages and guardrails at the next rollout"
    lines = [f"<details><summary>{title}</summary>", ""]
    lines += ["| from | what | for | the new version answers | in all so far | at worst if bad |", "|" + " --- |" * 6]
    for stage in release.stages:
        cells = (words.begins(stage), words.stage(stage, release), words.lasts(stage), words.sees(stage))
        lines.append(f"| {' | '.join(map(_text, (*cells, words.exposed(stage), words.at_risk(stage, release))))} |")
    if release.guardrails:
        phases = [watch.phase for watch in release.guardrails[0].phases]
        lines += ["", f"| guardrail | worse when | {' | '.join(phases)} |", f"| --- | --- |{' --- |' * len(phases)}"]
    for guardrail in release.guardrails:
        does = [words.watch(watch) for watch in guardrail.phases]
        lines.append(f"| {_code(guardrail.name)} | {' | '.join(map(_text, [guardrail.limit, *does]))} |")
    if words.partly(release):
        lines += ["", _text(words.PARTLY)]
    if not (release.starts_rollout or release.settings):
        lines += ["", *_restored(release)]
    lines += ["", words.TIMES] if release.restore else []
    if tells := words.tells(release):
        lines += ["", words.TELLS, "", *(f"- {_text(each)}" for each in tells)]
    return "\n".join([*lines, "", "</details>", ""])


def _objects(release: ReleasePlan) -> str:
    counted = words.counted_signs(change.sign for change in release.objects)
    lines = [f"<details><summary>Objects of {_text(release.name)}: {counted}</summary>", ""]
    for change in release.objects:
        fields = f" ({', '.join(_code(field) for field in change.fields)})" if change.fields else ""
        lines.append(f"- {_SIGNS[change.sign]} {_text(change.kind)} {_code(change.name)}{fields}")
    return "\n".join([*lines, "", "</details>", ""])


def _diff(file: FileChange) -> _Block:
    shown = list(file.diff[:_LINES])
    if len(file.diff) > _LINES:
        shown.append(f"... and {len(file.diff) - _LINES} more lines")
    longest = max((len(run) for line in shown for run in re.findall(r"`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    size = f"+{file.added} -{file.removed}"
    lines = [f"<details><summary>{file.sign} <code>{_escaped(file.path)}</code> {size}</summary>", ""]
    return _Block(4, "\n".join([*lines, f"{fence}diff", *shown, fence, "", "</details>", ""]), "diffs")


# What a forge makes links, calls or closing keywords of after Markdown is read: no backslash hides it.
_CALLS = re.compile(r"[@#!~%$&](?=[^\s])|\bGH-(?=\d)|:(?=//)|\bwww(?=\.)", re.IGNORECASE)


def _text(value: object) -> str:
    """Text that is shown as it is, and that calls nobody, closes nothing and leads nowhere."""
    return markdown_text(_CALLS.sub(lambda match: f"{match[0]}\N{ZERO WIDTH SPACE}", str(value)))


def _code(value: object) -> str:
    return str(markdown_code(value))


def _escaped(value: str) -> str:
    return value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
