"""Streamed responses with OpenAI's own client."""

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

import openai
import psycopg
import pytest

from tests.support.api.served import Api, serving
from tests.support.database.rows import add_feature, two_tiers
from tests.support.processes.played_worker import played

Connection = psycopg.Connection[Any]
LONG = "word " * 200  # of several deltas


@pytest.fixture(scope="module")
def feature(api: Api, rows: Connection) -> str:
    add_feature(rows, two_tiers("streamed"))
    return "streamed"


def escalate(rows: Connection, job_id: UUID) -> None:
    """The job's first tier fails a check, and it waits for the next one."""
    rows.execute(
        "INSERT INTO attempts (job_id, number, claim_token, tier, queue, worker, ended_at,"
        " verdict, reason) VALUES (%s, 1, %s, 'slm', 'slm', 'w', clock_timestamp(), 'schema',"
        " 'no total')",
        (job_id, uuid4()),
    )
    rows.execute(
        "UPDATE jobs SET attempts = 1, started_at = clock_timestamp(), tier = 'frontier',"
        " tier_index = 1, queue = 'deeper-analysis', escalation_reason = 'schema: no total'"
        " WHERE id = %s",
        (job_id,),
    )


def types_of(events: list[Any]) -> list[str]:
    """The types, with repeated ones once."""
    return list(dict.fromkeys(event.type for event in events))


ORDER = [
    "response.created",
    "response.queued",
    "response.in_progress",
    "response.output_item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.completed",
]


def test_the_events_come_in_openais_order_with_the_checked_answer(
    client: openai.OpenAI, feature: str, worker: list[str]
) -> None:
    events = list(client.responses.create(model=feature, input=LONG, stream=True))
    assert types_of(events) == ORDER
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert len(deltas) > 3
    last = events[-1]
    assert last.type == "response.completed"
    assert "".join(deltas) == last.response.output_text
    assert json.loads("".join(deltas)) == {"text": LONG}
    assert (last.response.metadata or {})["tierline.verdicts"] == "slm=passed"
    numbers = [event.sequence_number for event in events]
    assert numbers == sorted(set(numbers))


def test_the_clients_own_stream_helper_reads_them(
    client: openai.OpenAI, feature: str, worker: list[str]
) -> None:
    with client.responses.stream(model=feature, input="hello") as stream:
        response = stream.get_final_response()
    assert json.loads(response.output_text) == {"text": "hello"}
    assert response.status == "completed"


def test_the_async_client_streams_too(api: Api, key: str, feature: str, worker: list[str]) -> None:
    async def use() -> list[Any]:
        url = f"{api.url}/openai/v1"
        async with openai.AsyncOpenAI(base_url=url, api_key=key, max_retries=0) as client:
            stream = await client.responses.create(model=feature, input="a", stream=True)
            return [event async for event in stream]

    assert types_of(asyncio.run(use())) == ORDER


def test_deeper_analysis_is_an_event_of_its_own_that_the_client_passes_on(
    client: openai.OpenAI, feature: str, rows: Connection, database_url: str
) -> None:
    seen: list[Any] = []
    with client.responses.stream(model=feature, input="x", background=True) as stream:
        for event in stream:
            seen.append(event)
            if event.type == "response.queued":
                escalate(rows, UUID(hex=event.response.id.removeprefix("resp_")))
            if event.type == "tierline.deeper_analysis":  # type: ignore[comparison-overlap]
                break
        last_event = seen[-1]
        assert last_event.status_label == "running deeper analysis…"
        assert (last_event.tier, last_event.reason) == ("frontier", "schema: no total")
    response = seen[0].response
    job_id = UUID(hex=response.id.removeprefix("resp_"))
    retrieved = client.responses.retrieve(response.id)
    assert retrieved.status == "in_progress"
    assert (retrieved.metadata or {})["tierline.status_label"] == "running deeper analysis…"
    finish_second(rows, job_id)
    with client.responses.stream(response_id=response.id) as again:
        final = again.get_final_response()
    assert (final.metadata or {})["tierline.escalated"] == "true"
    assert (final.metadata or {})["tierline.verdicts"] == "slm=schema, frontier=passed"


def finish_second(rows: Connection, job_id: UUID) -> None:
    """The second tier's answer passes."""
    rows.execute(
        "INSERT INTO attempts (job_id, number, claim_token, tier, queue, worker, ended_at,"
        " verdict, model) VALUES (%s, 2, %s, 'frontier', 'deeper-analysis', 'w',"
        " clock_timestamp(), 'passed', 'm')",
        (job_id, uuid4()),
    )
    rows.execute(
        "INSERT INTO answers (job_id, attempt, text, output) VALUES (%s, 2, 'x', %s)",
        (job_id, json.dumps({"text": "deep"})),
    )
    rows.execute(
        "UPDATE jobs SET status = 'completed', attempts = 2, completed_at = clock_timestamp(),"
        " model = 'large-1', part = 2, answer_attempt = 2 WHERE id = %s",
        (job_id,),
    )


