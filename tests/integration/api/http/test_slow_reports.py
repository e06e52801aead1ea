"""Reports that take long: whom they hold up (nobody else), and what ends them.

They are made slow by a lock on `attempts`, which these reports read and no list of jobs does.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import psycopg
import pytest
from psycopg_pool import ConnectionPool
from starlette.testclient import TestClient

from api.app import create_app
from api.http.cold import COLD_CONNECTIONS, COLD_WAIT_S, REPORT_CONNECTIONS
from tests.support.api.served import Api, serving
from tests.support.database.rows import add_job
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.base.settings import settings
from tierline.services.accounts.accounts import create_account, create_key, make_run_key
from tierline.stack.ports import free_port

Connection = psycopg.Connection[tuple[object, ...]]

USAGE = "/v1/usage?group_by=tier"
AT_ONCE_S = 4.0  # what a list may take on a busy machine: less than a slow report, LOCKED_S
LOCKED_S = 5.0  # what Postgres lets a statement wait for a lock


@contextlib.contextmanager
def locked(database_url: str, table: str) -> Iterator[None]:
    """Nobody reads the table for as long as the block lasts."""
    with psycopg.connect(database_url) as stranger:
        stranger.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield
        stranger.rollback()


def running(rows: Connection, whose: str = "reports") -> int:
    """How many statements of reports, or of other routes (`cold`), run in Postgres."""
    row = rows.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name = %s AND state = 'active'",
        (f"tierline-api-{whose}",),
    ).fetchone()
    assert row is not None
    return int(str(row[0]))


def raw(api: Api, request_line: str, body: bytes = b"") -> socket.socket:
    """A connection on which this was asked for, and nothing read."""
    caller = socket.create_connection(("127.0.0.1", httpx.URL(api.url).port or 80))
    caller.settimeout(30)
    key = api.http.headers["authorization"]
    head = f"{request_line} HTTP/1.1\r\nHost: x\r\nAuthorization: {key}\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    caller.sendall(f"{head}\r\n".encode() + body)
    return caller


@contextlib.contextmanager
def asking(times: int, api: Api, path: str) -> Iterator[list[httpx.Response]]:
    """So many requests at once, each in a thread; all have been answered after the block."""
    answers: list[httpx.Response] = []
    threads = [threading.Thread(target=lambda: answers.append(api.get(path))) for _ in range(times)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        for thread in threads:
            thread.join(DEADLINE_S)


def test_four_reports_of_one_account_do_not_hold_up_anothers_list(
    api: Api, other: Api, rows: Connection, database_url: str
) -> None:
    with locked(database_url, "sums_pending"), asking(4, api, USAGE) as answers:
        wait_until(lambda: running(rows) == 2, DEADLINE_S, "two reports to run")
        until = time.monotonic() + COLD_WAIT_S + 1
        while time.monotonic() < until:
            began = time.monotonic()
            assert other.get("/v1/jobs").status_code == 200
            assert time.monotonic() - began < AT_ONCE_S
        refused = wait_until(lambda: answers[:2], DEADLINE_S, "the others to be refused")
        assert running(rows) == 2
    for answer in refused:
        assert answer.status_code == 429
        assert answer.json()["type"] == "urn:tierline:problem:limit-reached"
        assert "2 reports at once" in answer.json()["detail"]
        assert int(answer.headers["retry-after"]) >= 1


def test_a_report_of_another_account_begins_beside_them(
    api: Api, other: Api, rows: Connection, database_url: str
) -> None:
    with contextlib.ExitStack() as requests, locked(database_url, "sums_pending"):
        requests.enter_context(asking(2, api, USAGE))
        wait_until(lambda: running(rows) == 2, DEADLINE_S, "two reports to run")
        answers = requests.enter_context(asking(1, other, USAGE))
        wait_until(lambda: running(rows) == 3, AT_ONCE_S, "the third report to run")
    assert [answer.status_code for answer in answers] == [200]


def test_metrics_are_read_beside_as_many_reports_as_may_run(
    api: Api,
    other: Api,
    rows: Connection,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Of what is locked, metrics have just been told, and remember it however slow this machine is.
    monkeypatch.setattr("tierline.services.reports.last_hour.EVERY_S", 600.0)
    assert api.as_(None).get("/metrics").status_code == 200
    with contextlib.ExitStack() as requests:
        requests.enter_context(locked(database_url, "sums_pending"))
        requests.enter_context(asking(2, api, USAGE))
        requests.enter_context(asking(2, other, USAGE))
        wait_until(
            lambda: running(rows) == REPORT_CONNECTIONS - 1, DEADLINE_S, "all reports to run"
        )
        assert api.as_(None).get("/metrics").status_code == 200


def test_a_report_whose_caller_has_hung_up_is_gone_from_postgres(
    api: Api, rows: Connection, database_url: str
) -> None:
    with locked(database_url, "sums_pending"):
        caller = raw(api, f"GET {USAGE}")
        wait_until(lambda: running(rows) == 1, DEADLINE_S, "the report to run")
        caller.close()
        wait_until(lambda: running(rows) == 0, LOCKED_S / 2, "its statement to be gone")
    # … and its turn is free, and so is its connection.
    with asking(4, api, USAGE) as answers:
        pass
    assert [answer.status_code for answer in answers] == [200] * 4


def test_a_list_whose_caller_has_hung_up_is_gone_from_postgres(
    api: Api, rows: Connection, database_url: str
) -> None:
    with locked(database_url, "job_requests"):
        caller = raw(api, "GET /v1/jobs")
        wait_until(lambda: running(rows, "cold") == 1, DEADLINE_S, "the list to be read")
        caller.close()
        wait_until(lambda: running(rows, "cold") == 0, LOCKED_S / 2, "its statement to be gone")
    assert api.get("/v1/jobs").status_code == 200


def test_what_is_changed_is_changed_though_its_caller_has_hung_up(
    api: Api, rows: Connection, database_url: str
) -> None:
    job = api.submit()
    with locked(database_url, "job_requests"):
        caller = raw(api, f"POST /v1/jobs/{job['id']}/cancel")
        wait_until(lambda: running(rows, "cold") == 1, DEADLINE_S, "the cancelling to begin")
        caller.close()
        assert running(rows, "cold") == 1
    wait_until(
        lambda: api.get(f"/v1/jobs/{job['id']}").json()["status"] == "cancelled",
        DEADLINE_S,
        "the job to be cancelled",
    )


def test_what_is_made_of_a_history_is_not_made_for_a_caller_who_has_hung_up(
    api: Api, rows: Connection, database_url: str
) -> None:
    with locked(database_url, "outcomes"):
        caller = raw(api, "POST /v1/features/echo/datasets", b"{}")
        wait_until(lambda: running(rows) == 1, DEADLINE_S, "the labels to be read")
        caller.close()
        wait_until(lambda: running(rows) == 0, LOCKED_S / 2, "its statement to be gone")
    assert api.get("/v1/features/echo/datasets").json()["data"] == []


@pytest.fixture
def hasty(environment: None, rows: Connection, database_url: str) -> Iterator[Api]:
    """An API with little time for statements, and an admin's client of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIERLINE_STATEMENT_TIMEOUT_S", "0.3")
        patch.setenv("TIERLINE_REPORT_TIMEOUT_S", "0.6")
        settings.cache_clear()
        with serving() as url:
            client = Api(url, make_run_key(database_url, "hasty"))
            yield client
            client.close()
    settings.cache_clear()


