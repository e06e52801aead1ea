"""The API is killed while clients wait and send rows: each gets its own job, and no job is there
twice.
"""

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg
import pytest

from tests.support.api.served import Api
from tests.support.database.rows import add_feature, two_tiers
from tests.support.processes.played_worker import played
from tests.support.processes.started import process
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.services.accounts.accounts import create_key
from tierline_client import AsyncTierline, Tierline

Connection = psycopg.Connection[Any]
FEATURE = "survives"
MANY = 100  # retries: an API that starts on a busy machine takes a while


class KilledApi:
    """An API process on one port, which is killed and started again."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        self.starts = 0

    def run(self, stop: threading.Event, kills: int) -> None:
        """Serve; `kills` times, kill the process once somebody could have been waiting."""
        while not stop.is_set():
            with process(["-m", "api", "--port", str(self._port)], os.environ) as child:
                wait_until(self._answers, DEADLINE_S, "the API")
                self.starts += 1
                stop.wait(0.7 if self.starts <= kills else 600)
                child.send_signal(signal.SIGKILL)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz", timeout=1).status_code == 200
        except httpx.HTTPError:
            return False


@pytest.fixture
def key(api: Api, rows: Connection) -> str:
    if rows.execute("SELECT FROM features WHERE name = %s", (FEATURE,)).fetchone() is None:
        add_feature(rows, two_tiers(FEATURE))
    return create_key(rows, "default", ("submit", "read")).key


@pytest.fixture
def killed(key: str) -> Iterator[KilledApi]:
    """An API that is killed twice."""
    api, stop = KilledApi(), threading.Event()
    thread = threading.Thread(target=api.run, args=(stop, 2))
    thread.start()
    try:
        wait_until(lambda: api.starts > 0, DEADLINE_S, "the API")
        yield api
    finally:
        stop.set()
        thread.join(DEADLINE_S)


def jobs_of(rows: Connection, run: str) -> list[str]:
    job_rows = rows.execute(
        "SELECT input ->> 'text' FROM job_requests WHERE input ->> 'text' LIKE %s ORDER BY 1",
        (f"{run} %",),
    )
    return [text for (text,) in job_rows.fetchall()]


def test_waits_of_threads_outlive_the_api(
    killed: KilledApi,
    key: str,
    rows: Connection,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tierline_client.batching.PART_ROWS", 2)
    texts = sorted(f"sync {n}" for n in range(6))
    sent = [f"row {n}" for n in range(6)]

    def paced() -> Iterator[dict[str, str]]:
        """Two rows, one part, for each start of the API."""
        for n, text in enumerate(sent):
            wait_until(lambda at=n // 2: killed.starts > at, 90, "the API to be killed")
            yield {"text": text}

    def run() -> list[str]:
        with Tierline(killed.url, key, retries=MANY) as client:
            return [row.output["text"] for row in client.batches.run(FEATURE, paced())]

    with (
        Tierline(killed.url, key, retries=MANY) as client,
        ThreadPoolExecutor(7) as crowd,
    ):
        batch = crowd.submit(run)
        jobs = [client.jobs.submit(FEATURE, {"text": text}) for text in texts]
        waits = [crowd.submit(job.wait, 120) for job in jobs]
        wait_until(lambda: killed.starts == 3, 90, "the API to be killed twice")
        assert not any(wait.done() for wait in waits)
        with played(database_url, FEATURE) as ended:
            found = [wait.result(120) for wait in waits]
            assert batch.result(120) == sent
    assert [job.result()["text"] for job in found] == texts
    assert [job.id for job in found] == [job.id for job in jobs]
    assert len(ended) == len(set(ended)) == len(texts) + len(sent)
    assert jobs_of(rows, "sync") == texts
    assert jobs_of(rows, "row") == sent


def test_submissions_of_a_loop_outlive_the_api_and_are_there_once(
    killed: KilledApi, key: str, rows: Connection, database_url: str
) -> None:
    texts = sorted(f"async {n}" for n in range(100))

    async def run() -> list[str]:
        async with AsyncTierline(killed.url, key, retries=MANY) as client:

            async def ask(text: str) -> str:
                job = await client.jobs.submit_and_wait(FEATURE, {"text": text}, timeout=150)
                return str(job.result()["text"])

            return list(await asyncio.gather(*(ask(text) for text in texts)))

    with ThreadPoolExecutor(1) as other:
        waiting = other.submit(asyncio.run, run())
        wait_until(lambda: killed.starts == 3, 90, "the API to be killed twice")
        with played(database_url, FEATURE) as ended:
            assert waiting.result(150) == texts
    assert len(ended) == len(set(ended)) == len(texts)
    assert jobs_of(rows, "async") == texts
