"""The command `mrc`: one verb a file, each imported when it is called.

Exit codes: 0 fine, 1 problems found, 2 wrong use or unreadable input, 3 our bug.
"""

import atexit
import gc
import importlib
import io
import os
import sys

from mrc import __version__
from mrc.spelling import closest
from mrc.standins import StandIn, standing_in


def _cleandoc(text: str) -> str:
    """Of a single line, as the help of options is, what `inspect` makes of it."""
    if "\n" not in text:
        return text.strip()
    import inspect

    return inspect.cleandoc(text)


# click has more types of values than mrc, and speaks other languages where somebody translates it; pathlib writes URLs.
with standing_in(
    StandIn("urllib.parse"),
    StandIn("uuid"),
    StandIn("gettext", gettext=lambda text: text, ngettext=lambda one, more, number: one if number == 1 else more),
    StandIn("inspect", cleandoc=_cleandoc),
):
    import pathlib  # noqa: F401

    import click

VERBS = {
    "check": "Check policies, versions and environments.",
    "clear": "End a hold.",
    "demo": "Play the whole loop, without a cluster.",
    "explain": "Explain a code, a field or a metric.",
    "fetch": "Lay down a model repository from a manifest.",
    "history": "Print the incidents of a model.",
    "hold": "Pin what serves until somebody clears it.",
    "init": "Start a repository of policies.",
    "plan": "Say what a change does, before it is merged.",
    "promote": "Let another version serve: change the one line.",
    "reconcile": "Follow failures with commits: the service.",
    "render": "Render what Kubernetes, Triton and Prometheus accept.",
    "rollback": "Go back from the version that serves, by hand.",
    "schema": "Print the JSON Schema of a document.",
    "status": "Say what serves where.",
}


class _Verbs(click.Group):
    """A group that knows its verbs by name and imports only the one that is called."""

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted(VERBS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        command: click.Command = getattr(importlib.import_module(f"mrc.cli.{name}"), name)
        return command

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(context, arguments)
        except click.UsageError as problem:
            if close := closest(arguments[0], VERBS):
                raise click.UsageError(f"{problem.message} Did you mean {close}?", context) from None
            raise

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(sorted(VERBS.items()))


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mrc")
def main() -> None:
    """The model rollout compiler."""


def run() -> None:
    """The console script: a bug becomes one calm paragraph and exit code 3."""
    gc.disable()  # a run is over before it has made garbage that would be worth looking for
    atexit.register(gc.freeze)  # nor is it looked for at the end
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that is not UTF-8 is no reason to fail
    try:
        code = main.main(prog_name="mrc", standalone_mode=False)
        sys.stdout.flush()
        sys.exit(code if isinstance(code, int) else 0)
    except click.exceptions.Exit as leaving:
        sys.exit(leaving.exit_code)
    except click.Abort:
        sys.exit(130)
    except click.ClickException as problem:
        problem.show()
        sys.exit(2)
    except BrokenPipeError:
        _mute()
        sys.exit(1)
    except OSError as problem:
        _mute()
        where = f" ({problem.filename})" if problem.filename is not None else ""
        click.echo(f"Error: {problem.strerror or problem}{where}", err=True)
        sys.exit(2)
    except Exception as bug:
        _report(bug)
        sys.exit(3)


def _mute() -> None:
    """What is still to be printed has nowhere to go; without this the interpreter would try once more, and complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _report(bug: Exception) -> None:
    import tempfile
    import traceback

    said = f"mrc has a bug ({type(bug).__name__}). Nothing was left half done. Please report it with"
    text = f"mrc {__version__}\n{traceback.format_exc()}"
    try:
        handle, name = tempfile.mkstemp(prefix="mrc-", suffix=".log")
        with os.fdopen(handle, "w", errors="backslashreplace") as log:
            log.write(text)
    except OSError:
        click.echo(f"{said}:\n{text}", err=True)
    else:
        click.echo(f"{said} {name}", err=True)
