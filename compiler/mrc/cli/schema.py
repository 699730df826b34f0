"""mrc schema"""

import click

from mrc.schema import KINDS
from mrc.schema.jsonschema import json_schema

PLAN = "Plan"


@click.command()
@click.argument("kind", required=False)
def schema(kind: str | None) -> int:
    """Print the JSON Schema of KIND; without it, the kinds."""
    if kind is None:
        for name, model in KINDS.items():
            click.echo(f"{name:15} {(model.__doc__ or '').splitlines()[0]}")
        click.echo(f"{PLAN:15} What `mrc plan --format json` prints.")
        return 0
    if kind == PLAN:
        from mrc.plan import json as plan_json  # and all that a plan is made of: for this kind alone

        click.echo(plan_json.schema(), nl=False)
        return 0
    if kind not in KINDS:
        raise click.ClickException(f"there is no kind {kind}; the kinds are {', '.join((*KINDS, PLAN))}")
    click.echo(json_schema(kind), nl=False)
    return 0
