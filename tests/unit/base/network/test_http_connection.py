"""The connection to model servers, against a server on loopback that sends what a test says."""

import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import httpx
import pytest

from tests.support.waiting import DEADLINE_S
from tierline.base.network.deadline_http import tls_context, within
from tierline.base.network.http_connection import MAX_HEAD_BYTES, HttpConnection

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Script = Callable[[socket.socket], None]


class Server:
    """Answers the requests of each connection by `scripts`, one after the other, then closes it."""

    def __init__(self, scripts: Sequence[Script], tls: ssl.SSLContext | None = None) -> None:
        self.scripts = list(scripts)
        self._tls = tls
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.connections = 0
        self.closed = threading.Semaphore(0)  # of connections: one more for each that it closed
        self.requests: list[bytes] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                accepted, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            accepted.settimeout(DEADLINE_S)
            try:
                if self._tls is not None:
                    accepted = self._tls.wrap_socket(accepted, server_side=True)
                for script in self.scripts:
                    request = _request(accepted)
                    if not request:
                        break
                    self.requests.append(request)
                    script(accepted)
            except OSError:
                pass
            finally:
                accepted.close()
                self.closed.release()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(DEADLINE_S)


def _request(accepted: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        got = accepted.recv(65536)
        if not got:
            return b""
        data += got
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
    while len(body) < length:
        body += accepted.recv(65536)
    return head + b"\r\n\r\n" + body


def sends(*parts: bytes) -> Script:
    def script(accepted: socket.socket) -> None:
        for part in parts:
            accepted.sendall(part)

    return script


def drips(accepted: socket.socket) -> None:
    """One byte at a time, until the client leaves."""
    accepted.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        accepted.sendall(b"x")
        time.sleep(0.01)


def drips_the_head(accepted: socket.socket) -> None:
    accepted.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        accepted.sendall(b"X-A: b\r\n")
        time.sleep(0.01)


def hangs(accepted: socket.socket) -> None:
    accepted.recv(1)


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def started(*scripts: Script, tls: ssl.SSLContext | None = None) -> Server:
        servers.append(Server(scripts, tls))
        return servers[-1]

    yield started
    for server in servers:
        server.close()


@pytest.fixture
def connection() -> Iterator[HttpConnection]:
    made = HttpConnection(tls_context(), 60.0)
    yield made
    made.close()


def ask(
    connection: HttpConnection,
    url: str,
    *,
    body: bytes = b"{}",
    headers: dict[str, str] | None = None,
    seconds: float = DEADLINE_S,
) -> tuple[int, bytes]:
    request = httpx.Request("POST", url, content=body, headers=headers)
    with within(seconds):
        response = connection.handle_request(request)
        try:
            return response.status_code, response.read()
        finally:
            response.close()


def url_of(server: Server) -> str:
    return f"http://127.0.0.1:{server.port}/v1/x?y=1"


def test_requests_go_one_after_the_other_over_one_connection(
    serve: Callable[..., Server], connection: HttpConnection
) -> None:
    server = serve(sends(OK), sends(OK), sends(OK))
    answers = [ask(connection, url_of(server), body=b"%d" % number) for number in range(3)]
    assert answers == [(200, b"ok")] * 3
    assert server.connections == 1
    assert [request[-1:] for request in server.requests] == [b"0", b"1", b"2"]
    line, host = server.requests[0].split(b"\r\n")[:2]
    assert line == b"POST /v1/x?y=1 HTTP/1.1"
    assert host == b"Host: 127.0.0.1:%d" % server.port


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([b"HTTP/1.1 200 OK\r\n", b"content-length:2\r\n\r\n", b"o", b"k"], id="parts"),
        pytest.param(
            [
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n",
                b"1\r\nk\r\n0\r\n\r\n",
            ],
            id="chunked",
        ),
        pytest.param(
            [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n"],
            id="trailers",
        ),
        pytest.param([b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK], id="interim"),
    ],
)
def test_an_answer_is_read_whole_and_its_connection_is_kept(
    serve: Callable[..., Server], connection: HttpConnection, parts: list[bytes]
) -> None:
    server = serve(sends(*parts), sends(*parts))
    assert [ask(connection, url_of(server)) for _ in range(2)] == [(200, b"ok")] * 2
    assert server.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\nok", id="ends with the connection"),
        pytest.param(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", id="HTTP 1.0"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", id="close"
        ),
        pytest.param(OK + b"HTTP/1.1 200 OK\r\n", id="the beginning of a second answer"),
        pytest.param(OK + OK, id="a second answer"),
        pytest.param(OK + b"rubbish", id="rubbish"),
    ],
)
def test_a_connection_is_not_used_again_after(
    serve: Callable[..., Server], connection: HttpConnection, answer: bytes
) -> None:
    server = serve(sends(answer))  # it closes the connection after one answer
    assert [ask(connection, url_of(server)) for _ in range(2)] == [(200, b"ok")] * 2
    assert server.connections == 2


@pytest.mark.parametrize("script", [drips, drips_the_head, hangs])
def test_the_total_deadline_holds(
    serve: Callable[..., Server], connection: HttpConnection, script: Script
) -> None:
    server = serve(script)
    began = time.monotonic()
    with pytest.raises(httpx.ReadTimeout):
        ask(connection, url_of(server), seconds=0.3)
    assert time.monotonic() - began < DEADLINE_S / 2
    server.scripts = [sends(OK)]
    assert ask(connection, url_of(server)) == (200, b"ok")  # by a new connection
    assert server.connections == 2


