"""The Python client against a real API, with workers that are played."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg
import pytest
from pydantic import BaseModel

from tests.support.api.served import Api
from tests.support.database.rows import add_feature, two_tiers
from tests.support.processes.played_worker import played
from tests.support.waiting import DEADLINE_S
from tierline.services.accounts.accounts import create_key
from tierline_client import (
    AsyncTierline,
    BatchProgress,
    Conflict,
    Forbidden,
    InvalidInput,
    JobFailed,
    NotFound,
    OutputMismatch,
    Submission,
    Tierline,
    WaitTimeout,
)

Connection = psycopg.Connection[Any]


class Echoed(BaseModel):
    text: str


class Other(BaseModel):
    number: int


@pytest.fixture(scope="module")
def key(api: Api, rows: Connection) -> str:
    return create_key(rows, "default", ("submit", "read")).key


@pytest.fixture
def client(api: Api, key: str) -> Iterator[Tierline]:
    with Tierline(api.url, key) as client:
        yield client


@pytest.fixture(scope="module")
def feature(api: Api, rows: Connection) -> str:
    """A feature whose jobs are echoed."""
    add_feature(rows, two_tiers("echoed"))
    return "echoed"


@pytest.fixture
def worker(database_url: str, feature: str) -> Iterator[list[str]]:
    with played(database_url, feature) as ended:
        yield ended


Run = Callable[[Callable[[AsyncTierline], Awaitable[Any]]], Any]


@pytest.fixture
def run(api: Api, key: str) -> Run:
    """Runs something with an async client."""

    def running(use: Callable[[AsyncTierline], Awaitable[Any]]) -> Any:
        async def body() -> Any:
            async with AsyncTierline(api.url, key) as client:
                return await use(client)

        return asyncio.run(body())

    return running


def test_a_job_is_submitted_and_waited_for(
    client: Tierline, feature: str, worker: list[str]
) -> None:
    job = client.jobs.submit(feature, {"text": "hello"}, metadata={"a": 1}, output_type=Echoed)
    assert (job.status, job.metadata, job.output) == ("queued", {"a": 1}, None)
    ended = job.wait(DEADLINE_S)
    assert ended.result() == Echoed(text="hello")
    assert ended.attempts()[0].verdict == "passed"
    assert ended.feedback(correct=True).correct is True
    assert ended.refresh().output == Echoed(text="hello")


def test_submitting_and_waiting_is_one_call(
    client: Tierline, feature: str, worker: list[str]
) -> None:
    with client.with_raw_response() as raw:
        job = client.jobs.submit_and_wait(feature, Echoed(text="hi"), output_type=Echoed)
    assert job.result() == Echoed(text="hi")
    assert len(raw.all) == 1
    assert worker == [job.id]


def test_the_async_client_does_the_same(run: Run, feature: str, worker: list[str]) -> None:
    async def use(client: AsyncTierline) -> Any:
        job = await client.jobs.submit(feature, {"text": "a"}, output_type=Echoed)
        other = await client.jobs.submit_and_wait(feature, {"text": "b"}, output_type=Echoed)
        return [(await job.wait(DEADLINE_S)).result(), other.result()]

    assert run(use) == [Echoed(text="a"), Echoed(text="b")]


def test_many_jobs_are_submitted_in_one_call(
    client: Tierline, feature: str, worker: list[str]
) -> None:
    jobs = client.jobs.submit_many([Submission(feature, {"text": str(n)}) for n in range(5)])
    assert [job.wait(DEADLINE_S).result()["text"] for job in jobs] == ["0", "1", "2", "3", "4"]


def test_a_job_that_failed_is_an_error_that_has_the_job(
    client: Tierline, database_url: str, feature: str
) -> None:
    with played(database_url, feature, lambda _: ("failed", None)):
        with pytest.raises(JobFailed, match="checks_failed") as failed:
            client.jobs.submit_and_wait(feature, {"text": "x"})
        assert failed.value.code == "checks_failed"
        assert failed.value.job.status == "failed"
        job = client.jobs.submit_and_wait(feature, {"text": "x"}, check=False)
        with pytest.raises(JobFailed):
            job.result()


def test_an_output_of_another_type_is_an_error_that_does_not_quote_it(
    client: Tierline, feature: str, worker: list[str]
) -> None:
    with pytest.raises(OutputMismatch) as wrong:
        client.jobs.submit_and_wait(feature, {"text": "a secret"}, output_type=Other)
    assert wrong.value.problems[0].path == "/number"
    assert "a secret" not in str(wrong.value)


def test_a_wait_ends_in_time_and_the_job_goes_on(client: Tierline, feature: str) -> None:
    job = client.jobs.submit(feature, {"text": "waits"})
    with pytest.raises(WaitTimeout):
        job.wait(0.2)
    assert job.refresh().status == "queued"
    assert job.cancel().status == "cancelled"
    with pytest.raises(JobFailed, match="cancelled"):
        job.wait(DEADLINE_S)
    again = client.jobs.retry(job.id)
    assert again.id != job.id
    again.cancel()


def test_a_refusal_names_the_field_and_the_request(client: Tierline, feature: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        client.jobs.submit(feature, {"text": 7})
    assert refused.value.problems[0].path == "/input/text"
    assert (refused.value.status, refused.value.type) == (422, "invalid")
    assert refused.value.request_id
    with pytest.raises(NotFound) as missing:
        client.jobs.get("00000000-0000-7000-8000-000000000000")
    assert missing.value.type == "not-found"


def test_a_wrong_key_is_refused_whatever_is_asked(api: Api) -> None:
    with Tierline(api.url, "tl_" + "a" * 43) as client:
        for ask in (
            lambda: client.jobs.submit("echo", {"text": "a"}),
            lambda: client.jobs.submit_and_wait("echo", {"text": "a"}),
            lambda: client.jobs.wait("00000000-0000-7000-8000-000000000000"),
            client.features.list,
        ):
            with pytest.raises(Forbidden) as refused:
                ask()
            assert refused.value.status == 401


def test_lists_are_read_page_by_page(client: Tierline, feature: str, run: Run) -> None:
    ids = [job.id for job in client.jobs.submit_many([Submission(feature, {"text": "l"})] * 7)]
    listed = [job.id for job in client.jobs.list(feature=feature, page_size=3)]
    assert listed[:7] == ids[::-1]

    async def use(client: AsyncTierline) -> Any:
        return [job.id async for job in client.jobs.list(feature=feature, page_size=3)]

    assert run(use) == listed
    for id in ids:
        client.jobs.cancel(id)


def test_rows_run_as_a_batch_and_come_back_in_order(
    client: Tierline, feature: str, worker: list[str]
) -> None:
    progress: list[BatchProgress] = []
    rows = [{"input": {"text": str(n)}, "custom_id": f"c-{n}"} for n in range(5)]
    rows.insert(2, {"input": {"text": 7}, "custom_id": "wrong"})
    results = list(client.batches.run(feature, rows, progress=progress.append, output_type=Echoed))
    assert [row.custom_id for row in results] == ["c-0", "c-1", "wrong", "c-2", "c-3", "c-4"]
    assert results[1].output == Echoed(text="1")
    assert results[2].status == "invalid"
    assert results[2].error is not None
    assert (progress[-1].sent, progress[-1].done, progress[-1].sealed) == (6, 6, True)
    batch = client.batches.get(progress[-1].batch_id)
    assert (batch.rows, batch.bad_rows, batch.counts["completed"]) == (6, 1, 5)


def test_a_batch_is_paused_and_resumed(client: Tierline, api: Api, feature: str) -> None:
    batch = api.post("/v1/batches", json={"feature": feature}).json()["id"]
    assert client.batches.pause(batch).paused_at is not None
    assert client.batches.resume(batch).paused_at is None
    client.batches.cancel(batch)
    with pytest.raises(Conflict, match="the batch is cancelled"):
        client.batches.pause(batch)


def test_a_batch_goes_on_where_it_was_left(
    client: Tierline, feature: str, worker: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tierline_client.batching.PART_ROWS", 2)
    inputs = [{"text": str(n)} for n in range(5)]

    def cut() -> Iterator[Any]:
        yield from inputs[:3]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(client.batches.run(feature, cut(), key="left-1"))
    results = client.batches.run(feature, inputs, key="left-1")
    first = [next(results), next(results)]
    rest = list(client.batches.run(feature, inputs, key="left-1", after=first[-1].row))
    assert [row.output["text"] for row in first + rest] == ["0", "1", "2", "3", "4"]
    assert len(worker) == 5


def test_features_and_usage_are_read(client: Tierline, feature: str, run: Run) -> None:
    assert feature in {one.name for one in client.features.list()}
    assert client.features.get(feature).source
    assert client.usage(group_by=["feature"]).data is not None

    async def use(client: AsyncTierline) -> Any:
        return (await client.features.get(feature)).name

    assert run(use) == feature


def test_an_httpx_client_of_ones_own_is_used_and_left_open(
    api: Api, key: str, feature: str
) -> None:
    seen: list[str] = []
    with httpx.Client(event_hooks={"request": [lambda r: seen.append(r.url.path)]}) as own:
        with Tierline(api.url, key, http_client=own) as client:
            client.features.list()
        assert seen == ["/v1/features"]
        assert not own.is_closed


def test_logs_have_no_content_and_no_key(
    client: Tierline, key: str, feature: str, worker: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, logger="tierline_client"):
        client.jobs.submit(feature, {"text": "a secret"}, user="somebody").wait(DEADLINE_S)
        with pytest.raises(InvalidInput):
            client.jobs.submit(feature, {"other": "a secret"})
    log = "\n".join(
        record.getMessage() for record in caplog.records if record.name == "tierline_client"
    )
    assert "POST /v1/jobs: 202" in log
    assert not [word for word in ("a secret", "somebody", key) if word in log]


def test_the_api_sees_which_client_asks(api: Api, key: str) -> None:
    seen: list[str] = []
    hook = {"request": [lambda request: seen.append(request.headers["user-agent"])]}
    with (
        httpx.Client(event_hooks=hook) as own,
        Tierline(api.url, key, http_client=own, app="billing/2.1") as client,
    ):
        client.features.list()
    assert seen[0].startswith("tierline-client/")
    assert seen[0].endswith(" billing/2.1")


def test_a_client_is_shared_by_threads(client: Tierline, feature: str, worker: list[str]) -> None:
    def ask(n: int) -> str:
        return str(client.jobs.submit_and_wait(feature, {"text": str(n)}).result()["text"])

    with ThreadPoolExecutor(16) as crowd:
        assert list(crowd.map(ask, range(48))) == [str(n) for n in range(48)]
    assert threading.active_count() < 100


def test_many_waits_in_one_process_share_their_requests(
    run: Run, feature: str, worker: list[str]
) -> None:
    async def use(client: AsyncTierline) -> Any:
        async def ask(n: int) -> str:
            job = await client.jobs.submit_and_wait(feature, {"text": str(n)}, timeout=60)
            return str(job.result()["text"])

        return await asyncio.gather(*(ask(n) for n in range(300)))

    assert run(use) == [str(n) for n in range(300)]
    assert len(worker) == len(set(worker)) == 300
