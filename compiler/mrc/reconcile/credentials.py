"""Who mrc is to a remote and its forge: a token that is read when it is needed, and kept in no argument and no log."""

from collections.abc import Callable, Mapping
from pathlib import Path

Token = Callable[[], str]
USER, TOKEN = "x-access-token", "MRC_TOKEN"
"""Whom the remote is told, and the variable that git's own question for the password is answered with."""
_LARGEST = 1 << 16  # bytes


class CredentialsError(Exception):
    """There is no token to be had; the text says why, and has none. `temporary`: the same may work later."""

    def __init__(self, text: str, *, temporary: bool = False) -> None:
        super().__init__(text)
        self.temporary = temporary


def from_file(path: Path) -> Token:
    """The token in a file, read each time: it may be exchanged."""

    def read() -> str:
        try:
            with path.open("rb") as file:
                token = file.read(_LARGEST).decode("ascii").strip()
        except (OSError, ValueError) as problem:
            raise CredentialsError(f"{path} cannot be read: {type(problem).__name__}") from None
        if not token or not token.isprintable() or " " in token:
            raise CredentialsError(f"{path} has no token: it must be one word, and nothing else")
        return token

    return read


def askpass(folder: Path, token: Token) -> Callable[[], Mapping[str, str]]:
    """Variables of the environment by which git gets the token for https:// when it asks for it."""
    script = folder / "askpass"
    script.write_text(f'#!/bin/sh\ncase "$1" in Username*) echo {USER};; *) printf "%s\\n" "${TOKEN}";; esac\n')
    script.chmod(0o700)
    return lambda: {"GIT_ASKPASS": str(script), TOKEN: token()}
