"""git's plumbing on a bare repository, through GitPython's command runner: no work tree, no hooks, no prompts."""

import base64
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO

from mrc.reconcile.credentials import TOKEN, USER
from mrc.reconcile.transport import Transport

if TYPE_CHECKING:
    from git import Repo

IDLE_SECONDS = 60.0
"""How long git may say nothing, not even that it goes on; what is slow and alive has all the time."""
_CONFIG = (
    "core.hooksPath=/dev/null", "protocol.ext.allow=never", "core.fsmonitor=false", "gc.autoDetach=false",
    "transfer.fsckObjects=false", "commit.gpgSign=false", "credential.helper=", "core.quotePath=false",
    # A connection that says nothing for so long is given up.
    "http.lowSpeedLimit=1", "http.lowSpeedTime=30",
    # A token is sent to the host that it was given for.
    "http.followRedirects=false",
)  # fmt: skip
_LEFT = ("*.lock", "refs/**/*.lock", "objects/**/*.lock", "objects/**/tmp_*", "objects/pack/.tmp-*", ".git_*", "gc.pid")
_LONGEST = 2000  # characters of what it says that are told
_CHUNKS = 16
"""What is kept of standard error, from its end: a remote may say there as much as it likes."""
_PROGRESS = re.compile(r"(?:remote: )?[A-Z][A-Za-z ]+: +(?:\d+%|\d+, done)")


class GitError(Exception):
    """git failed; the text is its own, with no credentials. `status` is None when it was silent and was stopped."""

    def __init__(self, status: int | None, text: str) -> None:
        super().__init__(text)
        self.status = status


