"""mrc render"""

import re
import sys
from pathlib import Path

import click

from mrc.build import build
from mrc.cli.common import Progress, counted, directory_option, format_option, many, show_all, work_tree
from mrc.diagnostics import has_errors
from mrc.tree import NAME


@click.command()
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@click.option("-e", "--environment", "environments", multiple=True, help="Only this environment; may be repeated.")
@click.option("--check", "only_check", is_flag=True, help="Write nothing; exit 1 when the rendered tree is stale.")
@format_option
@directory_option
def render(models: tuple[str, ...], environments: tuple[str, ...], only_check: bool, form: str, directory: Path) -> int:
    """Render policies to rendered/<environment>/<model>/. Nothing is written when there are errors."""
    tree = work_tree(directory)
    for name in models:
        if not re.fullmatch(NAME, name) or not tree.files(f"policies/{name}"):
            raise click.ClickException(f"there is no model {name}: policies/{name} does not exist")
    for name in environments:
        if not re.fullmatch(NAME, name) or not tree.files(f"environments/{name}.yaml"):
            raise click.ClickException(f"there is no environment {name}: environments/{name}.yaml does not exist")
    progress = Progress("models", sys.stderr)
    try:
        built = build(directory, models, environments, check=only_check, progress=progress, wait=_waits)
    except OSError as problem:
        raise click.ClickException(f"cannot write: {problem.strerror or problem}; the tree is as it was") from None
    finally:
        progress.end()
    found = built.diagnostics
    show_all(found, tree, form)
    if has_errors(found):
        click.echo(f"{counted(found)}; nothing was written", err=True)
        return 1
    warned = f", {counted(found)}" if found else ""
    parts = many(built.releases, "release"), many(built.files, "file"), many(built.changed, "folder")
    click.echo(f"{', '.join(parts)} changed{warned}", err=True)
    return 0


def _waits() -> None:
    click.echo("another mrc render writes this tree: waiting until it is done", err=True)