def test_the_total_deadline_holds_while_a_large_request_is_sent(
    serve: Callable[..., Server], connection: HttpConnection
) -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    with listening:
        port = listening.getsockname()[1]
        with pytest.raises(httpx.WriteTimeout):
            ask(connection, f"http://127.0.0.1:{port}/", body=b"x" * 50_000_000, seconds=1.0)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok", id="cut off"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok", id="cut chunk"
        ),
        pytest.param(b"rubbish\r\n\r\n", id="rubbish"),
        pytest.param(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
            id="101",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", id="two lengths"
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"y" * (MAX_HEAD_BYTES + 1), id="long head"),
    ],
)
def test_an_answer_that_is_not_http_is_an_error(
    serve: Callable[..., Server], connection: HttpConnection, answer: bytes
) -> None:
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        ask(connection, url_of(serve(sends(answer))))


def test_a_connection_that_the_server_closed_is_replaced(
    serve: Callable[..., Server], connection: HttpConnection
) -> None:
    server = serve(sends(OK))  # then it closes
    assert ask(connection, url_of(server)) == (200, b"ok")
    assert server.closed.acquire(timeout=DEADLINE_S)
    assert ask(connection, url_of(server)) == (200, b"ok")
    assert server.connections == 2


def test_an_idle_connection_is_replaced(serve: Callable[..., Server]) -> None:
    server = serve(sends(OK), sends(OK))
    connection = HttpConnection(tls_context(), 0.0)
    assert [ask(connection, url_of(server)) for _ in range(2)] == [(200, b"ok")] * 2
    connection.close()
    assert len(server.requests) == 2


def test_another_server_gets_a_connection_of_its_own(
    serve: Callable[..., Server], connection: HttpConnection
) -> None:
    first, second = serve(sends(OK)), serve(sends(OK))
    assert ask(connection, url_of(first)) == ask(connection, url_of(second)) == (200, b"ok")
    assert (first.connections, second.connections) == (1, 1)


def test_an_answer_before_the_whole_request_was_read_is_read(connection: HttpConnection) -> None:
    refusal = b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def refuse() -> None:
            accepted, _ = listening.accept()
            accepted.recv(100)
            accepted.sendall(refusal)
            accepted.shutdown(socket.SHUT_WR)
            while accepted.recv(1_000_000):
                pass
            accepted.close()

        thread = threading.Thread(target=refuse, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        assert ask(connection, url, body=b"x" * 3_000_000) == (413, b"no")
        connection.close()
        thread.join(DEADLINE_S)


@pytest.mark.parametrize("value", ["a\r\nX-Other: b", "a\nb", "a\rb", "a\0b"])
def test_a_header_cannot_have_a_line_break(
    serve: Callable[..., Server], connection: HttpConnection, value: str
) -> None:
    server = serve(sends(OK))
    with pytest.raises(httpx.LocalProtocolError):
        ask(connection, url_of(server), headers={"Authorization": value})
    assert server.connections == 0


def test_a_redirect_is_not_followed(
    serve: Callable[..., Server], connection: HttpConnection
) -> None:
    other = serve(sends(OK))
    location = f"Location: {url_of(other)}\r\n".encode()
    server = serve(sends(b"HTTP/1.1 307 Moved\r\nContent-Length: 0\r\n" + location + b"\r\n"))
    assert ask(connection, url_of(server)) == (307, b"")
    assert other.connections == 0


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/", "http://nobody.invalid/", f"http://{'a' * 70}/"]
)
def test_a_server_that_is_not_there_is_a_connect_error(
    connection: HttpConnection, url: str
) -> None:
    with pytest.raises(httpx.ConnectError):
        ask(connection, url)


def test_a_scheme_that_is_not_http_is_refused(connection: HttpConnection) -> None:
    with pytest.raises(httpx.UnsupportedProtocol):
        ask(connection, "ftp://127.0.0.1/")


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for `localhost`, with its key in the same file."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl program to make a certificate")
    path, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            *("-keyout", str(key), "-out", str(path)),
        ],
        check=True,
        capture_output=True,
    )
    path.write_text(path.read_text() + key.read_text())
    return path


@pytest.fixture
def behind_tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


def test_a_certificate_that_nobody_vouches_for_is_refused(
    serve: Callable[..., Server], connection: HttpConnection, behind_tls: ssl.SSLContext
) -> None:
    server = serve(sends(OK), tls=behind_tls)
    with pytest.raises(httpx.ConnectError):
        ask(connection, f"https://localhost:{server.port}/")
    assert server.requests == []


def test_tls_verifies_the_name(
    serve: Callable[..., Server], certificate: Path, behind_tls: ssl.SSLContext
) -> None:
    server = serve(sends(OK), sends(OK), tls=behind_tls)
    connection = HttpConnection(ssl.create_default_context(cafile=str(certificate)), 60.0)
    right = f"https://localhost:{server.port}/"
    assert [ask(connection, right) for _ in range(2)] == [(200, b"ok")] * 2
    assert server.connections == 1
    connection.close()
    with pytest.raises(httpx.ConnectError):
        ask(connection, f"https://127.0.0.1:{server.port}/")
    assert len(server.requests) == 2


def test_the_deadline_holds_for_a_tls_handshake_that_never_ends(
    serve: Callable[..., Server], connection: HttpConnection
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with pytest.raises(httpx.ConnectTimeout):
            ask(connection, f"https://127.0.0.1:{port}/", seconds=0.3)
