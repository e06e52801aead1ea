"""One HTTP/1.1 connection to model servers, with a total deadline and little work for each request.

httpcore's pool and its parser in Python took longer than the rest of a call to a model. Here a
connection belongs to one thread and is used for one request after the other, and httptools (llhttp,
the parser of Node.js) reads the answers. The interface is that of an httpx transport, and so are
the exceptions.

No redirects, proxies, cookies or environment variables. Every operation ends by the deadline of
`deadline.within`, also if the server sends one byte at a time.
"""

import math
import select
import socket
import ssl
import time
from collections.abc import Iterator
from typing import Final

import httptools
import httpx

from tierline.base.network.deadline import left_s

MAX_HEAD_BYTES = 100 * 1024  # of an answer, as in h11
MAX_READ_BYTES = 64 * 1024  # at once
LONGEST_WAIT_S = 86_400.0
PORTS: Final = {"http": 80, "https": 443}

Origin = tuple[str, str, int]  # scheme, host, port


class _Plain:
    """A TCP connection whose `send` and `recv` do not block.

    On a socket with a timeout each of them takes three system calls, and at each one another thread
    of a busy process gets the interpreter. Here a request takes four in all, instead of seven.
    """

    def __init__(self, connected: socket.socket) -> None:
        connected.setblocking(False)
        self._socket = connected
        self._input = select.poll()
        self._input.register(connected, select.POLLIN)

    def has_input(self) -> bool:
        """Whether an idle connection can be read: the server closed it, or sent too much."""
        return bool(self._input.poll(0))

    def send(self, data: memoryview, within_s: float | None) -> int:
        """How many bytes were sent; 0: try again. Raises OSError, and TimeoutError."""
        try:
            return self._socket.send(data)
        except BlockingIOError:
            output = select.poll()
            output.register(self._socket, select.POLLOUT)
            if not output.poll(_milliseconds(within_s)):
                raise TimeoutError from None
            return 0

    def receive(self, within_s: float | None) -> bytes:
        """What arrived; empty at the end. Raises OSError, and TimeoutError."""
        if not self._input.poll(_milliseconds(within_s)):
            raise TimeoutError
        return self._socket.recv(MAX_READ_BYTES)

    def close(self) -> None:
        self._socket.close()


class _Encrypted:
    """The same over TLS, where a read may have to write. The socket's own timeout applies."""

    def __init__(self, connected: ssl.SSLSocket) -> None:
        self._socket = connected

    def has_input(self) -> bool:
        idle = select.poll()
        idle.register(self._socket, select.POLLIN)
        return bool(idle.poll(0))

    def send(self, data: memoryview, within_s: float | None) -> int:
        self._socket.settimeout(within_s)
        return self._socket.send(data)

    def receive(self, within_s: float | None) -> bytes:
        self._socket.settimeout(within_s)
        return self._socket.recv(MAX_READ_BYTES)

    def close(self) -> None:
        self._socket.close()


_Wire = _Plain | _Encrypted


