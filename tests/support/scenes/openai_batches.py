"""Batches that OpenAI's own client begins: their lines, and what comes of them."""

import json
from collections.abc import Callable
from typing import Any

import openai

from tests.support.waiting import DEADLINE_S, wait_until

NAME = "batched"


def line(custom_id: object, text: object = "hi", **more: Any) -> dict[str, Any]:
    body = {"model": NAME, "input": text}
    return {"custom_id": custom_id, "method": "POST", "url": "/v1/responses", "body": body, **more}


def chat_line(custom_id: str, text: str) -> dict[str, Any]:
    body = {"model": NAME, "messages": [{"role": "user", "content": text}]}
    return line(custom_id, url="/v1/chat/completions", body=body)


def jsonl(*lines: Any) -> bytes:
    return b"".join(
        (one if isinstance(one, bytes) else json.dumps(one).encode()) + b"\n" for one in lines
    )


def start(
    client: openai.OpenAI, content: bytes, endpoint: Any = "/v1/responses", **more: Any
) -> Any:
    file = client.files.create(file=("in.jsonl", content), purpose="batch")
    return client.batches.create(
        input_file_id=file.id, endpoint=endpoint, completion_window="24h", **more
    )


def ended(client: openai.OpenAI, batch_id: str) -> Any:
    return until(lambda: client.batches.retrieve(batch_id), ("completed", "cancelled"))


def until(ask: Callable[[], Any], statuses: tuple[str, ...]) -> Any:
    def reached() -> Any:
        state = ask()
        return state if state.status in statuses else None

    return wait_until(reached, DEADLINE_S, " or ".join(statuses))


def content(client: openai.OpenAI, file_id: str) -> dict[str, Any]:
    lines = client.files.content(file_id).text.splitlines()
    lines_by_id = {one["custom_id"]: one for one in map(json.loads, lines)}
    assert len(lines_by_id) == len(lines)
    return lines_by_id
