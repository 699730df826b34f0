"""mrc status"""

from datetime import UTC, datetime
from pathlib import Path

import click

from mrc.cli.common import directory_option, work_tree


@click.command()
@click.option("-e", "--environment", "wanted", multiple=True, help="Only this environment; may be repeated.")
@directory_option
def status(wanted: tuple[str, ...], directory: Path) -> int:
    """Say what serves where, by the tree alone: version, fallback, hold, breaker, last incident.

    The breaker: how many automatic rollbacks within the last day, and at how many the model is held.
    """
    from mrc.load import load
    from mrc.reconcile.gates import spent
    from mrc.reconcile.survey import survey

    tree, now = work_tree(directory), datetime.now(UTC)
    known = load(tree, [])[0].environments
    for environment in wanted:
        if environment not in known:
            said = f"environments/{environment}.yaml is not there, or cannot be read: see mrc check"
            raise click.ClickException(said)
    unread: set[str] = set()
    rows = [("environment", "model", "serves", "fallback", "hold", "breaker", "last incident")]
    for environment in wanted or sorted(known):
        policies = [path.split("/")[1] for path in tree.files("policies") if path.endswith("/policy.yaml")]
        found = survey(tree, environment, policies)
        unread |= found.unread if found is not None else set()
        for model in found.models.values() if found is not None else ():
            last = model.incidents[-1] if model.incidents else None
            hold = model.hold or (found.hold if found is not None else None)
            ended = last.spec.outcome.state if last is not None and last.spec.outcome is not None else "open"
            rows.append((
                environment, model.name, str(int(model.serve.version)),
                str(int(model.serve.fallback)) if model.serve.fallback is not None else "-",
                f"since {hold.spec.at}" if hold is not None else "-",
                f"{spent(model, now)} of {int(known[environment][1].spec.reconcile.breaker)}",
                f"{last.metadata.id} ({ended})" if last is not None else "-",
            ))  # fmt: skip
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    for name in sorted(unread):
        click.echo(f"policies/{name}/policy.yaml cannot be read: see mrc check", err=True)
    return 1 if unread else 0
