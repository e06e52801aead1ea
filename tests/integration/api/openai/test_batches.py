"""Batches with OpenAI's own client."""

import asyncio
import io
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import openai
import psycopg
import pytest

from tests.support.api.served import Api
from tests.support.database.rows import add_feature, two_tiers
from tests.support.processes.played_batch_reader import reading_batches
from tests.support.processes.played_worker import played
from tests.support.scenes.openai_batches import (
    NAME,
    chat_line,
    content,
    ended,
    jsonl,
    line,
    start,
)
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.features.parse import parse_feature
from tierline.services.accounts.accounts import create_key
from tierline.services.batches.read_batch_files import read_some
from tierline.storage.db.engine import connect

Connection = psycopg.Connection[Any]


@pytest.fixture(scope="module")
def feature(api: Api, rows: Connection) -> str:
    add_feature(rows, two_tiers(NAME))
    return NAME


@pytest.fixture
def processes(feature: str, database_url: str) -> Iterator[None]:
    """A worker that fails what says so, and a reader of files."""

    def answer(input: Any) -> tuple[str, Any]:
        return ("failed", None) if input.get("text") == "fail" else ("completed", input)

    with reading_batches(database_url), played(database_url, feature, answer):
        yield


def test_a_batch_of_responses_answers_each_line(client: openai.OpenAI, processes: None) -> None:
    lines = [line("a", "one"), line("b", "fail"), line("c", "three")]
    made = start(client, jsonl(*lines), metadata={"run": "7"})
    assert (made.object, made.status, made.model) == ("batch", "validating", f"{NAME}@1")
    batch = ended(client, made.id)
    counts = batch.request_counts
    assert (counts.total, counts.completed, counts.failed) == (3, 2, 1)
    assert (batch.metadata["run"], batch.metadata["tierline.completed_by_tier"]) == ("7", "slm=2")
    assert float(batch.metadata["tierline.cost_usd"]) > 0
    output = content(client, batch.output_file_id)
    assert list(output) == ["a", "c"]
    answered = output["a"]["response"]
    assert (answered["status_code"], output["a"]["error"]) == (200, None)
    assert answered["body"]["output"][0]["content"][0]["text"] == '{"text": "one"}'
    assert answered["body"]["metadata"]["tierline.tier"] == "slm"
    assert answered["body"]["metadata"]["tierline.cost_usd"] == "0.000125"
    failed = content(client, batch.error_file_id)["b"]["response"]
    assert (failed["status_code"], failed["body"]["error"]["code"]) == (422, "checks_failed")
    assert failed["body"]["status"] == "failed"
    assert failed["body"]["metadata"]["tierline.verdicts"] == "slm=schema"
    size = client.files.retrieve(batch.output_file_id).bytes
    assert size == len(client.files.content(batch.output_file_id).read())


def test_a_batch_of_chat_completions_answers_each_line(
    client: openai.OpenAI, processes: None
) -> None:
    endpoint = "/v1/chat/completions"
    made = start(client, jsonl(chat_line("a", "one"), chat_line("b", "fail")), endpoint)
    batch = ended(client, made.id)
    body = content(client, batch.output_file_id)["a"]["response"]["body"]
    assert body["choices"][0]["message"]["content"] == '{"text": "one"}'
    assert body["metadata"]["tierline.tier"] == "slm"
    failed = content(client, batch.error_file_id)["b"]["response"]
    assert failed["body"]["error"]["code"] == "checks_failed"
    assert failed["body"]["metadata"]["tierline.tier"] == "slm"


def test_the_async_client_does_the_same(api: Api, key: str, processes: None) -> None:
    async def use() -> list[str]:
        url = f"{api.url}/openai/v1"
        async with openai.AsyncOpenAI(base_url=url, api_key=key, max_retries=0) as client:
            file = await client.files.create(
                file=io.BytesIO(jsonl(line("a", "one"))), purpose="batch"
            )
            batch = await client.batches.create(
                input_file_id=file.id, endpoint="/v1/responses", completion_window="24h"
            )
            deadline = time.monotonic() + DEADLINE_S
            while batch.status != "completed":
                assert time.monotonic() < deadline
                await asyncio.sleep(0.02)
                batch = await client.batches.retrieve(batch.id)
            assert batch.output_file_id is not None
            content = await client.files.content(batch.output_file_id)
            page = await client.batches.list(limit=1)
            assert page.data[0].id == batch.id
            return content.text.splitlines()

    (only,) = asyncio.run(use())
    assert json.loads(only)["custom_id"] == "a"


