"""mrc explain"""

from pathlib import Path

import click


@click.command()
@click.argument("name", required=False)
def explain(name: str | None) -> int:
    """Say what NAME means: a code, a field of a document, a metric, or a kind; without it, the kinds.

    For example: MRC205, policy.environments.canary, latency_p99, RolloutPolicy. A metric may be one that mrc.yaml
    of this folder declares.
    """
    if name is None:
        from mrc.schema import KINDS

        for kind, model in KINDS.items():
            click.echo(f"{kind:15} {(model.__doc__ or '').splitlines()[0]}")
        click.echo("\nOr a key of them (policy.environments.canary), a code (MRC205), a metric (latency_p99).")
        return 0
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
