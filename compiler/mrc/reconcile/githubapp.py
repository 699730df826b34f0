"""A GitHub App's token for one of its installations, for git and for the API: signed for, and kept until it ends.

https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app
https://docs.github.com/en/rest/apps/apps#create-an-installation-access-token-for-an-app
"""

import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import jwt

from mrc.reconcile.credentials import CredentialsError
from mrc.reconcile.forges.client import Client, ForgeError
from mrc.reconcile.forges.github import headers

SKEW = 60  # seconds that GitHub's clock may be behind ours
LIFE = 300  # seconds from now on for which what is signed holds; GitHub takes 600 at most, by its own clock
EARLY = 300.0  # seconds before its end at which a token is exchanged
LONGEST = 3600.0  # seconds that a token lives, whatever two clocks make of it
_LARGEST_KEY = 1 << 16  # bytes
_WHY = {
    401: "is the key one of this App's, and is the clock of this machine right?",
    403: "the installation may be suspended",
    404: "the App has no such installation",
}


@dataclass(frozen=True)
class App:
    """Which App (its client id, or its number), where it is installed, the file with its key, and the API's address."""

    name: str
    installation: int
    key: Path
    api: str


class AppToken:
    """The token, whenever it is asked for; a new one shortly before the old one ends."""

    def __init__(self, app: App, clock: Callable[[], float] = time.time) -> None:
        self.app, self._clock = app, clock
        self._signed = ""
        self._client = Client(app.api, lambda: headers(self._sign()), lambda: self._signed)
        self._token = ""
        self._ends = float("-inf")

    def __call__(self) -> str:
        """Raises CredentialsError."""
        left = self._ends - time.monotonic()
        if left <= EARLY:
            try:
                self._exchange()
            except CredentialsError as problem:
                # GitHub is away, and what is there still holds.
                if not problem.temporary or left <= 0:
                    raise
        return self._token

    def forget(self) -> None:
        """It was refused: the rights of the installation may have changed, and a token keeps those it was made with."""
        self._ends = float("-inf")

    def _exchange(self) -> None:
        path = f"/app/installations/{self.app.installation}/access_tokens"
        begun = time.monotonic()
        try:
            _, answer = self._client.ask("POST", path, expect=(201,))
        except ForgeError as problem:
            why = f" ({_WHY[problem.status]})" if problem.status in _WHY else ""
            said = f"GitHub gives the App {self.app.name} no token: {problem}{why}"
            raise CredentialsError(said, temporary=problem.temporary) from None
        self._token, ends = _read(answer)
        self._ends = begun + min(ends - self._clock(), LONGEST)

    def _sign(self) -> str:
        now = int(self._clock())
        claims = {"iss": self.app.name, "iat": now - SKEW, "exp": now + LIFE}
        try:
            self._signed = jwt.encode(claims, _key(self.app.key), algorithm="RS256")
        except (jwt.PyJWTError, ValueError, TypeError):
            raise CredentialsError(f"{self.app.key} is no RSA private key in PEM, as GitHub gives it") from None
        return self._signed


def _key(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            mode = path.stat().st_mode
            found = file.read(_LARGEST_KEY)
    except OSError as problem:
        raise CredentialsError(f"{path} cannot be read: {type(problem).__name__}") from None
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        said = f"{path} may be read by everybody on this machine: chmod 600, or defaultMode 0440 of a Secret's volume"
        raise CredentialsError(said)
    return found


def _read(answer: Any) -> tuple[str, float]:
    """The token, and when it ends."""
    try:
        token, ends = answer["token"], datetime.fromisoformat(answer["expires_at"]).timestamp()
        if not token.isascii() or not token.isprintable() or not token or " " in token:
            raise ValueError
    except (KeyError, TypeError, ValueError, AttributeError):
        raise CredentialsError("GitHub's answer has no token", temporary=True) from None
    return token, ends
