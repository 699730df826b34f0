"""https:// artifacts, with httpx: a stream that can be resumed, redirects to https only."""

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from mrc import __version__
from mrc.fetch.problem import printable, redact
from mrc.fetch.sources import Body, PermanentError, SourceError, TemporaryError, open_file, temporary_status

TOKEN_FILE = "MRC_FETCH_TOKEN_FILE"  # noqa: S105 (the name of a variable)
MAX_TOKEN = 1 << 16  # bytes
MAX_REDIRECTS = 5
_TIMEOUT = httpx.Timeout(30.0, connect=10.0)  # seconds; of one read, not of the whole
_REDIRECTS = (301, 302, 303, 307, 308)
_NETWORK = "check the network, the proxy and the server, then run again"


class HttpsSource:
    """One connection pool. Raises PermanentError when the token cannot be read or the proxy not be used."""

    def __init__(self) -> None:
        token = _token()
        self._authorization = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            self._client = httpx.Client(
                # OpenSSL's own default: the system's trust store, or SSL_CERT_FILE and SSL_CERT_DIR.
                verify=ssl.create_default_context(),
                timeout=_TIMEOUT,
                follow_redirects=False,
                # Digests are of the bytes as stored, so no compression on the way.
                headers={"User-Agent": f"mrc/{__version__}", "Accept-Encoding": "identity"},
            )
        except (httpx.InvalidURL, ValueError, ImportError):
            raise PermanentError("a proxy that cannot be used", "check HTTPS_PROXY and ALL_PROXY") from None

    def __enter__(self) -> "HttpsSource":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    @contextmanager
    def open(self, uri: str, offset: int) -> Iterator[Body]:
        """Open `uri` from `offset` bytes on. Raises TemporaryError, PermanentError."""
        try:
            url = httpx.URL(uri)
        except httpx.InvalidURL:
            raise PermanentError("an address that cannot be read", "check the address") from None
        response = self._answer(url, offset)
        try:
            yield _body(response, offset)
        finally:
            response.close()

    def _answer(self, first: httpx.URL, offset: int) -> httpx.Response:
        url = first
        for _ in range(MAX_REDIRECTS + 1):
            headers = {"Range": f"bytes={offset}-"} if offset else {}
            if _origin(url) == _origin(first):
                headers |= self._authorization
            try:
                response = self._client.send(self._client.build_request("GET", url, headers=headers), stream=True)
            except httpx.TransportError as error:
                raise _transport_error(error) from None
            if response.status_code not in _REDIRECTS:
                return response
            response.close()
            url = _redirected(url, response.headers.get("Location", ""))
        raise PermanentError(f"more than {MAX_REDIRECTS} redirects", "give the address they lead to")


def _body(response: httpx.Response, offset: int) -> Body:
    status = response.status_code
    if status not in (200, 206):
        kind = TemporaryError if temporary_status(status) else PermanentError
        raise kind(f"HTTP status {status} from {redact(str(response.url))}", _status_action(status))
    start = 0
    if status == 206:
        start = offset
        if not offset or not response.headers.get("Content-Range", "").startswith(f"bytes {offset}-"):
            raise PermanentError("another part of the file than was asked for", "look at the server")
    length = response.headers.get("Content-Length", "")
    return Body(start, int(length) if length.isdecimal() else None, _chunks(response))


def _chunks(response: httpx.Response) -> Iterator[bytes]:
    try:
        yield from response.iter_raw()
    except httpx.TransportError as error:
        raise _transport_error(error) from None


def _redirected(url: httpx.URL, location: str) -> httpx.URL:
    try:
        target = url.join(location)
    except (httpx.InvalidURL, ValueError):
        location, target = "", url
    if not location:
        raise PermanentError("a redirect that leads nowhere", "look at the server")
    if target.scheme != "https" or target.userinfo or not target.host:
        raise PermanentError(
            f"a redirect to {redact(str(target))}",
            "look at the server: only https without credentials is followed",
        )
    return target


def _transport_error(error: httpx.TransportError) -> SourceError:
    # The text of other errors may quote a header, and with it the token.
    telling = isinstance(error, httpx.ConnectError | httpx.ReadError) and str(error)
    found = f"{type(error).__name__}: {printable(str(error))}" if telling else type(error).__name__
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return PermanentError(found, "name the file of the authority's certificate in SSL_CERT_FILE")
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.LocalProtocolError | httpx.UnsupportedProtocol):
        return PermanentError(found, "check the address")
    return TemporaryError(found, _NETWORK)


def _status_action(status: int) -> str:
    if status in (401, 403):
        return f"give a token that may read it, in the file that {TOKEN_FILE} names"
    if status in (404, 410):
        return "upload the artifact again, or serve another version"
    return _NETWORK if temporary_status(status) else "look at the server's log"


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _token() -> str:
    path = os.environ.get(TOKEN_FILE, "")
    if not path:
        return ""
    try:
        # A Secret's files are symbolic links.
        with open_file(Path(path), 0, follow=True) as body:
            data = next(body.chunks, b"").strip()
    except PermanentError as error:
        raise PermanentError(
            f"{TOKEN_FILE} names {printable(path)}: {error.found}", "mount the token there, or unset it"
        ) from None
    if len(data) > MAX_TOKEN or not data or not all(0x21 <= byte <= 0x7E for byte in data):
        raise PermanentError(f"{TOKEN_FILE} names a file that holds no token", "write the bare token into it")
    return data.decode("ascii")
