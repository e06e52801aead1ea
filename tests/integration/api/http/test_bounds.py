"""What a request may take before anything of it is parsed, and what every answer says of itself."""

import json
import socket
from collections.abc import Iterator

import httpx
import psycopg
import pytest

from api.http.server import MAX_HEAD_BYTES, BoundedHttp
from tests.support.api.served import Api, serving
from tests.support.waiting import wait_until
from tierline.base.settings import settings
from tierline.services.accounts.accounts import make_run_key
from tierline.storage.accounts import accounts

Connection = psycopg.Connection[tuple[object, ...]]
SHORT_S = 0.4
ANSWER_S = 30  # a connection that is not cut fails the test by this
MEGABYTES = 20  # far more than the buffers of a connection hold


@pytest.fixture(scope="module")
def strict(environment: None, rows: Connection, database_url: str) -> Iterator[Api]:
    """An API whose patience with heads and bodies is short, and an admin's client of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIERLINE_MAX_BODY_S", str(SHORT_S))
        patch.setattr(BoundedHttp, "head_s", SHORT_S)
        settings.cache_clear()
        with serving() as url:
            client = Api(url, make_run_key(database_url, "bounds"))
            yield client
            client.close()
    settings.cache_clear()


class Raw:
    """A connection on which a test writes bytes as it likes."""

    def __init__(self, api: Api) -> None:
        self._socket = socket.create_connection(
            ("127.0.0.1", httpx.URL(api.url).port or 80), timeout=ANSWER_S
        )

    def __enter__(self) -> "Raw":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def read_to_the_end(self) -> bytes:
        """Everything that comes until the server closes."""
        content = b""
        try:
            while piece := self._socket.recv(65536):
                content += piece
        except ConnectionResetError:
            pass
        return content


def head(api: Api, path: str, *lines: str) -> bytes:
    key = api.http.headers["authorization"]
    all_lines = [
        f"POST {path} HTTP/1.1",
        "Host: test",
        f"Authorization: {key}",
        "Content-Type: application/json",
        *lines,
    ]
    return ("\r\n".join(all_lines) + "\r\n\r\n").encode()


def status_and_problem(answer: bytes) -> tuple[int, str]:
    start, _, body = answer.partition(b"\r\n\r\n")
    return int(start.split()[1]), str(json.loads(body)["type"]).rpartition(":")[2]


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/accounts"])
@pytest.mark.parametrize("lines", [("Content-Length: 500",), ("Transfer-Encoding: chunked",)])
def test_a_body_that_never_ends_is_408_and_the_connection_closes(
    strict: Api, path: str, lines: tuple[str, ...]
) -> None:
    with Raw(strict) as raw:
        raw.send(head(strict, path, *lines))
        raw.send(b"1\r\n{\r\n" if "chunked" in lines[0] else b"{")
        assert status_and_problem(raw.read_to_the_end()) == (408, "body-too-slow")


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/accounts"])
def test_a_chunked_body_that_grows_too_large_is_413(strict: Api, path: str) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(40):
            yield b" " * 65_536

    response = strict.post(path, content=chunks(), headers={"Content-Type": "application/json"})
    assert response.status_code == 413
    assert response.headers["connection"] == "close"


@pytest.mark.parametrize(
    "sent", [b"", b"GET /v1/jobs HTT", b"GET /v1/jobs HTTP/1.1\r\nHost: test\r\nX-More: "]
)
def test_a_head_that_never_ends_closes_the_connection(strict: Api, sent: bytes) -> None:
    with Raw(strict) as raw:
        raw.send(sent)
        assert raw.read_to_the_end().startswith(b"HTTP/1.1 408 ")


def test_a_later_request_of_a_connection_has_the_same_time(strict: Api) -> None:
    with Raw(strict) as raw:
        raw.send(b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\nGET /healthz HTTP/1.1\r\nHo")
        answer = raw.read_to_the_end()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"HTTP/1.1 408 " in answer


@pytest.mark.parametrize("piece", [b"X-A: b\r\n", b"a"], ids=["many headers", "one long header"])
def test_a_head_beyond_its_size_closes_the_connection(api: Api, piece: bytes) -> None:
    with Raw(api) as raw:
        raw.send(b"GET /healthz HTTP/1.1\r\nX-B: ")
        raw.send(piece * (2 * MAX_HEAD_BYTES // len(piece)))
        assert b" 431 " in raw.read_to_the_end()[:20]


def test_a_client_that_writes_a_large_head_before_it_reads_is_told(api: Api) -> None:
    with Raw(api) as raw:
        raw.send(b"GET /healthz HTTP/1.1\r\nX-B: ")
        for _ in range(MEGABYTES):
            raw.send(b"a" * 2**20)
        assert raw.read_to_the_end().startswith(b"HTTP/1.1 431 ")


LARGE_BODIES = [
    ("Content-Length", f"{MEGABYTES * 2**20}", [b" " * 2**20] * MEGABYTES),
    (
        "Transfer-Encoding",
        "chunked",
        [*[b"100000\r\n" + b" " * 2**20 + b"\r\n"] * MEGABYTES, b"0\r\n\r\n"],
    ),
]


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/accounts"])
@pytest.mark.parametrize(("header", "value", "pieces"), LARGE_BODIES, ids=["length", "chunked"])
def test_a_client_that_writes_all_before_it_reads_is_told_that_it_is_too_much(
    api: Api, path: str, header: str, value: str, pieces: list[bytes]
) -> None:
    with Raw(api) as raw:
        raw.send(head(api, path, f"{header}: {value}"))
        for piece in pieces:
            raw.send(piece)
        assert status_and_problem(raw.read_to_the_end()) == (413, "body-too-large")
    wait_until(lambda: not BoundedHttp.lingering, ANSWER_S, "the connection to be let go")


def test_a_client_that_asks_first_is_told_at_once_and_not_to_go_on(api: Api) -> None:
    with Raw(api) as raw:
        raw.send(head(api, "/v1/jobs", "Content-Length: 20000000", "Expect: 100-continue"))
        answer = raw.read_to_the_end()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"100 Continue" not in answer


def test_a_refused_key_with_a_large_body_is_told_too(api: Api) -> None:
    wrong = head(api, "/v1/jobs", "Content-Length: 1000000").replace(b"Bearer tl_", b"Bearer xx_")
    with Raw(api) as raw:
        raw.send(wrong + b" " * 1_000_000 + b"GET /healthz HTTP/1.1\r\nHost: test\r\n")
        raw.send(b"Connection: close\r\n\r\n")
        answer = raw.read_to_the_end()
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"HTTP/1.1 200 " in answer


def sends_until_it_is_cut(raw: Raw) -> None:
    """Fails the test by the socket's own patience where nobody cuts it."""

    def cut() -> bool:
        try:
            raw.send(b" " * 65_536)
        except OSError as error:
            return not isinstance(error, TimeoutError)
        return False

    wait_until(cut, ANSWER_S, "the connection to be cut", 0.0)


