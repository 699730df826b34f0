"""JSON over HTTPS to a forge: tried again when that can help, redirected nowhere, and silent about the token."""

import functools
import json
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal, ParamSpec, TypeVar

import httpx

from mrc import __version__
from mrc.reconcile import bounded

TRIES = 3
PATIENCE = 5.0
"""Seconds that a forge may ask to wait while a caller waits; for longer, it is left alone until then."""
_LONGEST = 3600.0  # seconds; no answer keeps mrc away for longer
_TIMEOUT = httpx.Timeout(10.0, connect=5.0)
WHOLE = 30.0  # seconds for an answer, however it comes
_TEMPORARY = frozenset((408, 425, 429))  # and every 5xx
_LARGEST = 8 << 20  # bytes of an answer
_LONGEST_TEXT = 300  # characters of what it says

Given = ParamSpec("Given")
Found = TypeVar("Found")


class ForgeError(Exception):
    """The forge refused or did not answer; the text has no credentials. `temporary`: the same may work later."""

    def __init__(self, text: str, *, temporary: bool, status: int | None = None) -> None:
        super().__init__(text)
        self.temporary, self.status = temporary, status


@dataclass(frozen=True)
class Request:
    """A pull request: its number, how it is, the commit that it asks for, and where people see it."""

    number: int
    state: Literal["open", "closed", "merged"]
    commit: str
    url: str
    node: str = ""  # its name in GitHub's GraphQL


class Client:
    """Requests to one API. `headers` are asked for each time, for tokens end."""

    def __init__(self, api: str, headers: Callable[[], Mapping[str, str]], secret: Callable[[], str]) -> None:
        self.api, self._headers, self._secret = api.rstrip("/"), headers, secret
        self._http = bounded.client(WHOLE, _TIMEOUT)
        self._until = float("-inf")

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        expect: Collection[int] = (200,),
    ) -> tuple[int, Any]:
        """The status, one of `expect`, and the JSON of the answer. Raises ForgeError."""
        for number in range(1, TRIES + 1):
            if (left := self._until - time.monotonic()) > 0:
                raise ForgeError(f"it asks to be left alone for {left:.0f} s more", temporary=True)
            try:
                return self._once(method, path, query, body, expect)
            except _AgainError as problem:
                wait = problem.after if problem.after is not None else 0.5 * number
                if wait > PATIENCE:
                    self._until = time.monotonic() + min(wait, _LONGEST)
                if number == TRIES or wait > PATIENCE:
                    raise ForgeError(problem.text, temporary=True, status=problem.status) from None
            time.sleep(wait)
        raise AssertionError

    def may_request(self, path: str, body: Mapping[str, Any]) -> None:
        """Refuse a token that may not ask for pull requests. `body` is one from a branch to itself: who may ask is told
        that there is nothing to ask for, and none is made. Raises ForgeError."""
        try:
            self.ask("POST", path, body=body, expect=(400, 409, 422))
        except ForgeError as problem:
            if problem.temporary:
                raise
            said = f"the token may not ask for pull requests: {problem}"
            raise ForgeError(said, temporary=False, status=problem.status) from None

    def _once(
        self, method: str, path: str, query: Mapping[str, str] | None, body: Any, expect: Collection[int]
    ) -> tuple[int, Any]:
        url = path if path.startswith("http") else f"{self.api}{path}"
        own = {"Accept": "application/json", "User-Agent": f"mrc/{__version__}", **self._headers()}
        try:
            with self._http.stream(method, url, params=query, json=body, headers=own) as answer:
                data = b""
                for chunk in answer.iter_bytes():
                    data += chunk
                    if len(data) > _LARGEST:
                        raise ForgeError("its answer is too long", temporary=False)
        except (httpx.InvalidURL, UnicodeError):
            raise ForgeError("its address or the token cannot be used", temporary=False) from None
        except (httpx.HTTPError, OSError) as problem:
            raise _AgainError(f"it does not answer: {type(problem).__name__}") from None
        if answer.status_code not in expect:
            raise self._fault(method, path, answer, data)
        try:
            return answer.status_code, json.loads(data) if data.strip() else None
        except (ValueError, RecursionError):
            raise _AgainError("its answer is no JSON", answer.status_code) from None

    def _fault(self, method: str, path: str, answer: httpx.Response, data: bytes) -> Exception:
        status = answer.status_code
        text = f"{method} {path.partition('?')[0]} was answered with HTTP status {status}"
        if 300 <= status < 400:
            return ForgeError(f"{text}: mrc follows no redirect; write the address that it leads to", temporary=False)
        said = self.said(data)
        text += f": {said}" if said else ""
        after = _seconds(answer.headers)
        limited = status == 403 and (after is not None or answer.headers.get("x-ratelimit-remaining") == "0")
        if status >= 500 or status in _TEMPORARY or limited:
            return _AgainError(text, status, after if after is not None or not limited else 60.0)
        return ForgeError(text, temporary=False, status=status)

    def said(self, data: bytes) -> str:
        """What an answer says, in one short line: `message` as GitHub, GitLab and Gitea have it, without the token."""
        text, secret = message(data), self._secret()
        return (text.replace(secret, "***") if secret else text)[:_LONGEST_TEXT]


class _AgainError(Exception):
    """What may work at the next try, after so many seconds where the forge says so."""

    def __init__(self, text: str, status: int | None = None, after: float | None = None) -> None:
        super().__init__(text)
        self.text, self.status, self.after = text, status, after


def understood(method: Callable[Given, Found]) -> Callable[Given, Found]:
    """An answer that is JSON and not what its description says is the forge's fault: ForgeError, not an end of mrc."""

    @functools.wraps(method)
    def call(*given: Given.args, **named: Given.kwargs) -> Found:
        try:
            return method(*given, **named)
        except (KeyError, TypeError, AttributeError, ValueError) as problem:
            raise ForgeError(f"its answer is not understood: {type(problem).__name__}", temporary=False) from None

    return call


def _seconds(headers: httpx.Headers) -> float | None:
    """Retry-After in seconds, the form that forges send; else when the rate limit begins anew."""
    for name, zero in (("retry-after", 0.0), ("x-ratelimit-reset", time.time())):
        if name != "retry-after" and headers.get("x-ratelimit-remaining") != "0":
            continue
        try:
            found = float(headers.get(name, "")) - zero
        except ValueError:
            continue
        return min(max(0.0, found), _LONGEST)
    return None


def message(data: bytes) -> str:
    """`message` of an answer in one line, with GitHub's `errors`."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(found, dict):
        return ""
    parts = [found.get("message") or found.get("error") or ""]
    errors = found.get("errors")
    parts += [each.get("message", "") if isinstance(each, dict) else each for each in errors] if isinstance(
        errors, list
    ) else []  # fmt: skip
    said = "; ".join(str(part) for part in parts if part)
    return "".join(each if each.isprintable() else " " for each in said)
