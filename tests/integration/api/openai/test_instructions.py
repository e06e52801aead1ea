"""A system message and a conversation, with OpenAI's own client."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import openai
import psycopg
import pytest

from tests.support.api.served import Api
from tests.support.database.rows import add_feature
from tests.support.processes.played_worker import played
from tierline.features.parse import parse_feature

OWN = "Name the kind of the message."
FILE = """
feature: {name}
instructions: {own}
input:
  type: object
  required: [text]
  properties:
    text: {{type: string}}
    {fields}
output: {{type: object}}
tiers: [{{name: slm, models: ["openai:small"]}}]
{key}
"""
FEATURES = {
    "refusing": ("", ""),
    "ignoring": ("", "openai: {instructions: ignore, conversation: ignore}"),
    "taking": (
        "instructions: {type: string}\n    messages: {type: array}",
        "openai: {instructions: input, conversation: input}",
    ),
}
SYSTEM: list[Any] = [
    {"role": "system", "content": "You are a helpful assistant."},
    {"role": "user", "content": "hi"},
]
TALK: list[Any] = [
    {"role": "user", "content": "one"},
    {"role": "assistant", "content": "1"},
    {"role": "user", "content": "two"},
]


@pytest.fixture(scope="module")
def features(api: Api, rows: psycopg.Connection[Any], database_url: str) -> Iterator[None]:
    with ExitStack() as workers:
        for name, (fields, key) in FEATURES.items():
            text = FILE.format(name=name, own=OWN, fields=fields, key=key)
            add_feature(rows, parse_feature(text))
            workers.enter_context(played(database_url, name))
        yield


def test_the_features_own_instructions_are_accepted_and_change_nothing(
    client: openai.OpenAI, features: None
) -> None:
    response = client.responses.create(model="refusing", input="hi", instructions=OWN)
    assert response.output_text == '{"text": "hi"}'
    assert (response.metadata or {})["tierline.instructions"] == "same"
    completion = client.chat.completions.create(
        model="refusing",
        messages=[{"role": "developer", "content": OWN}, {"role": "user", "content": "hi"}],
    )
    assert completion.choices[0].message.content == '{"text": "hi"}'


def test_other_instructions_are_refused_with_the_setting_that_allows_them(
    client: openai.OpenAI, features: None
) -> None:
    with pytest.raises(openai.BadRequestError, match=r"openai: \{instructions: ignore\}") as no:
        client.chat.completions.create(model="refusing", messages=SYSTEM)
    assert (no.value.param, no.value.code) == ("messages[0].role", "invalid")
    with pytest.raises(openai.BadRequestError, match=r"openai: \{instructions: input\}") as no:
        client.responses.create(model="refusing", input="hi", instructions="Be kind.")
    assert no.value.param == "instructions"
    with pytest.raises(openai.BadRequestError, match=r"openai: \{conversation: ignore\}") as no:
        client.chat.completions.create(model="refusing", messages=TALK)
    assert no.value.param == "messages[1].role"


def test_what_is_left_out_is_said_in_metadata_and_headers_and_stays_known(
    client: openai.OpenAI, features: None
) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model="ignoring", messages=[*SYSTEM[:1], *TALK]
    )
    completion = raw.parse()
    assert completion.choices[0].message.content == '{"text": "two"}'
    assert (completion.metadata or {})["tierline.instructions"] == "ignored"
    assert raw.headers["tierline-instructions"] == "ignored"
    assert raw.headers["tierline-conversation"] == "ignored"
    response = client.responses.create(
        model="ignoring", input="hi", instructions="Be kind.", metadata={"run": "7"}
    )
    later = client.responses.retrieve(response.id)
    assert later.metadata == response.metadata
    assert (later.metadata or {})["tierline.instructions"] == "ignored"
    assert (later.metadata or {})["run"] == "7"


def test_what_becomes_input_is_in_the_fields_for_it_and_in_the_list_of_input_items(
    client: openai.OpenAI, features: None
) -> None:
    first = client.responses.create(model="taking", input="one")
    # The way of OpenAI's documentation: the output is appended to the input.
    talk: Any = [{"role": "user", "content": "one"}, *(one.to_dict() for one in first.output)]
    talk.append({"role": "user", "content": "two"})
    second = client.responses.create(model="taking", input=talk, instructions="Be brief.")
    answered = '{"role": "assistant", "content": "{\\"text\\": \\"one\\"}"}'
    assert second.output_text == (
        '{"text": "two", "instructions": "Be brief.", "messages":'
        f' [{{"role": "user", "content": "one"}}, {answered}]}}'
    )
    assert (second.metadata or {})["tierline.conversation"] == "input"
    items = client.responses.input_items.list(second.id, order="asc").data
    assert [getattr(item, "role", None) for item in items] == [
        *("developer", "user", "assistant", "user"),
    ]
    assert client.responses.input_items.list(second.id).data[0].id == items[-1].id


def test_the_async_client_and_a_stream_say_the_same(api: Api, key: str, features: None) -> None:
    async def use() -> Any:
        url = f"{api.url}/openai/v1"
        async with openai.AsyncOpenAI(base_url=url, api_key=key, max_retries=0) as client:
            stream = await client.responses.create(
                model="ignoring", input="hi", instructions="Be kind.", stream=True
            )
            return [event async for event in stream][-1]

    last = asyncio.run(use())
    assert last.type == "response.completed"
    assert last.response.metadata["tierline.instructions"] == "ignored"
