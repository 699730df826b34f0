"""mrc plan"""

import sys
from pathlib import Path
from typing import Any

import click

from mrc.cli.common import directory_option, moment, pinned_base, show_all, work_tree
from mrc.compile import analyse
from mrc.plan.build import build, unsaid
from mrc.plan.model import Plan
from mrc.plan.touched import touched
from mrc.revision import RevisionError, UnreachableError, base_tree, changed, repository


class _Detailed(click.Command):
    """2 means changes here, so that wrong use is 1 like every other failure."""

    def make_context(self, *arguments: Any, **more: Any) -> click.Context:
        try:
            return super().make_context(*arguments, **more)
        except click.ClickException as problem:
            problem.show()
            raise click.exceptions.Exit(1) from None

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except click.ClickException as problem:
            problem.show()
            raise click.exceptions.Exit(1) from None


@click.command(cls=_Detailed)
@click.option(
    "--base", metavar="REV", help="Compare with the merge base of this revision.  [default: base in mrc.yaml]"
)
@click.option(
    "--now", metavar="TIME", help="When it is to be merged, such as 2026-12-24T08:00:00Z: freezes are judged."
)
@click.option(
    "--format", "form", type=click.Choice(["text", "markdown", "json", "html"]), default="text", show_default=True,
    help="How the plan is printed.",
)  # fmt: skip
@directory_option
def plan(base: str | None, now: str | None, form: str, directory: Path) -> int:
    """Say what the change since the base does: what it means, then objects, then text.

    Exit 0: nothing. 2: something changes. 1: there are errors.
    """
    tree, at = work_tree(directory), moment(now) if now is not None else None
    try:
        repo = repository(directory)
        if repo is None:
            raise click.ClickException("this is no git repository: there is nothing to compare with")
        before = base_tree(repo, directory, base or pinned_base(tree))
    except RevisionError as problem:
        named = "" if base else "; name what to compare with: --base REV"
        raise click.ClickException(f"{problem}{named}") from None
    reach = touched(changed(repo, directory, before.commit))
    # What is not touched is not even read.
    to_load = reach.to_load_of({path.split("/")[1] for path in tree.files("policies") if path.count("/") > 1})
    if to_load is not None:
        before.forget_but(to_load)
    try:
        after = analyse(tree, to_load, base=before, now=at)
        planned = build(before.commit, before, after, reach, at)
    except UnreachableError as problem:
        raise click.ClickException(str(problem)) from None
    if form == "text":
        show_all(unsaid(after.diagnostics), tree, "text")
    click.echo(_shown(planned, form), nl=False)
    return 1 if planned.failed else 0 if planned.empty else 2


def _shown(planned: Plan, form: str) -> str:
    match form:  # each has packages of its own
        case "json":
            from mrc.plan import json

            return json.render(planned)
        case "markdown":
            from mrc.plan import markdown

            return markdown.render(planned)
        case "html":
            from mrc.plan import html

            return html.render(planned)
        case _:
            from mrc.plan import terminal

            return terminal.render(planned, colour=sys.stdout.isatty())