@pytest.mark.parametrize(
    ("name", "bound"), [("linger_s", 0.3), ("max_linger_bytes", 2**20)], ids=["time", "bytes"]
)
@pytest.mark.parametrize("refused", ["too large", "wrong key"])
def test_a_client_that_never_ends_is_cut(
    api: Api, monkeypatch: pytest.MonkeyPatch, name: str, bound: float, refused: str
) -> None:
    monkeypatch.setattr(BoundedHttp, name, bound)
    length = 10**12 if refused == "too large" else 10**6
    request = head(api, "/v1/jobs", f"Content-Length: {length}")
    if refused == "wrong key":
        request = head(api, "/v1/jobs", "Transfer-Encoding: chunked")
        request = request.replace(b"Bearer tl_", b"Bearer xx_") + b"fffffffff\r\n"
    with Raw(api) as raw:
        raw.send(request)
        sends_until_it_is_cut(raw)
    wait_until(lambda: not BoundedHttp.lingering, ANSWER_S, "the connection to be let go")


def test_a_client_that_says_no_more_is_let_go(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedHttp, "linger_idle_s", 0.2)
    with Raw(api) as raw:
        raw.send(head(api, "/v1/jobs", "Content-Length: 20000000"))
        assert raw.read_to_the_end().startswith(b"HTTP/1.1 413 ")
        wait_until(lambda: not BoundedHttp.lingering, ANSWER_S, "the connection to be let go")
        sends_until_it_is_cut(raw)


