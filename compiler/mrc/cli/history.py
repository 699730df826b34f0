"""mrc history"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mrc.cli.common import directory_option, work_tree

if TYPE_CHECKING:
    from mrc.schema.incident import Times


@click.command()
@click.argument("model")
@click.option("-e", "--environment", required=True, help="In which environment.")
@directory_option
def history(model: str, environment: str, directory: Path) -> int:
    """Print the incidents of MODEL, the newest first: what was seen, what was done, how it ended."""
    from mrc.reconcile.survey import incident

    tree = work_tree(directory)
    paths = [path for path in tree.files(f"incidents/{environment}/{model}") if path.endswith(".yaml")]
    every = [(path, incident(tree, path)) for path in paths]
    found = [one for _, one in every if one is not None]
    unread = [path for path, one in every if one is None]
    for path in (f"environments/{environment}.yaml", f"policies/{model}/policy.yaml"):
        if not every and path not in tree.files(path.rpartition("/")[0]):
            raise click.ClickException(f"there is no {path}")
    if not every:
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
        click.echo(f"  times  {_times(spec.times)}")
        click.echo(f"  ended  {ended}")
    for path in unread:
        click.echo(f"{path} cannot be read: see mrc check", err=True)
    return 1 if unread else 0


def _times(times: "Times") -> str:
    """The onset, and how long after it each step was."""
    from mrc.reconcile.gates import words

    later = [f"{name} after {words(at - times.onset)}" for name, at in times if at is not None and name != "onset"]
    return ", ".join([f"onset {times.onset}", *later])
