"""The API is killed while OpenAI's client uploads and while it streams. The client tries again, and
nothing is lost, half kept or there twice.
"""

import io
import json
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import openai
import psycopg
import pytest

from tests.support.api.served import Api
from tests.support.database.rows import add_feature, two_tiers
from tests.support.processes.played_batch_reader import reading_batches
from tests.support.processes.played_worker import played
from tests.support.processes.started import process
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.services.files.files import PART_BYTES, remove_expired
from tierline.stack.ports import free_port
from tierline.storage.db.engine import connect

Connection = psycopg.Connection[Any]
NAME = "killed-door"


@pytest.fixture(scope="module")
def feature(api: Api, rows: Connection) -> None:
    add_feature(rows, two_tiers(NAME))


@pytest.fixture
def port(feature: None) -> int:
    """Of an API process that a test starts itself."""
    return free_port()


@contextmanager
def started(port: int) -> Iterator[Callable[[], None]]:
    """An API process that answers. The value kills it and waits for its end."""

    def answers() -> bool:
        assert child.poll() is None, "the API has ended"
        try:
            return httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=1).status_code == 200
        except httpx.HTTPError:
            return False

    with process(["-m", "api", "--port", str(port)], os.environ) as child:
        wait_until(answers, DEADLINE_S, "the API")

        def kill() -> None:
            child.kill()
            child.wait(DEADLINE_S)

        yield kill


def client_of(port: int, key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"http://127.0.0.1:{port}/openai/v1", api_key=key, max_retries=0)


class Stalling(io.BytesIO):
    """A file of which no more than the first part is read before `go` is set."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.go = threading.Event()

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() > PART_BYTES + 100_000:
            self.go.wait(DEADLINE_S)
        return super().read(size)


def parts_of(rows: Connection) -> int:
    row = rows.execute("SELECT count(*) FROM file_parts").fetchone()
    assert row
    return int(row[0])


@pytest.mark.timeout(180)
def test_an_upload_that_was_cut_is_not_there_and_its_repeat_runs_once(
    port: int, key: str, rows: Connection, database_url: str
) -> None:
    line = {"custom_id": "a", "method": "POST", "url": "/v1/responses"}
    line |= {"body": {"model": NAME, "input": "hi"}}
    filler = json.dumps({"custom_id": "b", "method": "POST", "url": "/v1/responses"}).encode()
    padded = filler[:-1] + b" " * 200_000 + b"}\n"
    content = json.dumps(line).encode() + b"\n" + padded * 6
    header = {"Idempotency-Key": "upload-that-is-cut"}
    cut = Stalling(content)
    with started(port) as kill, ThreadPoolExecutor(1) as other, client_of(port, key) as client:
        sent = other.submit(
            client.files.create, file=("in.jsonl", cut), purpose="batch", extra_headers=header
        )
        wait_until(lambda: parts_of(rows) > 0, DEADLINE_S, "the first part")
        kill()
        cut.go.set()
        with pytest.raises(openai.APIConnectionError):
            sent.result(DEADLINE_S)
    with started(port), client_of(port, key) as client:
        assert list(client.files.list()) == []
        rows.execute("UPDATE files SET expires_at = now() WHERE status = 'uploading'")
        with connect(database_url, "test") as connection:
            while remove_expired(connection):
                pass
        assert parts_of(rows) == 0, "what came of it ends as a file does"
        again = client.files.create(
            file=("in.jsonl", content), purpose="batch", extra_headers=header
        )
        assert client.files.content(again.id).read() == content
        assert [file.id for file in client.files.list()] == [again.id]
        batch = client.batches.create(
            input_file_id=again.id, endpoint="/v1/responses", completion_window="24h"
        )
        with reading_batches(database_url), played(database_url, NAME) as ended:
            wait_until(
                lambda: client.batches.retrieve(batch.id).status == "completed",
                DEADLINE_S,
                "the batch",
            )
        assert len(ended) == 1
        output = client.batches.retrieve(batch.id).output_file_id
        assert output
        assert json.loads(client.files.content(output).text)["custom_id"] == "a"


def test_a_stream_that_was_cut_goes_on_after_its_last_event(
    port: int, key: str, rows: Connection, database_url: str
) -> None:
    header = {"Idempotency-Key": "stream-that-is-cut"}
    with started(port) as kill, client_of(port, key) as client:
        events = iter(
            client.responses.create(model=NAME, input="cut", stream=True, extra_headers=header)
        )
        first: Any = next(events)
        assert first.type == "response.created"
        last = next(events).sequence_number
        kill()
        with pytest.raises((openai.APIError, httpx.HTTPError)):
            list(events)
    with (
        started(port),
        client_of(port, key) as client,
        played(database_url, NAME) as ended,
    ):
        rest = list(client.responses.retrieve(first.response.id, stream=True, starting_after=last))
        assert all(event.sequence_number > last for event in rest)
        final: Any = rest[-1]
        assert final.type == "response.completed"
        text = "".join(event.delta for event in rest if event.type == "response.output_text.delta")
        assert json.loads(text) == {"text": "cut"}

        # A client that knows no more than its Idempotency-Key gets the same response.
        again = client.responses.create(model=NAME, input="cut", extra_headers=header)
        assert again.id == first.response.id
        assert again.output_text == text
    assert len(ended) == 1
