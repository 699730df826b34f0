"""mrc reconcile"""

import gc
import re
import secrets
import shutil
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from mrc.reconcile.cluster import Api
    from mrc.reconcile.telemetry import Telemetry


def _place(context: click.Context, option: click.Parameter, value: str | None) -> tuple[str, str] | None:
    if value is None:
        return None
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?/[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", value):
        raise click.BadParameter(f"{value!r} is not the namespace and the name of a Lease, such as mrc/mrc-production")
    namespace, _, name = value.partition("/")
    return namespace, name


def _address(context: click.Context, option: click.Parameter, value: str) -> tuple[str, int]:
    host, _, port = value.rpartition(":")
    if not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:
        raise click.BadParameter(f"{value!r} is not a host and a port, such as 127.0.0.1:8080")
    return host, int(port)


def _app_name(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    if value is not None and not re.fullmatch(r"[A-Za-z0-9.]{1,64}", value):
        raise click.BadParameter("an App's client id is such as Iv23liAbCdEfGhIjKlMn, its number such as 123456")
    return value


def _api(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    from pydantic import TypeAdapter, ValidationError

    from mrc.schema.base import TokenUrl

    try:
        return str(TypeAdapter[str](TokenUrl).validate_python(value))
    except ValidationError:
        raise click.BadParameter("write an https:// address, such as https://github.example.com/api/v3") from None


@click.command()
@click.argument("url", metavar="REPOSITORY")
@click.option("-e", "--environment", required=True, help="The environment that this process answers for.")
@click.option("--branch", default="main", show_default=True, help="The branch that the environment is synced from.")
@click.option(
    "--state", "folder", type=click.Path(path_type=Path, file_okay=False),
    help="Where the bare repository is kept; it may be lost.  [default: a temporary folder]",
)  # fmt: skip
@click.option(
    "--kubeconfig", type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="How the cluster is reached.  [default: as the pod's ServiceAccount]",
)  # fmt: skip
@click.option(
    "--lease", metavar="NAMESPACE/NAME", callback=_place,
    help="The Lease that must be held to act: of several processes, one does. Who loses it ends.",
)  # fmt: skip
@click.option(
    "--listen", default="127.0.0.1:8080", show_default=True, callback=_address,
    help="Where /healthz and /metrics answer.",
)  # fmt: skip
@click.option(
    "--every", default=2.0, show_default=True, type=click.FloatRange(min=0.1),
    help="How often alerts are asked for, in seconds.",
)  # fmt: skip
@click.option(
    "--token-file", type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="A file with the token for an https:// repository, and for the pull requests of its forge.",
)  # fmt: skip
@click.option(
    "--github-app", metavar="ID", callback=_app_name,
    help="The client id, or the number, of a GitHub App, whose tokens take the place of --token-file.",
)  # fmt: skip
@click.option(
    "--github-installation", type=click.IntRange(min=1), metavar="NUMBER",
    help="Which installation of the App: the number at the end of the address of its settings.",
)  # fmt: skip
@click.option(
    "--github-key", type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="A file with a private key of the App (PEM).",
)  # fmt: skip
@click.option(
    "--github-api", metavar="URL", callback=_api,
    help="Where the App's tokens are made; on a GitHub Enterprise Server it ends with /api/v3."
    "  [default: https://api.github.com]",
)  # fmt: skip
@click.option(
    "--ssh-key", type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="The SSH key for an ssh:// repository; the machine's own ssh configuration is not read with it.",
)  # fmt: skip
@click.option(
    "--known-hosts", type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="The keys of the hosts that are spoken to by SSH, as ssh-keyscan prints them; no other is.",
)  # fmt: skip
@click.option(
    "--signing-key", type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="The SSH key that commits are signed with.",
)  # fmt: skip
@click.option(
    "--argocd-token-file", type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="A file with the token for Argo CD's API, where the environment names its server.",
)  # fmt: skip
@click.option(
    "--hook-secrets", type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="A folder with a file for each host whose hooks want a bearer token, named as the host.",
)  # fmt: skip
@click.option("--name", default="mrc", show_default=True, help="Who commits.")
@click.option("--email", default="mrc@localhost", show_default=True, help="The address of who commits.")
def reconcile(
    url: str, environment: str, branch: str, folder: Path | None, kubeconfig: Path | None,
    lease: tuple[str, str] | None, listen: tuple[str, int], every: float,
    token_file: Path | None, github_app: str | None, github_installation: int | None, github_key: Path | None,
    github_api: str | None, ssh_key: Path | None, known_hosts: Path | None, signing_key: Path | None,
    argocd_token_file: Path | None, hook_secrets: Path | None,
    name: str, email: str,
) -> int:  # fmt: skip
    """Follow aborted rollouts and alerts with commits to REPOSITORY, until SIGTERM.

    What it may do stands in environments/<environment>.yaml, under reconcile.
    """
    if find_spec("kubernetes") is None or find_spec("jwt") is None:
        raise click.ClickException("mrc reconcile needs more than the other commands: pip install 'mrc[reconcile]'")
    if shutil.which("git") is None:
        raise click.ClickException("git is not installed, and mrc reconcile commits and pushes with it")
    from mrc.reconcile.branch import RefusedError
    from mrc.reconcile.cluster import Api, ClusterError
    from mrc.reconcile.credentials import CredentialsError, Token, askpass, from_file
    from mrc.reconcile.forges import ForgeError
    from mrc.reconcile.git import Git, GitError
    from mrc.reconcile.ledger import Identity, Ledger
    from mrc.reconcile.service import Service
    from mrc.reconcile.telemetry import Telemetry, serve
    from mrc.reconcile.transport import AddressError, transport
    from mrc.reconcile.workplace import TakenError, kept, temporary

    try:
        way = transport(url, ssh_key, known_hosts)
    except AddressError as problem:
        raise click.UsageError(str(problem)) from None
    token: Token | None = from_file(token_file) if token_file is not None else None
    if any(each is not None for each in (github_app, github_installation, github_key, github_api)):
        if token is not None:
            raise click.UsageError("either --token-file or a GitHub App says who mrc is, not both")
        if github_app is None or github_installation is None or github_key is None:
            raise click.UsageError("a GitHub App needs --github-app, --github-installation and --github-key")
        from mrc.reconcile.githubapp import App, AppToken

        token = AppToken(App(github_app, github_installation, github_key, github_api or "https://api.github.com"))
    gc.enable()  # unlike the other verbs it runs on and on
    stop = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    telemetry = Telemetry()
    with ExitStack() as stack:
        try:
            place = stack.enter_context(kept(folder) if folder is not None else temporary())
        except TakenError as problem:
            raise click.UsageError(str(problem)) from None
        credentials = askpass(place.folder, token) if token is not None else dict
        git = Git(place.folder / "repository.git", credentials, way, [place.lock])
        git.sweep()
        ledger = Ledger(git, url, branch, Identity(name, email, signing_key))
        try:
            api = Api(kubeconfig)
        except ClusterError as problem:
            raise click.UsageError(str(problem)) from None
        service = Service(
            ledger, environment, api, telemetry, lambda: datetime.now(UTC), every, argocd_token_file, hook_secrets,
            token,
        )  # fmt: skip
        try:
            server = serve(listen, telemetry, lambda: service.problem(time.monotonic()))
        except OSError as problem:
            raise click.UsageError(f"--listen {listen[0]}:{listen[1]}: {problem.strerror or problem}") from None
        try:
            telemetry.set("mrc_reconciler_acting", 0)
            with _lease(api, lease, telemetry, stop) as acts:
                if acts:
                    telemetry.set("mrc_reconciler_acting", 1)
                    service.run(stop)
        except (GitError, RefusedError, ForgeError, CredentialsError) as problem:
            telemetry.log("the reconciler cannot work", level="error", error=str(problem))
            return 1
        finally:
            server.shutdown()
    telemetry.log("ended")
    return 0


@contextmanager
def _lease(api: "Api", place: tuple[str, str] | None, telemetry: "Telemetry", stop: threading.Event) -> Iterator[bool]:
    """Whether to act; with a Lease, once it is held."""
    from mrc.reconcile.lease import Lease, ends

    if place is None:
        yield True
        return
    who = f"{socket.gethostname()}_{secrets.token_hex(4)}"
    with Lease(api, *place, who, telemetry, ends).held(stop) as acts:
        yield acts