class HttpConnection(httpx.BaseTransport):
    """A transport for one thread that keeps its last connection open for the next request.

    `tls` checks the certificates of https servers. `idle_s`: how long an idle connection is kept.
    """

    def __init__(self, tls: ssl.SSLContext, idle_s: float) -> None:
        tls.set_alpn_protocols(["http/1.1"])
        self._tls = tls
        self._idle_s = idle_s
        self._wire: _Wire | None = None
        self._origin: Origin | None = None
        self._idle_until_s = 0.0  # monotonic

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request with a body that is in memory, and read the head of its answer.

        The body is read while the response's stream is. Raises httpx.TransportError: ConnectError
        and ConnectTimeout before anything was sent.
        """
        timeouts = request.extensions.get("timeout", {})
        answer = self.ask(
            origin_of(request.url),
            head_of(request) + request.content,
            timeouts.get("connect"),
            timeouts.get("write"),
            timeouts.get("read"),
        )
        return httpx.Response(answer.status, headers=answer.headers, stream=answer, request=request)

    def ask(
        self,
        origin: Origin,
        message: bytes,
        connect_s: float | None,
        write_s: float | None = None,
        read_s: float | None = None,
    ) -> "Answer":
        """Send a whole request, head and body, and read the head of its answer.

        For who sends the same head each time. Raises as `handle_request` does.
        """
        wire = self._ready(origin, connect_s)
        try:
            self._send(wire, message, write_s)
            answer = Answer(self, wire, read_s)
            answer.read_head()
        except BaseException:
            self.close()
            raise
        return answer

    def close(self) -> None:
        """Close the connection. The next request opens a new one."""
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    def keep(self) -> None:
        """Keep the connection for the next request: the answer is complete."""
        self._idle_until_s = time.monotonic() + self._idle_s

    def _ready(self, origin: Origin, connect_s: float | None) -> _Wire:
        """The open connection if it can be used, or a new one."""
        wire = self._wire
        if wire is not None:
            usable = self._origin == origin and time.monotonic() < self._idle_until_s
            if usable and not wire.has_input():
                return wire
            self.close()
        wire = self._wire = self._connect(origin, connect_s)
        self._origin = origin
        return wire

    def _connect(self, origin: Origin, connect_s: float | None) -> _Wire:
        scheme, host, port = origin
        until_s = None if connect_s is None else time.monotonic() + connect_s
        try:
            plain = _opened(host, port, until_s)
        except TimeoutError:
            raise httpx.ConnectTimeout("the server does not accept the connection") from None
        except (OSError, UnicodeError) as error:  # the second: a name that cannot be looked up
            raise httpx.ConnectError(type(error).__name__) from None
        if scheme == "http":
            return _Plain(plain)
        try:
            plain.settimeout(_rest(until_s, httpx.ConnectTimeout))
            # The timeout applies to the whole handshake.
            return _Encrypted(self._tls.wrap_socket(plain, server_hostname=host))
        except BaseException as error:
            plain.close()
            if isinstance(error, TimeoutError):
                raise httpx.ConnectTimeout("the TLS handshake takes too long") from None
            if isinstance(error, OSError):  # a refused certificate is one too
                raise httpx.ConnectError(type(error).__name__) from None
            raise

    @staticmethod
    def _send(wire: _Wire, message: bytes, write_s: float | None) -> None:
        rest = memoryview(message)
        try:
            while rest:
                rest = rest[wire.send(rest, left_s(write_s, httpx.WriteTimeout)) :]
        except TimeoutError:
            raise httpx.WriteTimeout("the server does not read the request") from None
        except OSError:
            # The server may have answered before it read everything, for example with 413.
            return


def plain_connection(idle_s: float) -> HttpConnection:
    """A connection for http:// alone: it trusts no certificate, so it loads none."""
    return HttpConnection(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), idle_s)


