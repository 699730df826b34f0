"""mrc init"""

from pathlib import Path

import click

from mrc.init import InitError, create


@click.command()
@click.argument("directory", type=click.Path(path_type=Path), metavar="DIR")
def init(directory: Path) -> int:
    """Start a repository of policies in DIR: one model, two environments, CI."""
    try:
        create(directory)
    except (InitError, OSError) as problem:
        raise click.ClickException(str(problem)) from None
    click.echo(f"{directory} is ready. Next:\n\n  cd {directory}\n  git init && mrc render && git add .\n")
    return 0
