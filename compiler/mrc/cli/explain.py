"""mrc explain"""

from difflib import get_close_matches

import click

from mrc.rulebook import RULES


@click.command()
@click.argument("code")
def explain(code: str) -> int:
    """Say what a code means, why it matters, and the way out."""
    rules = {rule.code: rule for rule in RULES}
    rule = rules.get(code.upper())
    if rule is None:
        close = get_close_matches(code.upper(), rules, n=1)
        meant = f"; did you mean {close[0]}?" if close else f"; the codes are {', '.join(rules)}"
        raise click.ClickException(f"there is no code {code}{meant}")
    click.echo(f"{rule.code} ({rule.severity}): {rule.title}\n\n{rule.reason}\n\nThe way out: {rule.hint}.")
    if rule.source:
        click.echo(f"\nSee {rule.source}")
    return 0