def hostile() -> list[tuple[Any, str]]:
    """Lines that are not valid, each with what its error says."""
    return [
        (b"{not json", "JSON"),
        (b"\xff\xfe", "not UTF-8"),
        (b"[1]", "a JSON object"),
        (b'{"custom_id": "nul", "body": "\\u0000"}', ""),
        (b"[" * 5_000, ""),
        (line("good-1"), "an earlier line has the same"),
        (line(None), "/custom_id"),
        (line("x" * 256), "/custom_id"),
        (line("get", method="GET"), "must be POST"),
        (line("url", url="/v1/chat/completions"), "the batch's endpoint"),
        (line("url-2", url="https://api.example.com/v1/responses"), "the batch's endpoint"),
        (line("no-body", body=None), "must be a request"),
        (line("more", priority=1), "/priority: is not a field"),
        (line("model", body={"model": "another", "input": "x"}), "the batch's model is batched@1"),
        (line("version", body={"model": f"{NAME}@9", "input": "x"}), "batched@1"),
        (line("stream", body={"model": NAME, "input": "x", "stream": True}), "not streamed"),
        (line("unknown", body={"model": NAME, "input": "x", "seed": 1}), "/body/seed"),
        (line("system", body={"model": NAME, "input": "x", "instructions": "y"}),
         "openai: {instructions: ignore}"),
        (line("large", "x" * (1024 * 1024 + 1)), "too long"),
    ]  # fmt: skip


def test_a_line_that_is_not_valid_stops_no_other(
    client: openai.OpenAI, rows: Connection, processes: None
) -> None:
    wrong = hostile()
    lines = [line("good-1"), b"", b"   ", *(one for one, _ in wrong), line("good-2")]
    batch = ended(client, start(client, jsonl(*lines)).id)
    counts = batch.request_counts
    assert (counts.total, counts.completed, counts.failed) == (len(wrong) + 2, 2, len(wrong))
    assert list(content(client, batch.output_file_id)) == ["good-1", "good-2"]
    text = client.files.content(batch.error_file_id).text
    errors = [json.loads(one)["error"] for one in text.splitlines()]
    assert [one["line"] for one in errors] == list(range(4, len(wrong) + 4))
    for error, (_, says) in zip(errors, wrong, strict=True):
        assert error["code"] == "invalid_line"
        assert says in error["message"], error


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([b"{"], "with a model"),
        ([line("a", body={"model": "unheard-of", "input": "x"})], "there is no feature"),
        ([line("a", body={"model": f"{NAME}@7", "input": "x"})], "there is no model"),
        ([line(str(at)) for at in range(3)], "has 3 lines; a batch has at most 2"),
    ],
)
def test_a_file_that_cannot_be_a_batch_is_refused_at_once(
    client: openai.OpenAI,
    feature: str,
    monkeypatch: pytest.MonkeyPatch,
    lines: list[Any],
    says: str,
) -> None:
    monkeypatch.setattr("tierline.services.batches.batch_files.MOST_LINES", 2)
    with pytest.raises(openai.APIStatusError, match=says) as refused:
        start(client, jsonl(*lines))
    assert refused.value.status_code in (400, 404)


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"endpoint": "/v1/embeddings"}, "endpoint"),
        ({"completion_window": "1h"}, "completion_window"),
        ({"metadata": {"tierline.x": "y"}}, "metadata.tierline.x"),
        ({"output_expires_after": {"anchor": "created_at", "seconds": 3600}},
         "output_expires_after"),
        ({"extra_body": {"priority": 1}}, "priority"),
    ],
)  # fmt: skip
def test_what_is_not_supported_is_refused_by_name(
    client: openai.OpenAI, feature: str, more: dict[str, Any], param: str
) -> None:
    file = client.files.create(file=("in.jsonl", jsonl(line("a"))), purpose="batch")
    batch_request = {"endpoint": "/v1/responses", "completion_window": "24h", **more}
    with pytest.raises(openai.BadRequestError) as refused:
        client.batches.create(input_file_id=file.id, **batch_request)
    assert refused.value.param == param


