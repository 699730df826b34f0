"""A plan for the terminal: what it means, then objects, then text."""

from collections.abc import Iterator

from mrc.plan import concerns, words
from mrc.plan.model import EnvironmentPlan, FileChange, Plan, ReleasePlan

_COLOURS = {"+": "32", "~": "33", "-": "31", "bold": "1", "dim": "2", "bad": "31;1"}
_MOST = 30  # lines of a file's diff; all of them are in the other formats, and in git's


def render(plan: Plan, *, colour: bool) -> str:
    """The whole plan as text, ending in a line that sums it up."""
    return "\n".join([*_Writer(colour).lines(plan), ""])


class _Writer:
    def __init__(self, colour: bool) -> None:
        self._colour = colour

    def lines(self, plan: Plan) -> Iterator[str]:
        for changed in plan.environments:
            yield from self._environment(changed)
        for release in plan.releases:
            yield from self._release(release)
        for files in (*(release.files for release in plan.releases), plan.shared):
            yield from self._text(files)
        if first := concerns.first(plan):
            yield self._in("bad", f"{concerns.FIRST}:")
            yield from (f"  {_safe(where)}: {_safe(what)}" for where, what in first)
            yield ""
        if looser := concerns.looser(plan):
            yield self._in("bad", "Looser than before:")
            yield from (f"  {where}: {_safe(words.setting(each))}" for where, each in looser)
            yield ""
        yield words.total(plan)
        if errors := concerns.errors(plan):
            yield self._in("bad", errors)

    def _in(self, style: str, text: str) -> str:
        return f"\x1b[{_COLOURS[style]}m{text}\x1b[0m" if self._colour else text

    def _environment(self, changed: EnvironmentPlan) -> Iterator[str]:
        yield self._in("bold", f"environment {changed.name}")
        yield f"  {words.environment(changed)}"
        yield from (f"  {self._setting(each.direction)} {_safe(words.setting(each))}" for each in changed.settings)
        yield ""

    def _release(self, release: ReleasePlan) -> Iterator[str]:
        yield self._in("bold", f"{release.name}: {words.headline(release)}")
        for caution in concerns.cautions(release):
            yield f"  {self._in('~', '!')} {caution}"
        yield from self._version(release)
        yield from (f"  {words.new_version(number)}" for number in release.new_versions)
        if release.settings:
            yield "  settings"
            yield from (
                f"    {self._setting(each.direction)} {_safe(words.setting(each))}" for each in release.settings
            )
        yield from self._exposure(release)
        yield from self._guardrails(release)
        if release.way_back is not None:
            yield f"  going back {_safe(words.way_back(release.way_back))}"
        yield from (f"  {each.version} becomes {each.becomes}: {each.when}" for each in release.warmth)
        yield from (f"  {_safe(words.frozen(release, freeze))}" for freeze in release.freezes)
        if release.objects:
            yield "  objects"
        for change in release.objects:
            fields = f" ({', '.join(change.fields)})" if change.fields else ""
            yield f"    {self._in(change.sign, change.sign)} {_safe(change.kind)} {_safe(change.name)}{_safe(fields)}"
        yield ""

    def _setting(self, direction: str) -> str:
        return {"looser": self._in("bad", "looser  "), "stricter": "stricter"}.get(direction, "        ")

    def _version(self, release: ReleasePlan) -> Iterator[str]:
        if release.version is None:
            return
        yield "  what is new in the version"
        for file in release.version.files:
            yield f"    {self._in(file.sign, file.sign)} {_safe(words.part(file))}"
        if (commits := release.version.commits) is not None:
            since = f"{commits.before[:12]}..{commits.after[:12]}" if commits.before else commits.after[:12]
            yield f"    code {since} in {_safe(commits.repository)}"
        if release.version_before is not None and release.version.same:
            yield f"    the same: {', '.join(release.version.same)}"

    def _exposure(self, release: ReleasePlan) -> Iterator[str]:
        if not release.stages:
            return
        yield "  exposure" if release.starts_rollout else "  exposure, at the next rollout"
        rows = [
            (
                words.begins(stage),
                words.stage(stage, release),
                words.lasts(stage),
                words.sees(stage),
                words.exposed(stage),
                words.at_risk(stage, release),
            )
            for stage in release.stages
        ]
        head = ("from", "what", "for", "the new version answers", "in all so far", "at worst if bad")
        yield from (f"    {line}" for line in _table([head, *rows]))
        yield f"    promoted {words.promoted_after(release)} later or more: pods must start, too"

    def _guardrails(self, release: ReleasePlan) -> Iterator[str]:
        if not release.guardrails or not release.guardrails[0].phases:
            return
        yield "  guardrails, phase by phase"
        phases = [watch.phase for watch in release.guardrails[0].phases]
        rows = [
            (guardrail.name, guardrail.limit, *(words.watch(watch) for watch in guardrail.phases))
            for guardrail in release.guardrails
        ]
        yield from (f"    {line}" for line in _table([("", "worse when", *phases), *rows]))
        if words.partly(release):
            yield f"    {words.PARTLY}"
        if release.unwatched:
            yield f"    {self._in('~', '!')} {words.unwatched(release)}"
        if tells := words.tells(release):
            yield f"  {words.TELLS[0].lower()}{words.TELLS[1:]}"
            yield from (f"    {_safe(each)}" for each in tells)
        if release.restore:
            yield "  worst case, from the onset of a failure until all requests are on the fallback"
        yield from (f"    {words.restored(each)}" for each in release.restore)

    def _text(self, files: tuple[FileChange, ...]) -> Iterator[str]:
        for file in files:
            size = f"{file.added} lines" if file.sign == "+" else f"{file.removed} lines" if file.sign == "-" else ""
            yield f"  {self._in(file.sign, file.sign)} {_safe(file.path)}{f' ({size})' if size else ''}"
            if file.sign == "~":
                yield from (f"    {self._line(line)}" for line in file.diff[:_MOST])
                if len(file.diff) > _MOST:
                    yield f"    ... and {len(file.diff) - _MOST} more lines"
        if files:
            yield ""

    def _line(self, line: str) -> str:
        sign = "dim" if line.startswith("@@") else line[:1]
        return self._in(sign, _safe(line)) if sign in _COLOURS else _safe(line)


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _safe(value: str) -> str:
    """Text that cannot speak to the terminal."""
    return "".join(char if char.isprintable() or char == "\t" else "\N{REPLACEMENT CHARACTER}" for char in value)
