"""mrc history"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mrc.cli.common import directory_option, work_tree

if TYPE_CHECKING:
    from mrc.schema.incident import Times


@click.command()
@click.argument("model")
@click.option("-e", "--environment", help="In which environment.  [default: all in which it serves]")
@directory_option
def history(model: str, environment: str | None, directory: Path) -> int:
    """Print the incidents of MODEL, the newest first: what was seen, what was done, how it ended."""
    from mrc.reconcile.survey import incident, missing

    tree = work_tree(directory)
    wanted = [environment] if environment else sorted({path.split("/")[1] for path in tree.files("incidents")})
    paths = [path for each in wanted for path in tree.files(f"incidents/{each}/{model}") if path.endswith(".yaml")]
    if not paths:
        asked = [f"policies/{model}/policy.yaml", *([f"environments/{environment}.yaml"] if environment else [])]
        if any(path not in tree.files(path.rpartition("/")[0]) for path in asked):
            raise click.ClickException(missing(tree, environment, model))
        click.echo(f"no incident of {model}{f' in {environment}' if environment else ''}")
    unread = []
    for path in sorted(paths, key=lambda path: path.rpartition("/")[2], reverse=True):
        one = incident(tree, path)
        if one is None:
            unread.append(path)
            continue
        spec = one.spec
        after = f" -> {int(spec.after.version)}" if spec.after is not None else ""
        ended = f"{spec.outcome.state}: {spec.outcome.message}" if spec.outcome is not None else "open"
        where = "" if environment else f"{one.metadata.environment}  "
        click.echo(f"{one.metadata.id}  {where}{spec.action} {int(spec.cause.version)}{after}, {spec.verdict}")
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
