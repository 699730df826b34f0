"""mrc clear"""

from datetime import UTC, datetime
from pathlib import Path

import click

from mrc.cli.common import apply, author, directory_option, one_line, work_tree


@click.command()
@click.argument("model", required=False)
@click.option("--all", "everything", is_flag=True, help="The whole environment, in place of one model.")
@click.option("-e", "--environment", required=True, help="In which environment.")
@click.option("--reason", required=True, callback=one_line, help="Why.")
@directory_option
def clear(model: str | None, everything: bool, environment: str, reason: str, directory: Path) -> int:
    """End the hold on MODEL: the policy's line serves again."""
    from mrc.reconcile import person

    if (model is None) != everything:
        raise click.UsageError("name a model, or say --all")
    tree = work_tree(directory)
    try:
        edits = person.clear(tree, model, environment, reason, author(directory), datetime.now(UTC))
    except person.PersonError as problem:
        raise click.ClickException(str(problem)) from None
    apply(directory, edits)
    click.echo(f"{', '.join(edits)}: {model or environment} is not held any more; now run mrc render, commit and push")
    left = person.held(tree, environment) if everything else []
    if left:
        click.echo(f"still held, each by its own: {', '.join(left)}")
    return 0
