"""git's plumbing on a bare repository, through GitPython's command runner: no work tree, no hooks, no prompts."""

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from git import Repo

LOCAL_SECONDS = 60.0
REMOTE_SECONDS = 60.0
_CONFIG = (
    "core.hooksPath=/dev/null", "protocol.ext.allow=never", "core.fsmonitor=false", "gc.autoDetach=false",
    "transfer.fsckObjects=false", "commit.gpgSign=false", "credential.helper=", "core.quotePath=false",
    # A connection that says nothing for so long is given up.
    "http.lowSpeedLimit=1", "http.lowSpeedTime=20",
)  # fmt: skip
_SSH = "-o BatchMode=yes -o ConnectTimeout=10 -o ServerAliveInterval=5 -o ServerAliveCountMax=4"


class GitError(Exception):
    """git failed; the text is its own, with no credentials. `status` is None when it took too long and was stopped."""

    def __init__(self, status: int | None, text: str) -> None:
        super().__init__(text)
        self.status = status


class Git:
    """Commands in one bare repository. `credentials` gives variables of the environment that the remote needs."""

    def __init__(self, folder: Path, credentials: Callable[[], Mapping[str, str]] = dict) -> None:
        import git

        self.folder, self._credentials = folder, credentials
        folder.mkdir(parents=True, exist_ok=True)
        self._environment = {
            "GIT_ALLOW_PROTOCOL": "file:https:http:ssh",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_SSH_COMMAND": f"ssh {_SSH}",
            "GIT_DIR": str(folder),
            "LC_ALL": "C",
        }
        if not (folder / "HEAD").exists():
            git.Git(folder).execute(["git", "init", "--quiet", "--bare"], env=self._environment)
        self.repo: Repo = git.Repo(folder)
        self.repo.git.update_environment(GIT_DIR=str(folder))  # a hook that started this process has one of its own

    def run(
        self,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        stdin: BinaryIO | None = None,
        seconds: float = LOCAL_SECONDS,
        config: Sequence[str] = (),
    ) -> str:
        """Standard output. Raises GitError, also when it takes longer than `seconds`; then its children die with it."""
        status, out, error = self.told(*arguments, env=env, stdin=stdin, seconds=seconds, config=config)
        if status != 0:
            raise GitError(status, error.strip() or out.strip() or f"git {arguments[0]} ended with {status}")
        return out

    def told(
        self,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        stdin: BinaryIO | None = None,
        seconds: float = LOCAL_SECONDS,
        config: Sequence[str] = (),
    ) -> tuple[int, str, str]:
        """Exit status, standard output and standard error. Raises GitError when it takes longer than `seconds`."""
        options = [part for item in (*_CONFIG, *config) for part in ("-c", item)]
        remote = self._credentials() if arguments[0] in ("fetch", "push") else {}
        running: Any = self.repo.git.execute(
            ["git", *options, *arguments],
            istream=stdin,
            as_process=True,
            env={**self._environment, **remote, **(env or {})},
            start_new_session=True,
        )
        process: subprocess.Popen[bytes] = running.proc
        try:
            out, error = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise GitError(None, f"git {arguments[0]} said nothing for {seconds:.0f} s, and was stopped") from None
        return process.returncode, out.decode(errors="replace"), error.decode(errors="replace")
