"""mrc status"""

from pathlib import Path

import click

from mrc.cli.common import directory_option, work_tree


@click.command()
@click.option("-e", "--environment", "wanted", multiple=True, help="Only this environment; may be repeated.")
@directory_option
def status(wanted: tuple[str, ...], directory: Path) -> int:
    """Say what serves where, by the tree alone: version, fallback, hold, rollbacks, last incident."""
    from mrc.load import load
    from mrc.reconcile.survey import served, survey

    tree = work_tree(directory)
    rows = [("environment", "model", "serves", "fallback", "hold", "rollbacks", "last incident")]
    for environment in wanted or sorted(load(tree, [])[0].environments):
        found = survey(tree, environment, served(tree, environment))
        for model in found.models.values() if found is not None else ():
            last = model.incidents[-1] if model.incidents else None
            hold = model.hold or (found.hold if found is not None else None)
            ended = last.spec.outcome.state if last is not None and last.spec.outcome is not None else "open"
            rows.append((
                environment, model.name, str(int(model.serve.version)),
                str(int(model.serve.fallback)) if model.serve.fallback is not None else "-",
                f"since {hold.spec.at}" if hold is not None else "-",
                str(sum(one.automatic for one in model.incidents)) if model.incidents else "-",
                f"{last.metadata.id} ({ended})" if last is not None else "-",
            ))  # fmt: skip
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    return 0
