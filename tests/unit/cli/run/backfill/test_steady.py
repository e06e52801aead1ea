"""Requests that outlast a restart of the API, on a server that answers as it is told."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tierline.base.errors import Forbidden, InvalidInput, Unavailable
from tierline.cli.run.backfill import steady
from tierline.cli.run.backfill.steady import Steady
from tierline.cli.shared.client import Place

GOOD = (200, {"ok": True})


class Server(ThreadingHTTPServer):
    """Gives the answers of `script` in turn, the last one for ever. Knows one key."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Asked)
        self.key = "one"
        self.script: list[tuple[int, Any]] = [GOOD]
        self.asked: list[str] = []
        self.retry_after: str | None = None  # said with every refusal

    @property
    def place(self) -> Place:
        return Place(f"http://127.0.0.1:{self.server_port}", self.key)


class Asked(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        script = self.server.script
        status, body = script.pop(0) if len(script) > 1 else script[0]
        if self.headers["Authorization"] != f"Bearer {self.server.key}":
            status, body = 401, {"detail": "no"}
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        if status >= 400 and self.server.retry_after is not None:
            self.send_header("Retry-After", self.server.retry_after)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.delenv("TIERLINE_URL", raising=False)
    made = Server()
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setattr(steady, "find", lambda home: made.place)
    yield made
    made.shutdown()
    made.server_close()
    thread.join(10)


class Clock:
    """Time that passes only by waiting."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 0.0
        monkeypatch.setattr(steady.time, "monotonic", lambda: self.now_s)

    def pause(self, pause_s: float) -> None:
        self.now_s += pause_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def opened(clock: Clock, said: list[str] | None = None) -> Steady:
    api = Steady(Path("/home"), (said if said is not None else []).append, clock.pause)
    assert api.get("/first") == {"ok": True}
    return api


def test_a_request_is_repeated_until_it_is_answered_and_both_are_said(
    server: Server, clock: Clock
) -> None:
    said: list[str] = []
    with opened(clock, said) as api:
        server.script = [(503, {"detail": "starting"})] * 8 + [GOOD]
        assert api.get("/x") == {"ok": True}
    assert server.asked.count("/x") == 9
    assert said == ["waiting for the API: starting", "the API answers again"]


def test_the_wait_that_the_api_asks_for_is_kept_within_reason(server: Server, clock: Clock) -> None:
    with opened(clock) as api:
        for asked, waits_s in (("20", 20.0), ("86400", steady.LONGEST_ASKED_S)):
            server.retry_after = asked
            server.script = [(429, {"detail": "too many"}), GOOD]
            began_s = clock.now_s
            assert api.get("/x") == {"ok": True}
            assert clock.now_s - began_s == waits_s


def test_a_full_queue_is_waited_for_however_long_it_takes_and_that_is_said(
    server: Server, clock: Clock
) -> None:
    said: list[str] = []
    server.retry_after = "60"
    with Steady(Path("/home"), said.append, clock.pause) as api:
        server.script = [(429, {"detail": "as many as it may"})] * 40 + [GOOD]
        assert api.get("/x") == {"ok": True}
    assert clock.now_s >= 40 * 60 > 2 * steady.GIVE_UP_S
    assert said == ["waiting for the API: as many as it may", "the API answers again"]


def test_it_gives_up_after_a_bounded_time(server: Server, clock: Clock) -> None:
    with opened(clock) as api:
        server.script = [(503, {"detail": "down"})]
        with pytest.raises(Unavailable, match="down"):
            api.get("/x")
    assert clock.now_s == pytest.approx(steady.GIVE_UP_S, abs=2 * steady.LONGEST_PAUSE_S)


def test_before_the_first_answer_nothing_is_waited_for(server: Server, clock: Clock) -> None:
    server.script = [(503, {"detail": "down"})]
    with Steady(None, lambda text: None, clock.pause) as api, pytest.raises(Unavailable):
        api.get("/x")
    assert (clock.now_s, len(server.asked)) == (0.0, 1)


def test_the_key_of_the_next_up_is_looked_up(server: Server, clock: Clock) -> None:
    with opened(clock) as api:
        server.key = "another"
        assert api.get("/x") == {"ok": True}


def test_a_key_that_stays_refused_ends_it(
    server: Server, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(clock) as api:
        old = server.place
        monkeypatch.setattr(steady, "find", lambda home: old)
        server.key = "another"
        with pytest.raises(Forbidden):
            api.get("/x")
    assert clock.now_s < steady.REFUSED_S + 2 * steady.LONGEST_PAUSE_S


def test_a_key_from_the_environment_is_not_waited_for(
    server: Server, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIERLINE_URL", server.place.url)
    with Steady(None, lambda text: None, clock.pause) as api:
        api.get("/first")
        server.script = [(403, {"detail": "this key may only read"})]
        with pytest.raises(Forbidden, match="only read"):
            api.get("/x")
    assert clock.now_s == 0.0


def test_what_the_api_refuses_is_not_repeated(server: Server, clock: Clock) -> None:
    with opened(clock) as api:
        server.script = [(422, {"detail": "no"})]
        with pytest.raises(InvalidInput):
            api.get("/x")
    assert server.asked.count("/x") == 1


def test_rows_are_read_page_by_page_after_the_last_one(
    server: Server, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steady, "PAGE", 2)
    with opened(clock) as api:
        server.script = [
            (200, b'{"row": 1}\n{"row": 2}\n'),
            (503, {"detail": "busy"}),
            (200, b'{"row": 7}\n'),
        ]
        assert [row["row"] for row in api.rows("b")] == [1, 2, 7]
    assert server.asked[-1] == "/v1/batches/b/output?after=2&limit=2"
