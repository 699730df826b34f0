"""mrc demo"""

import shutil
import sys
import tempfile
from pathlib import Path

import click

_READ_ON = """
   Begin your own with mrc init DIR. Read on in the documentation of mrc: docs/tutorial/first-rollout.md,
   docs/how-to/reconciler.md."""


@click.command()
@click.option("--keep", is_flag=True, help="Leave the repository where it is, to look at it.")
def demo(keep: bool) -> int:
    """Play the whole loop, without a cluster: two versions fail, and the reconciler goes back."""
    from mrc.demo.story import tell
    from mrc.demo.voice import Voice

    if shutil.which("git") is None:
        raise click.ClickException("git is not installed, and the demo commits and pushes with it")
    folder = Path(tempfile.mkdtemp(prefix="mrc-demo-"))
    try:
        tell(folder, Voice(sys.stdout))
        if keep:
            click.echo(f"\n   The repository is in {folder / 'team'}, its remote beside it.")
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
    click.echo(_READ_ON)
    return 0