def test_a_cancelled_batch_reads_no_more_and_keeps_its_answers(
    client: openai.OpenAI, feature: str, database_url: str
) -> None:
    made = start(client, jsonl(*(line(str(at)) for at in range(5))))
    cancelled = client.batches.cancel(made.id)
    assert cancelled.status in ("cancelling", "cancelled")
    assert cancelled.cancelling_at is not None
    assert client.batches.cancel(made.id).cancelling_at == cancelled.cancelling_at
    with reading_batches(database_url):
        batch = ended(client, made.id)
    assert batch.status == "cancelled"
    assert (batch.output_file_id, batch.error_file_id) == (None, None)
    client.files.delete(made.input_file_id)


def test_a_completed_batch_cannot_be_cancelled(client: openai.OpenAI, processes: None) -> None:
    batch = ended(client, start(client, jsonl(line("a"))).id)
    with pytest.raises(openai.ConflictError):
        client.batches.cancel(batch.id)


def test_counting_a_files_bytes_waits_for_the_turn_of_a_report(
    client: openai.OpenAI, processes: None, database_url: str
) -> None:
    file = ended(client, start(client, jsonl(line("a"))).id).output_file_id
    once = client.with_options(max_retries=0)
    with psycopg.connect(database_url) as stranger, ThreadPoolExecutor(3) as pool:
        stranger.execute("LOCK TABLE answers IN ACCESS EXCLUSIVE MODE")
        requests = [pool.submit(once.files.retrieve, file) for _ in range(3)]
        refused = wait_until(
            lambda: next((one for one in requests if one.done()), None), DEADLINE_S, "a refusal"
        )
        stranger.rollback()
    error = refused.exception()
    assert isinstance(error, openai.RateLimitError)
    assert "reports at once" in error.message
    assert client.files.retrieve(file).bytes > 0


def test_an_idempotency_key_stands_for_one_batch(client: openai.OpenAI, feature: str) -> None:
    file = client.files.create(file=("in.jsonl", jsonl(line("a"))), purpose="batch")
    batch_request: dict[str, Any] = {
        "input_file_id": file.id,
        "endpoint": "/v1/responses",
        "completion_window": "24h",
        "extra_headers": {"Idempotency-Key": f"batch-{time.monotonic_ns()}"},
    }
    first = client.batches.create(**batch_request)
    again = client.batches.with_raw_response.create(**batch_request)
    assert again.parse().id == first.id
    assert again.headers["idempotent-replayed"] == "true"
    with pytest.raises(openai.BadRequestError, match="another payload"):
        client.batches.create(**{**batch_request, "metadata": {"run": "8"}})
    client.batches.cancel(first.id)


def test_a_list_has_pages(client: openai.OpenAI, feature: str) -> None:
    ids = [start(client, jsonl(line("a"))).id for _ in range(3)]
    page = client.batches.list(limit=2)
    assert [one.id for one in page.data] == ids[:0:-1]
    assert page.has_more
    assert [one.id for one in client.batches.list(limit=2)][:3] == ids[::-1]
    for id in ids:
        client.batches.cancel(id)


@pytest.fixture(scope="module")
def short_lived(api: Api, rows: Connection) -> bytes:
    """A file for a feature that keeps inputs for half a day."""
    text = """
feature: short-lived
instructions: Echo.
input: {type: object, properties: {text: {type: string}}}
output: {type: object}
retention: {inputs_days: 0.5}
tiers: [{name: slm, models: ["openai:small"]}]
"""
    add_feature(rows, parse_feature(text))
    return jsonl(line("a", body={"model": "short-lived", "input": "x"}))


def kept_s(client: openai.OpenAI, file_id: str) -> int:
    """How long the file is kept."""
    file = client.files.retrieve(file_id)
    assert file.expires_at is not None
    return file.expires_at - file.created_at