def test_connections_that_linger_do_not_pile_up(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedHttp, "most_lingering", 1)
    request = head(api, "/v1/jobs", "Content-Length: 20000000")
    with Raw(api) as first, Raw(api) as second:
        first.send(request)
        assert first.read_to_the_end().startswith(b"HTTP/1.1 413 ")
        (lingering,) = BoundedHttp.lingering
        second.send(request)
        assert second.read_to_the_end().startswith(b"HTTP/1.1 413 ")
        sends_until_it_is_cut(second)
        assert {lingering} == BoundedHttp.lingering
        first.send(b" " * 65_536)


ONE, OTHER = "Host: one.invalid", "Host: other.invalid"


@pytest.mark.parametrize("path", ["/healthz", "/v1/jobs", "/v1/accounts"])
@pytest.mark.parametrize(
    "lines",
    [
        (),
        (ONE, OTHER),
        (ONE, ONE),
        ("host: one.invalid", "HOST: one.invalid"),
        ("Host: one two",),
        ("Host: one/two",),
        ("Host: user@one",),
        ("Host: one:port",),
    ],
)
def test_a_request_without_one_host_is_400_and_the_connection_closes(
    api: Api, path: str, lines: tuple[str, ...]
) -> None:
    method = "POST" if path == "/v1/jobs" else "GET"
    key = api.http.headers["authorization"]
    words = [f"{method} {path} HTTP/1.1", *lines, f"Authorization: {key}", "Content-Length: 0"]
    with Raw(api) as raw:
        raw.send(("\r\n".join(words) + "\r\n\r\n").encode())
        assert status_and_problem(raw.read_to_the_end()) == (400, "bad-request")


@pytest.mark.parametrize(
    ("version", "line"),
    [
        *(("1.1", f"Host: {host}\r\n") for host in ("a", "a.invalid:8000", "[::1]:80", "")),
        ("1.0", ""),
    ],
)
def test_one_host_or_none_of_http_1_0_is_served(api: Api, version: str, line: str) -> None:
    with Raw(api) as raw:
        raw.send(f"GET /healthz HTTP/{version}\r\n{line}Connection: close\r\n\r\n".encode())
        assert b" 200 " in raw.read_to_the_end()[:20]


def test_private_answers_and_refusals_are_never_kept_by_a_cache(api: Api) -> None:
    job = api.submit()
    answers = [
        api.get("/v1/jobs"),
        api.get(f"/v1/jobs/{job['id']}/attempts"),
        api.get("/v1/usage"),
        api.as_(None).get("/v1/jobs"),
        api.get("/v1/jobs/none"),
        api.post("/v1/jobs", content=b"{", headers={"Content-Type": "application/json"}),
    ]
    for answer in answers:
        assert answer.headers["cache-control"] == "no-store", answer.request.url
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_one_job_may_be_asked_again_by_its_etag_but_not_shared(api: Api) -> None:
    answer = api.get(f"/v1/jobs/{api.submit()['id']}")
    assert answer.headers["cache-control"] == "private, no-cache"


def test_a_crash_tells_the_caller_nothing_of_itself(
    api: Api, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def crash(*_: object) -> None:
        raise ZeroDivisionError("what-only-the-code-knows")

    monkeypatch.setattr(accounts, "list_accounts", crash)
    answer = httpx.get(
        f"{api.url}/v1/accounts", headers={"Authorization": api.http.headers["authorization"]}
    )
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    for word in ("what-only-the-code-knows", "Traceback", "ZeroDivision", ".py"):
        assert word not in answer.text
    output = ""

    def logged() -> bool:
        nonlocal output
        output += "".join(capfd.readouterr())
        return "request_crashed" in output

    # After the answer: a test that ended before would close the file beneath the server's print.
    wait_until(logged, ANSWER_S, "the crash to be logged")
    assert "what-only-the-code-knows" not in output
