"""mrc history"""

from pathlib import Path

import click

from mrc.cli.common import directory_option, work_tree


@click.command()
@click.argument("model")
@click.option("-e", "--environment", required=True, help="In which environment.")
@directory_option
def history(model: str, environment: str, directory: Path) -> int:
    """Print the incidents of MODEL, the newest first: what was seen, what was done, how it ended."""
    from mrc.reconcile.survey import incidents

    found = incidents(work_tree(directory), environment, model)
    if not found:
        click.echo(f"no incident of {model} in {environment}")
    for one in reversed(found):
        spec = one.spec
        after = f" -> {int(spec.after.version)}" if spec.after is not None else ""
        ended = f"{spec.outcome.state}: {spec.outcome.message}" if spec.outcome is not None else "open"
        click.echo(f"{one.metadata.id}  {spec.action} {int(spec.cause.version)}{after}, {spec.verdict}")
        click.echo(f"  saw    {spec.cause.kind}: {spec.cause.message}")
        for reason in spec.reasons:
            click.echo(f"  {'yes' if reason.passed else 'NO ':3}    {reason.gate}: {reason.saw}")
        for told in spec.told:
            click.echo(f"  {'yes' if told.accepted else 'NO ':3}    {told.hook}: {told.found}")
        click.echo(f"  ended  {ended}")
    return 0
