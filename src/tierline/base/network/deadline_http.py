"""A total deadline for httpx calls, whose own timeouts apply to each read.

A server that sends one byte at a time could keep a call open for ever. Here each socket operation
gets the rest of the total time, see `deadline`.
"""

import functools
import ssl
from collections.abc import Iterable
from typing import Any

import httpcore
import httpx

from tierline.base.network.deadline import left_s, within

__all__ = ["DeadlineTransport", "tls_context", "within"]


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, left_s(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, left_s(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        rest_s = left_s(timeout, httpcore.ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, rest_s))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Backend(httpcore.SyncBackend):
    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        rest_s = left_s(timeout, httpcore.ConnectTimeout)
        stream = super().connect_tcp(host, port, rest_s, local_address, socket_options)
        return _Stream(stream)


class DeadlineTransport(httpx.HTTPTransport):
    """An httpx transport that obeys `within`. It uses no proxies and no environment variables.

    `verify` is the TLS context, which many transports may share.
    """

    def __init__(self, limits: httpx.Limits, verify: ssl.SSLContext) -> None:
        super().__init__(verify=verify, trust_env=False, limits=limits)
        self._pool.close()
        self._pool = httpcore.ConnectionPool(
            ssl_context=verify,
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=_Backend(),
        )


@functools.cache
def tls_context() -> ssl.SSLContext:
    """A context that checks certificates against certifi's and ignores the environment.

    All connections of the process share it, because loading the certificates takes 20 ms.
    """
    return httpx.create_ssl_context(trust_env=False)
