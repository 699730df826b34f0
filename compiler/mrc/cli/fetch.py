"""`mrc fetch`: the init container of a serving pod."""

import os
import signal
from pathlib import Path

import click


@click.command()
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option(
    "--to",
    "destination",
    metavar="DIR",
    type=click.Path(path_type=Path),
    required=True,
    help="The Triton model repository; a directory below the volume's root.",
)
@click.pass_context
def fetch(context: click.Context, manifest: Path, destination: Path) -> None:
    """Lay down the model repository that MANIFEST lists, every file verified before any is placed.

    Exit code 0: DIR is complete. 1: an artifact is refused or could not be had; DIR is as it was.
    2: the manifest is unreadable or invalid, or DIR cannot be a repository.
    """
    from mrc.fetch import FetchError, InvalidUseError, fetch_repository

    # The first process of a container has no default action for SIGTERM, and would delay the pod's end;
    # Ctrl-C would wait for four downloads. Ending anywhere is safe: the kernel drops the lock, and the next
    # run removes what was staged.
    before = {number: signal.signal(number, _end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        fetch_repository(manifest, destination, lambda line: click.echo(line, err=True))
    except InvalidUseError as error:
        click.echo(str(error), err=True)
        context.exit(2)
    except FetchError as error:
        click.echo(str(error), err=True)
        context.exit(1)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(number: int, _: object) -> None:
    os._exit(128 + number)
