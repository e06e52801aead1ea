"""Rows to fine-tune on, held against the types of the vendors' own clients."""

from typing import Any

import pytest
from google.genai import types as google
from mistralai.client import models as mistral
from openai.types.chat import ChatCompletionMessageParam
from pydantic import TypeAdapter

from tests.support.samples.prompts import PROMPT
from tierline.datasets.export import FORMS


def rows(name: str) -> Any:
    return FORMS[name].row(PROMPT, "billing")


@pytest.mark.parametrize("name", ["openai", "together"])
def test_openais_messages_are_those_of_its_client(name: str) -> None:
    messages = rows(name)["messages"]
    read = TypeAdapter(list[ChatCompletionMessageParam]).validate_python(messages)
    assert [one["role"] for one in read] == [one["role"] for one in messages]


def test_trls_turns_are_chat_messages() -> None:
    row = rows("trl")
    TypeAdapter(list[ChatCompletionMessageParam]).validate_python(row["prompt"] + row["completion"])


def test_mistrals_messages_are_those_of_its_client() -> None:
    read: list[Any] = []
    for one in rows("mistral")["messages"]:
        kind = mistral.UserMessage if one["role"] == "user" else mistral.AssistantMessage
        read.append(kind.model_validate(one))
    assert [one.content for one in read][-1] == "billing"


def test_googles_contents_are_those_of_its_client() -> None:
    row = rows("vertex")
    contents = [google.Content.model_validate(one) for one in row["contents"]]
    assert [one.role for one in contents] == ["user", "model", "user", "model"]
    said = google.Content.model_validate(row["systemInstruction"])
    assert said.parts is not None
    assert said.parts[0].text == "Name the kind."
