"""mrc promote"""

import os
import shutil
from pathlib import Path

import click

from mrc.cli.common import directory_option, show_all, work_tree
from mrc.compile import analyse
from mrc.promote import PromotionError, next_fallback
from mrc.promote import promote as edit
from mrc.spelling import closest


@click.command()
@click.argument("model")
@click.argument("version", type=click.IntRange(min=1))
@click.option("-e", "--environment", required=True, help="Where the version is to serve.")
@directory_option
def promote(model: str, version: int, environment: str, directory: Path) -> int:
    """Let VERSION of MODEL serve: changes the one line, keeps every other byte."""
    tree = work_tree(directory)
    compiled = analyse(tree, [model])
    linked = compiled.fleet.models.get(model)
    if linked is None:
        show_all(compiled.diagnostics, tree, "text")
        close = closest(model, sorted({path.split("/")[1] for path in tree.files("policies")}))
        meant = f"; did you mean {close}?" if close and close != model else ""
        raise click.ClickException(f"there is no model {model} that can be read{meant}")
    try:
        text = edit(linked, environment, version)
    except PromotionError as problem:
        raise click.ClickException(str(problem)) from None
    target = directory / linked.policy_document.file
    beside = target.with_name(f".{target.name}.mrc")
    try:
        beside.write_bytes(text.encode())
        shutil.copymode(target, beside)
        os.replace(beside, target)  # noqa: PTH105
    except OSError as problem:
        beside.unlink(missing_ok=True)
        raise click.ClickException(f"cannot write {target}: {problem.strerror}") from None
    alone = next_fallback(linked, environment, version) is None
    without = ", and falls back to none: every other one was rejected there" if alone else ""
    click.echo(f"{linked.policy_document.file}: version {version} serves in {environment}{without}; now run mrc render")
    return 0
