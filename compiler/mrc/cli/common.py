"""What the verbs share: where the tree is, and how findings are shown."""

import os
import sys
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TextIO

import click

from mrc import __version__
from mrc.diagnostics import Diagnostic, Severity, show
from mrc.records import replace
from mrc.tree import Tree, UnreadableError, WorkTree

format_option = click.option(
    "--format", "form", type=click.Choice(["text", "github", "json", "sarif"]), default="text", show_default=True,
    help="How findings are printed.",
)  # fmt: skip
directory_option = click.option(
    "-C", "--directory", type=click.Path(path_type=Path, file_okay=False, exists=True), default=Path(),
    help="The root of the repository of policies.  [default: the current folder]",
)  # fmt: skip


def moment(text: str) -> datetime:
    """The time that `--now` gives."""
    from mrc.schema.units import Timestamp

    try:
        return Timestamp.parse(text)
    except ValueError as problem:
        raise click.BadParameter(str(problem), param_hint="--now") from None


def work_tree(directory: Path) -> WorkTree:
    """The tree below the folder; a usage error where mrc.yaml is missing."""
    if not (directory / "mrc.yaml").is_file():
        if (directory / "mrc.yml").is_file():
            raise click.ClickException(f"mrc reads mrc.yaml, not mrc.yml: rename it in {directory.resolve()}")
        raise click.ClickException(
            f"there is no mrc.yaml in {directory.resolve()}: run mrc at the root of a repository of policies, "
            "name it with -C DIR, or make one with mrc init DIR"
        )
    return WorkTree(directory)


def show_all(found: list[Diagnostic], tree: Tree, form: str) -> None:
    """Print every finding: text to standard error, the other formats to standard output."""
    if form == "json":
        click.echo(show.as_json(found))
    elif form == "sarif":
        click.echo(_sarif(_from_here(found, tree)))
    elif form == "github":
        if found:
            click.echo(show.github(_from_here(found, tree)))
    elif found:
        click.echo(show.text(found, _lines_of(tree), colour=sys.stderr.isatty()), err=True)


def _sarif(found: list[Diagnostic]) -> str:
    from mrc.diagnostics.sarif import sarif
    from mrc.rulebook import RULES

    return sarif(found, {rule.code: rule for rule in RULES}, __version__)


def _from_here(found: list[Diagnostic], tree: Tree) -> list[Diagnostic]:
    """The paths as CI knows them: from the folder in which mrc was called, where `-C` names one below it."""
    root = tree.root if isinstance(tree, WorkTree) else Path()
    if root == Path() or root.is_absolute() or ".." in root.parts:
        return found
    return [replace(item, file=f"{root.as_posix()}/{item.file}") for item in found]


def _lines_of(tree: Tree) -> show.Lines:
    def lines(path: str) -> list[str]:
        try:
            return tree.read(path).decode(errors="replace").split("\n")
        except UnreadableError:
            return []

    return lines


def counted(found: list[Diagnostic]) -> str:
    """`2 errors, 1 warning`, or nothing."""
    parts = []
    for severity in Severity:
        number = sum(item.severity is severity for item in found)
        if number:
            parts.append(many(number, str(severity)))
    return ", ".join(parts)


def many(number: int, what: str) -> str:
    """`1 release`, `2 releases`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def pinned_base(tree: Tree) -> str:
    """The revision that mrc.yaml compares with."""
    from mrc.load import load  # not for the verbs that compile nothing

    objects, _ = load(tree, [])
    return str(objects.repository[1].spec.base) if objects.repository else "origin/main"


class Progress:
    """`340 of 1000 models`, on a terminal only, and only when a run takes more than a second."""

    def __init__(self, what: str, stream: TextIO) -> None:
        self.what, self.stream = what, stream
        self.next = time.monotonic() + 1 if stream.isatty() else float("inf")
        self.shown = False

    def __call__(self, done: int, whole: int) -> None:
        now = time.monotonic()
        if now >= self.next:
            self.next, self.shown = now + 0.1, True
            self.stream.write(f"\r{done} of {whole} {self.what} ")
            self.stream.flush()

    def end(self) -> None:
        """Take the line away."""
        if self.shown:
            self.stream.write("\r\x1b[K")
            self.stream.flush()


def one_line(context: click.Context, parameter: click.Parameter, text: str) -> str:
    """A reason goes into files and commits: one printable line."""
    if not text.strip() or not text.isprintable() or len(text) > 500:
        raise click.BadParameter("write one printable line, 500 characters at most")
    return text


def author(directory: Path) -> str:
    """Who git says that writes here."""
    from mrc.revision import repository

    repo = repository(directory)
    found = str(repo.config_reader().get_value("user", "email", "")) if repo is not None else ""
    return found if found.isprintable() and 0 < len(found) < 250 else "a person"


def apply(directory: Path, edits: Mapping[str, bytes | None]) -> None:
    """Write files beside and rename them; None removes one."""
    for path, data in edits.items():
        target = directory / path
        try:
            if data is None:
                target.unlink(missing_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            beside = target.with_name(f".{target.name}.mrc")
            beside.write_bytes(data)
            os.replace(beside, target)  # noqa: PTH105
        except OSError as problem:
            raise click.ClickException(f"cannot write {target}: {problem.strerror}") from None
