"""mrc rollback"""

from datetime import UTC, datetime
from pathlib import Path

import click

from mrc.cli.common import apply, author, directory_option, many, one_line, work_tree


@click.command()
@click.argument("model")
@click.option("-e", "--environment", required=True, help="Where to go back.")
@click.option("--to", "target", type=click.IntRange(min=1), help="The version to go back to.  [default: the fallback]")
@click.option("--reason", required=True, callback=one_line, help="What is wrong with the version that serves.")
@directory_option
def rollback(model: str, environment: str, target: int | None, reason: str, directory: Path) -> int:
    """Go back from the version of MODEL that serves, and reject it: serve line, verdict, incident, rendered files."""
    from mrc.reconcile import person
    from mrc.reconcile.message import message

    tree = work_tree(directory)
    try:
        decision, change = person.rollback(
            tree, model, environment, target, reason, author(directory), datetime.now(UTC)
        )
    except person.PersonError as problem:
        raise click.ClickException(str(problem)) from None
    (record,) = change.incidents
    if record.spec.action != "rollback" or decision.after is None:
        raise click.ClickException(record.spec.reasons[-1].saw)
    apply(directory, change.edits)
    if decision.after.fallback is None:
        click.echo(f"Nothing is left to go back to from version {int(decision.after.version)}.\n", err=True)
    click.echo(f"{many(len(change.edits), 'file')} changed. Commit and push that, for example with this message:\n")
    click.echo(message(environment, change.incidents), nl=False)
    return 0
