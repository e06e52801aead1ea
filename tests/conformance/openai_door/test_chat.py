"""Every chat completion and chunk is one that the official client's own types accept."""

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from api.openai.chat_objects import (
    chunks_before_the_answer,
    chunks_of_the_answer,
    completion_object,
    failure,
)
from tests.support.samples.job_rows import ATTEMPTS, ROWS

COMPLETED = [name for name, row in ROWS.items() if row["status"] == "completed"]
OTHERS = [name for name, row in ROWS.items() if row["completed_at"] and name not in COMPLETED]


@pytest.mark.parametrize("name", COMPLETED)
def test_every_completion_is_one_of_the_clients(name: str) -> None:
    made = completion_object(ROWS[name], ATTEMPTS)
    assert made.keys() <= ChatCompletion.model_fields.keys()
    assert ChatCompletion.model_validate(made).choices[0].message.content is not None


@pytest.mark.parametrize("include_usage", [True, False])
@pytest.mark.parametrize("name", COMPLETED)
def test_every_chunk_is_one_of_the_clients(name: str, include_usage: bool) -> None:
    row = ROWS[name]
    chunks = [
        *chunks_before_the_answer(row, include_usage=include_usage),
        *chunks_of_the_answer(row, include_usage=include_usage),
    ]
    read = [ChatCompletionChunk.model_validate(chunk) for chunk in chunks]
    assert all(chunk.keys() <= ChatCompletionChunk.model_fields.keys() for chunk in chunks)
    whole = completion_object(row, ATTEMPTS)["choices"][0]["message"]["content"]
    texts = [choice.delta.content or "" for chunk in read for choice in chunk.choices]
    assert "".join(texts) == whole


@pytest.mark.parametrize("name", OTHERS)
def test_a_job_without_an_answer_is_an_error(name: str) -> None:
    failed = failure(ROWS[name])
    assert failed is not None
    status, body = failed
    assert status in (409, 422, 502, 504)
    assert body["error"].keys() == {"message", "type", "param", "code"}
    assert all(failure(ROWS[other]) is None for other in COMPLETED)
