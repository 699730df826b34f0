"""mrc explain"""

import click


@click.command()
@click.argument("name")
def explain(name: str) -> int:
    """Say what NAME means: a code, a field of a document, a metric, or a kind.

    For example: MRC205, policy.environments.canary, latency_p99, RolloutPolicy.
    """
    from mrc import explain as explaining

    try:
        click.echo(explaining.explain(name), nl=False)
    except explaining.UnknownError as problem:
        raise click.ClickException(str(problem)) from None
    return 0
