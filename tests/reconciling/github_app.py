"""The part of GitHub's API that gives a GitHub App tokens, as strict as its description, and with nothing of PyJWT.

https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app
https://docs.github.com/en/rest/apps/apps#create-an-installation-access-token-for-an-app
"""

from __future__ import annotations

import base64
import json
import secrets
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

NAME = "Iv23liTestTestTestTe"
INSTALLATION = 4711


def private_key() -> rsa.RSAPrivateKey:
    """A new one."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(key: Any, path: Path, *, mode: int = 0o600, password: bytes | None = None) -> Path:
    """The file that GitHub lets people download."""
    none = serialization.NoEncryption()
    closed = serialization.BestAvailableEncryption(password) if password is not None else none
    form = serialization.PrivateFormat.TraditionalOpenSSL
    path.touch(mode)
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, closed))
    path.chmod(mode)
    return path


@dataclass
class Installations:
    """One App, installed once. In seconds, `lives` is how long a token does, `ahead` how far GitHub's clock is."""

    key: rsa.RSAPrivateKey = field(default_factory=private_key)
    lives: float = 3600.0
    ahead: float = 0.0
    given: list[str] = field(default_factory=list)
    ends: dict[str, float] = field(default_factory=dict)
    faults: list[tuple[int, Any]] = field(default_factory=list)
    """What is answered first."""
    asked: int = 0

    def now(self) -> float:
        """By GitHub's clock."""
        return time.time() + self.ahead

    def accepts(self, token: str) -> bool:
        """Whether it is one that was given, and has not ended."""
        return self.ends.get(token, 0) > self.now()

    def answer(self, path: str, headers: dict[str, str]) -> tuple[int, Any]:
        """To a POST of this path."""
        self.asked += 1
        if self.faults:
            return self.faults.pop(0)
        kind, _, signed = headers.get("authorization", "").partition(" ")
        if kind != "Bearer" or headers.get("accept") != "application/vnd.github+json":
            return 401, {"message": "A JSON web token could not be decoded"}
        fault = self._fault(signed)
        if fault is not None:
            return 401, {"message": f"{fault} {signed}"}  # some proxies tell everything
        if path != f"/app/installations/{INSTALLATION}/access_tokens":
            return 404, {"message": "Integration not found"}
        token = f"ghs_{secrets.token_hex(200)}"
        self.given.append(token)
        self.ends[token] = self.now() + self.lives
        at = datetime.fromtimestamp(self.ends[token], UTC)
        return 201, {"token": token, "expires_at": f"{at:%Y-%m-%dT%H:%M:%SZ}", "permissions": {"contents": "write"},
                     "repository_selection": "selected"}  # fmt: skip

    def _fault(self, signed: str) -> str | None:
        try:
            head, body, signature = signed.split(".")
            header, claims = json.loads(_decoded(head)), json.loads(_decoded(body))
            self.key.public_key().verify(
                _decoded(signature), f"{head}.{body}".encode(), padding.PKCS1v15(), hashes.SHA256()
            )
        except (ValueError, InvalidSignature):
            return "A JSON web token could not be decoded"
        if header != {"alg": "RS256", "typ": "JWT"} or set(claims) != {"iss", "iat", "exp"} or claims["iss"] != NAME:
            return f"Integration must be known: {header} {claims}"
        if claims["iat"] > self.now():
            return "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued"
        if claims["exp"] > self.now() + 600:
            return "'Expiration time' claim ('exp') is too far in the future"
        if claims["exp"] <= self.now():
            return "'Expiration time' claim ('exp') must be a numeric value representing the future time"
        return None


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