@pytest.mark.usefixtures("api")  # which adds the feature
@pytest.mark.parametrize("path", [USAGE, "/v1/decisions", "/v1/features/echo/report"])
def test_a_report_that_takes_too_long_is_answered_with_what_to_do(
    hasty: Api, rows: Connection, database_url: str, path: str
) -> None:
    with locked(database_url, "attempts"), locked(database_url, "outcomes"):
        answer = hasty.get(path)
        assert answer.status_code == 504, answer.text
        wait_until(lambda: running(rows) == 0, LOCKED_S / 2, "its statement to be gone")
    assert answer.json()["type"] == "urn:tierline:problem:too-slow"
    assert "longer than 0.6 s" in answer.json()["detail"]
    assert "shorter range" in answer.json()["detail"]
    assert hasty.get(path).status_code == 200


def test_a_list_that_takes_too_long_is_answered_with_what_to_do(
    hasty: Api, database_url: str
) -> None:
    with locked(database_url, "job_requests"):
        answer = hasty.get("/v1/jobs")
    assert answer.status_code == 504
    assert "ask for less" in answer.json()["detail"]
    assert hasty.get("/v1/jobs").status_code == 200


def test_slow_lists_of_one_account_leave_a_connection_to_the_others(
    api: Api, other: Api, database_url: str
) -> None:
    with (
        locked(database_url, "webhook_endpoints"),
        asking(2 * COLD_CONNECTIONS, api, "/v1/webhook-endpoints"),
    ):
        until = time.monotonic() + COLD_WAIT_S + 1
        while time.monotonic() < until:
            began = time.monotonic()
            assert other.get("/v1/jobs").status_code == 200
            assert time.monotonic() - began < AT_ONCE_S