class Answer(httpx.SyncByteStream):
    """An answer while it arrives: a parser's callbacks, and the stream of the body."""

    def __init__(self, connection: HttpConnection, wire: _Wire, read_s: float | None) -> None:
        self._connection = connection
        self._wire = wire
        self._read_s = read_s
        self._whole = self._in_body = self._closes = False
        self._beyond = False  # more came than this answer
        self._chunks: list[bytes] = []
        self._parser = httptools.HttpResponseParser(self)
        self.headers: list[tuple[bytes, bytes]] = []
        self.status = 0

    def on_message_begin(self) -> None:
        if self._whole:
            self._beyond = True
        else:
            self.headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_body:
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self._whole:
            return
        self.status = self._parser.get_status_code()
        self._in_body = self.status >= 200

    def on_body(self, body: bytes) -> None:
        if not self._whole:
            self._chunks.append(body)

    def on_message_complete(self) -> None:
        if self._in_body:  # not an interim answer such as 103
            self._whole = True
            self._closes = not self._parser.should_keep_alive()  # known only now

    def read_head(self) -> None:
        """Read until the head is complete. Raises httpx.TransportError."""
        received = 0
        while not self._in_body:
            data = self._receive()
            if not data:
                raise httpx.RemoteProtocolError("the server closed the connection without answer")
            received += len(data)
            self._parse(data)
            if not self._in_body and received > MAX_HEAD_BYTES:
                raise httpx.RemoteProtocolError("the head of the server's answer is too long")

    def __iter__(self) -> Iterator[bytes]:
        while True:
            if self._chunks:
                chunks, self._chunks = self._chunks, []
                yield from chunks
            if self._whole:
                return
            data = self._receive()
            if data:
                self._parse(data)
            elif self._ends_with_the_connection():
                self._whole = self._closes = True
            else:
                raise httpx.RemoteProtocolError("the server's answer was cut off")

    def close(self) -> None:
        """Keep the connection if the answer was read to its end, or else close it."""
        if self._whole and not self._chunks and not self._closes and not self._beyond:
            self._connection.keep()
        else:
            self._connection.close()

    def _receive(self) -> bytes:
        try:
            while True:
                try:
                    return self._wire.receive(left_s(self._read_s, httpx.ReadTimeout))
                except BlockingIOError:
                    continue  # there was nothing to read after all
        except TimeoutError:
            raise httpx.ReadTimeout("the server takes too long to answer") from None
        except OSError as error:
            raise httpx.ReadError(type(error).__name__) from None

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            raise httpx.RemoteProtocolError("the server changes the protocol") from None
        except httptools.HttpParserError as error:
            if not self._whole:
                raise httpx.RemoteProtocolError(type(error).__name__) from None
            self._beyond = True  # what follows the answer is not HTTP

    def _ends_with_the_connection(self) -> bool:
        """Whether the answer has no other end (RFC 9112, section 6.3)."""
        names = {name.lower() for name, _ in self.headers}
        return not names & {b"content-length", b"transfer-encoding"}


def origin_of(url: httpx.URL) -> Origin:
    """Where a request to this address goes. Raises UnsupportedProtocol."""
    scheme, host = url.scheme, url.raw_host.decode("ascii")
    if scheme not in PORTS:
        raise httpx.UnsupportedProtocol("the address does not begin with http:// or https://")
    return scheme, host, url.port or PORTS[scheme]


def head_of(request: httpx.Request) -> bytes:
    """The request line and the headers. Raises LocalProtocolError for one that is not a line."""
    lines = [b"%b %b HTTP/1.1" % (request.method.encode("ascii"), request.url.raw_path)]
    lines += [b"%b: %b" % header for header in request.headers.raw]
    lines += [b"", b""]
    head = b"\r\n".join(lines)
    if head.count(b"\n") != len(lines) - 1 or head.count(b"\r") != len(lines) - 1 or b"\0" in head:
        raise httpx.LocalProtocolError("a header or the address has a line break or NUL in it")
    return head


def _opened(host: str, port: int, until_s: float | None) -> socket.socket:
    """A TCP connection to the first address that accepts one. Raises OSError."""
    failed: OSError = OSError("no address")
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM):
        opened = socket.socket(family, kind, protocol)
        try:
            opened.settimeout(_rest(until_s, httpx.ConnectTimeout))
            opened.connect(address)
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            opened.close()
            failed = error
        except BaseException:
            opened.close()
            raise
        else:
            return opened
    raise failed


def _rest(until_s: float | None, late: type[Exception]) -> float | None:
    rest = None if until_s is None else until_s - time.monotonic()
    if rest is not None and rest <= 0:
        raise late("the time to connect is over")
    return left_s(rest, late)


def _milliseconds(within_s: float | None) -> int | None:
    """For `poll`, which does not take more than 24 days."""
    return None if within_s is None else math.ceil(min(within_s, LONGEST_WAIT_S) * 1000)