def test_a_file_stays_while_it_is_read_and_then_no_longer_than_its_inputs(
    client: openai.OpenAI, short_lived: bytes, database_url: str
) -> None:
    made = start(client, short_lived)
    with pytest.raises(openai.ConflictError, match="still read"):
        client.files.delete(made.input_file_id)
    with reading_batches(database_url), played(database_url, "short-lived"):
        ended(client, made.id)
    assert kept_s(client, made.input_file_id) <= 0.5 * 86_400 + 120
    assert client.files.delete(made.input_file_id).deleted


@pytest.mark.parametrize("by", ["openai", "rest"])
def test_the_file_of_a_cancelled_batch_is_kept_no_longer_than_its_inputs_either(
    client: openai.OpenAI, rows: Connection, short_lived: bytes, database_url: str, by: str
) -> None:
    made = start(client, short_lived)
    assert kept_s(client, made.input_file_id) > 86_400
    if by == "openai":
        client.batches.cancel(made.id)
    else:
        id = made.metadata["tierline.batch_id"]
        rows.execute("UPDATE batches SET status = 'cancelled' WHERE id = %s", (id,))
        with connect(database_url, "test") as connection:
            assert read_some(connection, UUID(id)) == 0
    assert kept_s(client, made.input_file_id) <= 0.5 * 86_400 + 120


def test_deleting_the_files_of_a_batch_removes_its_content(
    client: openai.OpenAI, rows: Connection, processes: None
) -> None:
    made = start(client, jsonl(line("a", "secret one"), line("b", "fail")))
    batch = ended(client, made.id)
    id = batch.metadata["tierline.batch_id"]
    kept = "SELECT count(*) FROM jobs WHERE batch_id = %s AND input_removed_at IS NULL"
    client.files.delete(batch.output_file_id)
    with pytest.raises(openai.NotFoundError, match="was deleted"):
        client.files.content(batch.output_file_id)
    assert rows.execute(kept, (id,)).fetchone() == (2,)
    assert client.files.content(batch.error_file_id).text
    client.files.delete(batch.error_file_id)
    assert rows.execute(kept, (id,)).fetchone() == (0,)
    after = client.batches.retrieve(made.id)
    assert (after.output_file_id, after.error_file_id) == (None, None)


def test_a_key_that_may_only_submit_creates_and_does_not_read(
    api: Api, client: openai.OpenAI, rows: Connection, feature: str
) -> None:
    submitter = create_key(rows, "default", ("submit",)).key
    url = f"{api.url}/openai/v1"
    with openai.OpenAI(base_url=url, api_key=submitter, max_retries=0) as sends:
        made = start(sends, jsonl(line("a")), metadata={"who": "Zoë"})
        assert "who" not in (made.metadata or {})
        with pytest.raises(openai.PermissionDeniedError):
            sends.batches.retrieve(made.id)
        with pytest.raises(openai.PermissionDeniedError):
            sends.files.content(made.input_file_id)
    client.batches.cancel(made.id)


# In the manner of OpenAI's documentation of batches, with the model's name changed.
SAMPLE = """
from openai import OpenAI

client = OpenAI()
batch_input_file = client.files.create(file=open("batchinput.jsonl", "rb"), purpose="batch")
batch_input_file_id = batch_input_file.id
batch = client.batches.create(
    input_file_id=batch_input_file_id,
    endpoint="/v1/chat/completions",
    completion_window="24h",
    metadata={"description": "nightly eval job"},
)
import time

while batch.status not in ("completed", "failed", "expired", "cancelled"):
    time.sleep(0.02)
    batch = client.batches.retrieve(batch.id)
file_response = client.files.content(batch.output_file_id)
print(file_response.text)
"""


def test_a_sample_of_the_documentation_runs_as_it_is(
    api: Api,
    key: str,
    processes: None,
    tmp_path: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_BASE_URL", f"{api.url}/openai/v1")
    monkeypatch.setenv("OPENAI_API_KEY", key)
    (tmp_path / "batchinput.jsonl").write_bytes(
        jsonl(*(chat_line(f"request-{at}", "Hello world!") for at in (1, 2)))
    )
    exec(compile(SAMPLE, "sample", "exec"), {"__name__": "__main__"})
    lines = [json.loads(one) for one in capsys.readouterr().out.splitlines() if one]
    assert [one["custom_id"] for one in lines] == ["request-1", "request-2"]