def test_a_stream_goes_on_after_any_event(
    client: openai.OpenAI, feature: str, worker: list[str]
) -> None:
    events = list(client.responses.create(model=feature, input=LONG, stream=True, background=True))
    first = events[0]
    assert first.type == "response.created"
    for place in (0, 1, 2, 5, len(events) - 2):
        after = events[place].sequence_number
        rest = list(client.responses.retrieve(first.response.id, stream=True, starting_after=after))
        assert [(one.type, one.sequence_number) for one in rest] == [
            (one.type, one.sequence_number) for one in events[place + 1 :]
        ]
    last = events[-1].sequence_number
    assert not list(client.responses.retrieve(first.response.id, stream=True, starting_after=last))


def test_a_stream_that_its_api_ends_goes_on_at_another(
    environment: None,
    client: openai.OpenAI,
    key: str,
    feature: str,
    rows: Connection,
    database_url: str,
) -> None:
    seen: list[Any] = []
    with serving() as url:
        dying = openai.OpenAI(base_url=f"{url}/openai/v1", api_key=key, max_retries=0)
        stream = iter(dying.responses.create(model=feature, input="x", stream=True))
        while not seen or seen[-1].type != "response.queued":
            seen.append(next(stream))
    seen += stream  # its process has stopped, so it ends
    dying.close()
    assert types_of(seen) == ORDER[:2]
    with played(database_url, feature):
        rest = list(
            client.responses.retrieve(
                seen[0].response.id, stream=True, starting_after=seen[-1].sequence_number
            )
        )
    assert types_of(seen + rest) == ORDER
    assert json.loads(rest[-1].response.output_text) == {"text": "x"}


@pytest.mark.parametrize(
    ("verdict", "event", "status", "reason"),
    [
        ("schema", "response.failed", "failed", None),
        ("truncated", "response.incomplete", "incomplete", "max_output_tokens"),
        ("refused", "response.incomplete", "incomplete", "content_filter"),
    ],
)
def test_a_failed_check_ends_the_stream_without_the_answer(
    client: openai.OpenAI,
    rows: Connection,
    feature: str,
    verdict: str,
    event: str,
    status: str,
    reason: str | None,
) -> None:
    def fail(job_id: UUID) -> None:
        rows.execute(
            "UPDATE jobs SET status = 'failed', completed_at = clock_timestamp(), part = 2,"
            " error_code = 'checks_failed', error_message = %s WHERE id = %s",
            (f"{verdict}: it is wrong", job_id),
        )

    events = list(followed(client, feature, fail))
    last = events[-1]
    assert last.type == event
    assert (last.response.status, last.response.output) == (status, [])
    assert last.response.error.message == f"checks_failed: {verdict}: it is wrong"
    details = last.response.incomplete_details
    assert (None if details is None else details.reason) == reason


def test_a_cancelled_response_ends_its_stream(client: openai.OpenAI, feature: str) -> None:
    def cancel(job_id: UUID) -> None:
        client.responses.cancel(f"resp_{job_id.hex}")

    last = list(followed(client, feature, cancel))[-1]
    assert (last.type, last.response.status) == ("response.failed", "cancelled")


def followed(client: openai.OpenAI, feature: str, act: Callable[[UUID], None]) -> Iterator[Any]:
    """The events of a response with which something is done once it is queued."""
    for event in client.responses.create(model=feature, input="x", stream=True):
        yield event
        if event.type == "response.queued":
            act(UUID(hex=event.response.id.removeprefix("resp_")))


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"starting_after": 1}, "starting_after"),
        ({"stream": True, "include": ["reasoning.encrypted_content"]}, "include[]"),
        ({"stream": True, "include_obfuscation": True}, "include_obfuscation"),
    ],
)
def test_what_a_stream_does_not_have_is_refused(
    client: openai.OpenAI, feature: str, query: dict[str, Any], param: str
) -> None:
    made = client.responses.create(model=feature, input="x", background=True)
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.retrieve(made.id, **query)
    assert refused.value.param == param
    client.responses.cancel(made.id)


def test_a_key_that_is_revoked_or_wrong_streams_nothing(api: Api, feature: str) -> None:
    with (
        openai.OpenAI(base_url=f"{api.url}/openai/v1", api_key="no", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError),
    ):
        client.responses.create(model=feature, input="x", stream=True)
