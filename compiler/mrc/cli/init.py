"""mrc init"""

import shlex
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
    place = directory.resolve()
    around = next((each for each in (place, *place.parents) if (each / ".git").exists()), None)
    steps = "mrc render && git add ." if around is not None else "git init && mrc render && git add ."
    enter = "" if directory.samefile(Path.cwd()) else f"  cd {shlex.quote(str(directory))}\n"
    click.echo(f"{'The repository' if not enter else directory} is ready. Next:\n\n{enter}  {steps}\n")
    click.echo("Make yours: the address of mrc in .github/workflows/mrc.yaml, and the teams in CODEOWNERS.")
    if around is not None and around != place:
        inside = shlex.quote(place.relative_to(around).as_posix())
        click.echo(
            f"It lies in the repository {around}: move .github, CODEOWNERS and .pre-commit-config.yaml to its root, "
            f"where alone they count,\nand let what they call have -C {inside}."
        )
    return 0
