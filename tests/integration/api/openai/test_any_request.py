"""Requests to /openai/v1 with any content: each is answered, each refusal in OpenAI's form."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from openai.types.batch_create_params import BatchCreateParams
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming
from pydantic import TypeAdapter

from tests.support.api.served import Api
from tests.support.database.rows import add_feature, two_tiers
from tests.support.processes.played_worker import played
from tests.support.waiting import DEADLINE_S

NAME = "any-request"
NOBODY = "0" * 12 + "70008000" + "0" * 12

text = st.text(max_size=8) | st.sampled_from(["hi", NAME, f"{NAME}@1", "\x00", "\ud800", ""])
scalars = st.none() | st.booleans() | st.integers() | st.floats() | text
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3)
)
roles = st.sampled_from(["user", "system", "developer", "assistant", "tool"]) | values
parts = st.lists(
    st.fixed_dictionaries({"type": st.sampled_from(["input_text", "text"]) | values, "text": text}),
    max_size=2,
)
messages = st.lists(
    st.fixed_dictionaries({"role": roles, "content": text | parts | values}) | values, max_size=3
)
models = st.just(NAME) | values
metadata = st.dictionaries(text, text, max_size=2) | values
common = {
    **{"metadata": metadata, "user": text | values, "stream": st.booleans() | values},
    **{"temperature": values, "tools": values, "store": values, "n": values},
}
responses = st.fixed_dictionaries(
    {"model": models, "input": text | messages | values},
    optional={**common, "background": values, "text": values, "instructions": values},
)
chats = st.fixed_dictionaries(
    {"model": models, "messages": messages | values},
    optional={**common, "stream_options": values, "response_format": values},
)
batches = st.fixed_dictionaries(
    {
        "input_file_id": st.just(f"file-{NOBODY}") | values,
        "endpoint": st.just("/v1/responses") | values,
        "completion_window": st.just("24h") | values,
    },
    optional={"metadata": metadata},
)
bodies = st.one_of(
    responses.map(lambda body: ("responses", body)),
    chats.map(lambda body: ("chat/completions", body)),
    batches.map(lambda body: ("batches", body)),
    st.tuples(st.sampled_from(["responses", "chat/completions", "batches", "files"]), values),
)
ids = st.sampled_from([f"resp_{NOBODY}", f"batch_{NOBODY}", f"file-{NOBODY}", NAME]) | st.text(
    st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8
)
folders = st.sampled_from(["models", "responses", "files", "batches", "chat/completions", "none"])
below = st.sampled_from(["", "/cancel", "/content", "/input_items"])
queries = st.dictionaries(
    st.sampled_from(["after", "limit", "order", "stream", "starting_after", "purpose", "other"]),
    st.sampled_from(["true", "asc", "-1", "1", "99999999999", f"file-{NOBODY}", "batch"])
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
    max_size=2,
)

many = settings(deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def asked(
    api: Api, key: str, rows: psycopg.Connection[Any], database_url: str
) -> Iterator[httpx.Client]:
    """A client of an API whose feature has a worker, so that waits and streams end."""
    add_feature(rows, two_tiers(NAME))
    headers = {"Authorization": f"Bearer {key}"}
    with (
        played(database_url, NAME),
        httpx.Client(
            base_url=f"{api.url}/openai/v1/", headers=headers, timeout=DEADLINE_S, trust_env=False
        ) as client,
    ):
        yield client


def hold_to_the_form(answer: httpx.Response) -> None:
    """Raises AssertionError for a failure of the server, and a refusal that clients cannot read."""
    # A completion whose job ended without an answer is a 502 by the table in docs/openai.md; the
    # worker here answers every job.
    assert answer.status_code < 500, answer.text
    if answer.status_code < 400:
        return
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert list(body) == ["error"]
    error = body["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    assert all(isinstance(error[name], str) for name in ("message", "type", "code"))
    assert error["param"] is None or isinstance(error["param"], str)


@many
@given(request_of=bodies)
def test_any_body_is_answered(asked: httpx.Client, request_of: tuple[str, Any]) -> None:
    path, body = request_of
    content = json.dumps(body).encode()
    hold_to_the_form(
        asked.post(path, content=content, headers={"Content-Type": "application/json"})
    )


@many
@given(
    method=st.sampled_from(["GET", "POST", "DELETE", "PUT"]),
    folder=folders,
    id=ids,
    end=below,
    query=queries,
)
def test_any_path_is_answered(
    asked: httpx.Client, method: str, folder: str, id: str, end: str, query: dict[str, str]
) -> None:
    path = httpx.URL(f"{asked.base_url}{folder}/").copy_with(
        raw_path=f"/openai/v1/{folder}/{quoted(id)}{end}".encode(), query=None
    )
    hold_to_the_form(asked.request(method, path, params=query))


@many
@given(
    content=st.binary(max_size=40),
    kind=st.sampled_from(["application/json", "multipart/form-data", "x"]),
)
def test_any_bytes_are_answered(asked: httpx.Client, content: bytes, kind: str) -> None:
    for path in ("responses", "chat/completions", "batches", "files"):
        hold_to_the_form(asked.post(path, content=content, headers={"Content-Type": kind}))


TYPES: dict[str, Any] = {
    "/responses": ResponseCreateParamsNonStreaming,
    "/chat/completions": CompletionCreateParamsNonStreaming,
    "/batches": BatchCreateParams,
}


def document() -> dict[str, Any]:
    """An OpenAPI document of the three requests with a body. The model is a feature, or none."""
    paths: dict[str, Any] = {}
    kinds: dict[str, Any] = {}
    for path, kind in TYPES.items():
        schema = TypeAdapter(kind).json_schema(ref_template="#/components/schemas/{model}")
        kinds |= schema.pop("$defs", {})
        if "model" in schema["properties"]:
            schema["properties"]["model"] = {"enum": [NAME, f"{NAME}@1", "nobody"]}
        content = {"application/json": {"schema": schema}}
        paths[path] = {
            "post": {
                "requestBody": {"required": True, "content": content},
                "responses": {"200": {"description": "any"}},
            }
        }
    info = {"title": "openai", "version": "1"}
    return {"openapi": "3.1.0", "info": info, "paths": paths, "components": {"schemas": kinds}}


@pytest.mark.nightly  # a minute each; the tests above are its short form
@pytest.mark.parametrize("path", TYPES)
def test_what_the_clients_types_allow_is_answered(asked: httpx.Client, path: str) -> None:
    operation = schemathesis.openapi.from_dict(document())[path]["POST"]

    @settings(
        deadline=None,
        max_examples=100,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(case=operation.as_strategy())
    def run(case: Any) -> None:
        hold_to_the_form(asked.post(path.removeprefix("/"), json=case.body))

    run()


def quoted(id: str) -> str:
    """As a part of a path. A dot alone would be taken out by the client."""
    return "".join(f"%{byte:02X}" for byte in id.encode())
