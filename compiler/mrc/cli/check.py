"""mrc check"""

import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from mrc.cli.common import (
    Progress,
    counted,
    directory_option,
    format_option,
    many,
    moment,
    pinned_base,
    show_all,
    work_tree,
)
from mrc.diagnostics import has_errors
from mrc.examine import examine
from mrc.revision import RevisionError, RevisionTree, UnreachableError, base_tree, repository
from mrc.tree import WorkTree


@click.command()
@click.option("--base", metavar="REV", help="Compare with this revision.  [default: base in mrc.yaml]")
@click.option("--now", metavar="TIME", help="When freezes are judged, such as 2026-12-24T08:00:00Z.  [default: now]")
@format_option
@directory_option
def check(base: str | None, now: str | None, form: str, directory: Path) -> int:
    """Check everything, also against what was merged before. Exit 1 when there are errors."""
    at = moment(now) if now is not None else datetime.now(UTC)  # the clock is read here and nowhere in the compiler
    tree = work_tree(directory)
    compared, note = _base(tree, directory, base)
    progress = Progress("models", sys.stderr)
    try:
        releases, found = examine(tree, compared, at, progress)
    except UnreachableError as problem:
        raise click.ClickException(str(problem)) from None
    finally:
        progress.end()
    show_all(found, tree, form)
    said = counted(found) or "no problems"
    click.echo(f"{many(releases, 'release')}, {said}{note}", err=True)
    return 1 if has_errors(found) else 0


def _base(tree: WorkTree, directory: Path, asked: str | None) -> tuple[RevisionTree | None, str]:
    """The tree to compare with, and what to say when there is none."""
    try:
        repo = repository(directory)
        if repo is None:
            if asked:
                raise RevisionError(f"this is no git repository: {asked} cannot be had")
            return None, "; not compared with a base: this is no git repository"
        return base_tree(repo, directory, asked or pinned_base(tree)), ""
    except RevisionError as problem:
        if asked or isinstance(problem, UnreachableError):
            raise click.ClickException(f"{problem}") from None
        return None, f"; not compared with a base: {problem}"
