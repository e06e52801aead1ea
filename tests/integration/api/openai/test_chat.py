"""Chat completions with OpenAI's own client."""

import asyncio
import json
from typing import Any

import openai
import psycopg
import pytest
from pydantic import BaseModel, ConfigDict

from tests.support.api.served import Api
from tests.support.database.rows import add_feature, two_tiers
from tests.support.processes.played_worker import played
from tierline.features.parse import parse_feature
from tierline.services.accounts.accounts import create_key

Connection = psycopg.Connection[Any]
LONG = "word " * 200

KINDS = """
feature: kinds
instructions: Name the kind.
input: {type: object, required: [text], properties: {text: {type: string}}}
output: {type: object, required: [kind], additionalProperties: false,
  properties: {kind: {type: string}}}
tiers: [{name: slm, models: ["openai:small"]}]
"""


class Kind(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: str


@pytest.fixture(scope="module")
def feature(api: Api, rows: Connection) -> str:
    add_feature(rows, two_tiers("chatted"))
    add_feature(rows, parse_feature(KINDS))
    return "chatted"


def said(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


def test_a_completion_is_the_checked_answer(
    client: openai.OpenAI, feature: str, worker: list[str]
) -> None:
    raw = client.chat.completions.with_raw_response.create(model=feature, messages=said("hi"))
    completion = raw.parse()
    (choice,) = completion.choices
    assert (choice.finish_reason, choice.message.role) == ("stop", "assistant")
    assert json.loads(choice.message.content or "") == {"text": "hi"}
    assert completion.model == "chatted@1"
    assert completion.usage is not None
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (10, 5)
    assert (completion.metadata or {})["tierline.verdicts"] == "slm=passed"
    assert raw.headers["tierline-job"] == worker[0]
    assert raw.headers["tierline-cost-usd"] == "0.000125"


def test_a_completion_is_parsed_by_the_clients_helper(
    client: openai.OpenAI, feature: str, database_url: str
) -> None:
    with played(database_url, "kinds", lambda _: ("completed", {"kind": "billing"})):
        completion = client.chat.completions.parse(
            model="kinds", messages=said("x"), response_format=Kind
        )
    assert completion.choices[0].message.parsed == Kind(kind="billing")
    with pytest.raises(openai.BadRequestError, match="contradicts the feature") as refused:
        client.chat.completions.parse(model=feature, messages=said("x"), response_format=Kind)
    assert (refused.value.param or "").startswith("response_format")


def test_a_stream_has_the_answer_in_chunks_and_the_usage_if_it_is_asked_for(
    client: openai.OpenAI, feature: str, worker: list[str]
) -> None:
    chunks = list(
        client.chat.completions.create(
            model=feature,
            messages=said(LONG),
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    *answers, last = chunks
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.total_tokens == 15
    assert all(chunk.usage is None for chunk in answers)
    assert answers[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in answers[-2:]] == [None, "stop"]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in answers)
    assert json.loads(text) == {"text": LONG}
    assert len({chunk.id for chunk in chunks}) == 1


def test_a_stream_without_usage_has_none(
    client: openai.OpenAI, feature: str, worker: list[str]
) -> None:
    chunks = list(client.chat.completions.create(model=feature, messages=said("a"), stream=True))
    assert all(chunk.choices and chunk.usage is None for chunk in chunks)


def test_the_clients_own_stream_helper_reads_it(
    client: openai.OpenAI, feature: str, worker: list[str]
) -> None:
    with client.chat.completions.stream(model=feature, messages=said("hello")) as stream:
        completion = stream.get_final_completion()
    assert json.loads(completion.choices[0].message.content or "") == {"text": "hello"}


def test_the_async_client_does_the_same(
    api: Api, key: str, feature: str, worker: list[str]
) -> None:
    async def use() -> tuple[str, str]:
        url = f"{api.url}/openai/v1"
        async with openai.AsyncOpenAI(base_url=url, api_key=key, max_retries=0) as client:
            whole = await client.chat.completions.create(model=feature, messages=said("a"))
            stream = await client.chat.completions.create(
                model=feature, messages=said("a"), stream=True
            )
            text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
        return whole.choices[0].message.content or "", text

    whole, streamed = asyncio.run(use())
    assert json.loads(whole) == json.loads(streamed) == {"text": "a"}


def test_a_failed_check_is_an_error_that_the_client_does_not_repeat(
    api: Api, key: str, feature: str, rows: Connection, database_url: str
) -> None:
    def jobs() -> int:
        row = rows.execute("SELECT count(*) FROM jobs").fetchone()
        assert row is not None
        return int(row[0])

    before = jobs()
    with (
        openai.OpenAI(base_url=f"{api.url}/openai/v1", api_key=key) as client,
        played(database_url, feature, lambda _: ("failed", None)),
    ):
        with pytest.raises(openai.UnprocessableEntityError, match="it is wrong") as failed:
            client.chat.completions.create(model=feature, messages=said("x"))
        assert failed.value.code == "checks_failed"
        with pytest.raises(openai.APIError, match="it is wrong") as streamed:
            list(client.chat.completions.create(model=feature, messages=said("x"), stream=True))
        assert streamed.value.code == "checks_failed"
    assert jobs() == before + 2


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"temperature": 0}, "temperature"),
        ({"n": 2}, "n"),
        ({"max_tokens": 5}, "max_tokens"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": []}, "messages"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(
    client: openai.OpenAI, feature: str, more: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(**{"model": feature, "messages": said("x"), **more})
    assert refused.value.param == param


def test_a_key_that_may_only_submit_is_refused(api: Api, rows: Connection, feature: str) -> None:
    submitter = create_key(rows, "default", ("submit",)).key
    url = f"{api.url}/openai/v1"
    with (
        openai.OpenAI(base_url=url, api_key=submitter, max_retries=0) as client,
        pytest.raises(openai.PermissionDeniedError, match="waiting for the answer"),
    ):
        client.chat.completions.create(model=feature, messages=said("x"))
