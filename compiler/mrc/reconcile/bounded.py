"""HTTP to servers that may mean harm: no redirects, no proxies, and an exchange that ends, however slowly it drips.

httpx bounds each read alone: a server that sends a byte of a header every few seconds would hold its caller for days.
"""

import ssl
import threading
import time
from collections.abc import Iterable
from typing import Any

import httpcore
import httpx


def client(whole: float, timeout: httpx.Timeout | float) -> httpx.Client:
    """`whole` seconds for each exchange from the connection to the last byte, `timeout` for a part of it."""
    return httpx.Client(transport=_Transport(whole), timeout=timeout, follow_redirects=False, trust_env=False)


class _Transport(httpx.HTTPTransport):
    def __init__(self, whole: float) -> None:
        # The system's trust store, or SSL_CERT_FILE and SSL_CERT_DIR.
        trusted = ssl.create_default_context()
        super().__init__(verify=trusted)
        self._whole, self._ends = whole, _Ends()
        self._pool = httpcore.ConnectionPool(ssl_context=trusted, network_backend=_Network(self._ends))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._ends.at = time.monotonic() + self._whole
        return super().handle_request(request)


class _Ends(threading.local):
    """When the exchange of this thread has to be over, by the monotonic clock."""

    at = float("inf")

    def within(self, timeout: float | None) -> float:
        """What is left for one step. Raises httpcore.ReadTimeout."""
        left = self.at - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("the exchange takes too long")
        return min(left, timeout if timeout is not None else left)


class _Network(httpcore.NetworkBackend):
    def __init__(self, ends: _Ends) -> None:
        self._ends, self._inner = ends, httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        stream = self._inner.connect_tcp(host, port, self._ends.within(timeout), local_address, socket_options)
        return _Stream(stream, self._ends)


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, ends: _Ends) -> None:
        self._inner, self._ends = inner, ends

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._ends.within(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._ends.within(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, self._ends.within(timeout)), self._ends)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