class Git:
    """Commands in one bare repository. `credentials` gives variables of the environment that the remote needs."""

    def __init__(
        self,
        folder: Path,
        credentials: Callable[[], Mapping[str, str]] = dict,
        way: Transport | None = None,
        inherited: Sequence[int] = (),
    ) -> None:
        """`inherited`: descriptors that git has as long as it runs, such as a lock."""
        import git

        self.folder, self._credentials, self._inherited = folder, credentials, tuple(inherited)
        way = way if way is not None else Transport()
        self._environment = {
            "GIT_ALLOW_PROTOCOL": way.protocols,
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_SSH_COMMAND": way.ssh,
            "GIT_SSH_VARIANT": "ssh",
            "GIT_PROGRESS_DELAY": "0",
            "GIT_DIR": str(folder),
            "TMPDIR": str(folder),  # what it leaves when it is killed, `sweep` finds
            "GIT_TRACE_REDACT": "1",  # whoever traces git sees no token either
            "LC_ALL": "C",
        }
        self._made()
        try:
            self.repo: Repo = git.Repo(folder)
        except git.InvalidGitRepositoryError:
            self.renew()
            self.repo = git.Repo(folder)
        self.repo.git.update_environment(GIT_DIR=str(folder))  # a hook that started this process has one of its own

    def _made(self) -> None:
        import git

        self.folder.mkdir(parents=True, exist_ok=True)
        git.Git(self.folder).execute(["git", "init", "--quiet", "--bare"], env=self._environment)

    def renew(self) -> None:
        """Begin with an empty repository: what is here is of no use any more."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._made()

    def run(
        self,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        stdin: BinaryIO | None = None,
        seconds: float = IDLE_SECONDS,
        config: Sequence[str] = (),
    ) -> str:
        """Standard output. Raises GitError, also when it is silent for `seconds`; then its children die with it."""
        status, out, error = self.told(*arguments, env=env, stdin=stdin, seconds=seconds, config=config)
        if status != 0:
            raise GitError(
                status, (error.strip() or out.strip())[-_LONGEST:] or f"git {arguments[0]} ended with {status}"
            )
        return out

    def told(
        self,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        stdin: BinaryIO | None = None,
        seconds: float = IDLE_SECONDS,
        config: Sequence[str] = (),
    ) -> tuple[int, str, str]:
        """Exit status, standard output and standard error. Raises GitError when it is silent for `seconds`."""
        remote = self._credentials() if arguments[0] in ("fetch", "push") else {}
        running = self.started(*arguments, env={**remote, **(env or {})}, stdin=stdin, config=config)
        process: subprocess.Popen[bytes] = running.proc
        told = _heard(process, seconds)
        if told is None:
            self.sweep()
            raise GitError(None, f"git {arguments[0]} said nothing for {seconds:.0f} s, and was stopped")
        out, error = (_without(remote.get(TOKEN, ""), each.decode(errors="replace")) for each in told)
        return process.returncode, out, _told(error)

    def started(
        self,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        stdin: BinaryIO | int | None = subprocess.PIPE,
        config: Sequence[str] = (),
    ) -> Any:
        """A process of git that runs; it ends with what is returned."""
        options = [part for item in (*_CONFIG, *config) for part in ("-c", item)]
        return self.repo.git.execute(
            ["git", *options, *arguments],
            istream=stdin,
            as_process=True,
            env={**self._environment, **(env or {})},
            start_new_session=True,
            pass_fds=self._inherited,
        )

    def sweep(self) -> None:
        """Remove what a git that was killed has left here: locks that nobody takes off again, packs that came in part.
        Only while no other git writes here."""
        for pattern in _LEFT:
            for path in self.folder.glob(pattern):
                path.unlink(missing_ok=True)


def _heard(process: subprocess.Popen[bytes], seconds: float) -> tuple[bytes, bytes] | None:
    """Both streams to their end; None when they were silent for so long, and everything of it is ended."""
    heard = [time.monotonic()]
    assert process.stdout is not None
    assert process.stderr is not None

    def read(stream: IO[bytes], into: deque[bytes]) -> None:
        while chunk := os.read(stream.fileno(), 1 << 16):
            into.append(chunk)
            heard[0] = time.monotonic()

    out: deque[bytes] = deque()
    error: deque[bytes] = deque(maxlen=_CHUNKS)
    threads = [
        threading.Thread(target=read, args=each, daemon=True)
        for each in ((process.stdout, out), (process.stderr, error))
    ]
    for thread in threads:
        thread.start()
    silent, moved = False, 0
    for thread in threads:
        while thread.is_alive() and not silent:
            thread.join(min(1.0, seconds / 4))
            if time.monotonic() - heard[0] > seconds / 4 and (now := _moved(process.pid)) != moved:
                heard[0], moved = time.monotonic(), now
            silent = time.monotonic() - heard[0] > seconds
    if silent:
        os.killpg(process.pid, signal.SIGKILL)
    for thread in threads:
        thread.join()
    process.stdout.close()
    process.stderr.close()
    process.wait()
    return None if silent else (b"".join(out), b"".join(error))


def _moved(session: int) -> int:
    """How many bytes git's processes have read and written, where the system says so: a large file that comes slowly
    is no progress to git. What ssh reads does not count, for its own keep-alives are among it."""
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            name, _, rest = (folder / "stat").read_text().partition("(")[2].rpartition(")")
            if name != "ssh" and int(rest.split()[3]) == session:
                lines = (folder / "io").read_text().splitlines()
                total += sum(int(line.partition(": ")[2]) for line in lines if line.startswith(("rchar", "wchar")))
        except (OSError, ValueError, IndexError):
            continue  # it ended meanwhile, or is somebody else's
    return total


def _without(token: str, text: str) -> str:
    """A remote may say the token that it was sent, as it is or as it came over HTTP."""
    if not token:
        return text
    sent = base64.b64encode(f"{USER}:{token}".encode()).decode()
    return text.replace(token, "***").replace(sent, "***")


def _told(error: str) -> str:
    """What git said, without the progress that showed that it was alive."""
    lines = [line.rstrip().rpartition("\r")[2] for line in error.split("\n")]
    return "\n".join(line for line in lines if line and not _PROGRESS.match(line))
