"""mrc render"""

from pathlib import Path

import click

from mrc.cli.common import counted, directory_option, format_option, show_all, work_tree
from mrc.compile import analyse, artifacts
from mrc.diagnostics import at_file, has_errors
from mrc.write import STALE, plan, write


@click.command()
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@click.option("-e", "--environment", "environments", multiple=True, help="Only this environment; may be repeated.")
@click.option("--check", "only_check", is_flag=True, help="Write nothing; exit 1 when the rendered tree is stale.")
@format_option
@directory_option
def render(models: tuple[str, ...], environments: tuple[str, ...], only_check: bool, form: str, directory: Path) -> int:
    """Render policies to rendered/<environment>/<model>/. Nothing is written when there are errors."""
    tree = work_tree(directory)
    compiled = analyse(tree, models or None)
    for name in models:
        if name not in compiled.objects.models:
            raise click.ClickException(f"there is no model {name}: policies/{name} does not exist")
    for name in environments:
        if name not in compiled.objects.environments:
            raise click.ClickException(f"there is no environment {name}: environments/{name}.yaml does not exist")
    found = compiled.diagnostics
    if compiled.failed:
        show_all(found, tree, form)
        click.echo(f"{counted(found)}; nothing was written", err=True)
        return 1
    rendered = artifacts(compiled.fleet, environments or None)
    wanted = set(environments) or set(compiled.objects.environments)
    changes = plan(tree, rendered, wanted, whole=not models)
    found = [*found, *changes.diagnostics]
    if only_check and not changes.diagnostics:
        found += [at_file(STALE, path, "it is not what mrc renders now") for path in sorted(set(changes.stale))]
    show_all(found, tree, form)
    if has_errors(found):
        click.echo(f"{counted(found)}; nothing was written", err=True)
        return 1
    if changes:
        try:
            write(directory, changes)
        except OSError as problem:
            raise click.ClickException(f"cannot write: {problem.strerror or problem}; the tree is as it was") from None
    files = sum(len(one) for one in rendered.values())
    changed = len(changes.folders) + len(changes.removed)
    warned = f", {counted(found)}" if found else ""
    click.echo(f"{len(rendered)} releases, {files} files, {changed} folders changed{warned}", err=True)
    return 0
