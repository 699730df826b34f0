"""mrc explain"""

from pathlib import Path

import click


@click.command()
@click.argument("name")
def explain(name: str) -> int:
    """Say what NAME means: a code, a field of a document, a metric, or a kind.

    For example: MRC205, policy.environments.canary, latency_p99, RolloutPolicy. A metric may be one that mrc.yaml
    of this folder declares.
    """
    from mrc import explain as explaining
    from mrc.load import load
    from mrc.tree import WorkTree

    try:
        repository = load(WorkTree(Path()), [])[0].repository
        declared = repository[1].spec.metrics if repository is not None else {}
        click.echo(explaining.explain(name, declared), nl=False)
    except explaining.UnknownError as problem:
        raise click.ClickException(str(problem)) from None
    return 0