def test_who_does_not_read_the_answer_holds_no_connection(
    api: Api, other: Api, rows: Connection
) -> None:
    account = create_account(rows, "slow-reader")
    version = rows.execute("SELECT id FROM feature_versions WHERE name = 'echo'").fetchone()
    assert version is not None
    for _ in range(100):
        add_job(rows, int(account["id"]), int(str(version[0])))
    rows.execute(
        "UPDATE job_requests SET metadata = json_build_object('x', repeat('x', 200000))"
        " WHERE job_id IN (SELECT id FROM jobs WHERE account_id = %s)",
        (account["id"],),
    )
    reader = api.as_(create_key(rows, "slow-reader", ("read",)).key)
    with contextlib.ExitStack() as held:
        for _ in range(2 * COLD_CONNECTIONS):
            caller = held.enter_context(raw(reader, "GET /v1/jobs?limit=100"))
            assert caller.recv(12) == b"HTTP/1.1 200"
        assert other.get("/v1/jobs").status_code == 200
        assert reader.get("/v1/jobs?limit=1").status_code == 200
    reader.close()


def test_each_statement_of_a_cold_connection_has_a_time_limit(api: Api) -> None:
    app = create_app(settings())
    with TestClient(app):
        state = app.app.state.tierline  # type: ignore[attr-defined]
        assert _timeouts(state.cold_pool, COLD_CONNECTIONS) == {"5s"}
        assert _timeouts(state.reports.pool, REPORT_CONNECTIONS) == {"15s"}


def _timeouts(pool: ConnectionPool[Connection], size: int) -> set[str]:
    """What its connections, taken all at once, say of a statement's time."""
    timeouts = set()
    with contextlib.ExitStack() as held:
        for _ in range(size):
            connection = held.enter_context(pool.connection(timeout=30))
            row = connection.execute("SHOW statement_timeout").fetchone()
            assert row is not None
            timeouts.add(str(row[0]))
    return timeouts


def test_a_process_that_stops_does_not_wait_for_its_reports(
    rows: Connection, environment: None, database_url: str
) -> None:
    port = free_port()
    key = make_run_key(database_url, "stopping")
    process = subprocess.Popen(
        [sys.executable, "-m", "api", "--port", str(port)],
        env={**os.environ, "TIERLINE_REPORT_TIMEOUT_S": "300"},
        stderr=subprocess.PIPE,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: _answers(url), DEADLINE_S, "the process to answer")
        with locked(database_url, "sums_pending"), ThreadPoolExecutor(2) as pool:
            api = Api(url, key)
            pending = [pool.submit(api.get, USAGE) for _ in range(2)]
            wait_until(lambda: running(rows) == 2, DEADLINE_S, "two reports to run")
            process.send_signal(signal.SIGTERM)
            answers = [one.result(LOCKED_S / 2) for one in pending]
            wait_until(lambda: running(rows) == 0, LOCKED_S / 2, "their statements to be gone")
            assert process.wait(LOCKED_S) == 0
    finally:
        process.kill()
        process.communicate()
    for answer in answers:
        assert answer.status_code == 503
        assert "stopping" in answer.json()["detail"]
        assert int(answer.headers["retry-after"]) >= 1


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz").status_code == 200
    except httpx.TransportError:
        return False
