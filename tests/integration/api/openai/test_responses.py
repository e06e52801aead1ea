"""Responses with OpenAI's own client, sync and async, in the background and not."""

import asyncio
import json
from typing import Any

import openai
import psycopg
import pytest
from openai.types.responses import Response
from pydantic import BaseModel, ConfigDict

from tests.support.api.served import Api
from tests.support.database.rows import add_feature, two_tiers
from tests.support.processes.played_worker import played
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.features.parse import parse_feature
from tierline.services.accounts.accounts import create_key

Connection = psycopg.Connection[Any]

TRIAGE = """
feature: triage
instructions: Name the kind.
input: {type: object, required: [title, lines],
  properties: {title: {type: string}, lines: {type: integer}}}
output: {type: object, required: [kind], additionalProperties: false,
  properties: {kind: {type: string}}}
tiers: [{name: slm, models: ["openai:small"]}]
"""


class Kind(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: str


@pytest.fixture(scope="module")
def feature(api: Api, rows: Connection) -> str:
    add_feature(rows, two_tiers("echoed"))
    add_feature(rows, parse_feature(TRIAGE))
    return "echoed"


def ended(client: openai.OpenAI, response: Response) -> Response:
    def now() -> Response | None:
        retrieved = client.responses.retrieve(response.id)
        return retrieved if retrieved.status not in ("queued", "in_progress") else None

    return wait_until(now, DEADLINE_S, "the end of the response")


def test_a_response_waits_for_the_checked_answer(
    client: openai.OpenAI, feature: str, worker: list[str]
) -> None:
    response = client.responses.create(
        model=feature, input="hello", metadata={"source": "mail"}, user="u-1"
    )
    assert (response.status, response.background, response.error) == ("completed", False, None)
    assert json.loads(response.output_text) == {"text": "hello"}
    assert response.model == "echoed@1"
    assert response.user == "u-1"
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.total_tokens) == (10, 15)
    metadata = response.metadata or {}
    assert metadata["source"] == "mail"
    assert metadata["tierline.job_id"] in worker
    assert metadata["tierline.tier"] == "slm"
    assert metadata["tierline.escalated"] == "false"
    assert metadata["tierline.verdicts"] == "slm=passed"
    assert metadata["tierline.cost_usd"] == "0.000125"
    assert client.responses.retrieve(response.id).output == response.output


def test_the_facts_are_headers_too(client: openai.OpenAI, feature: str, worker: list[str]) -> None:
    raw = client.responses.with_raw_response.create(model=f"{feature}@1", input="hello")
    assert raw.headers["tierline-tier"] == "slm"
    assert raw.headers["tierline-verdicts"] == "slm=passed"
    assert raw.headers["tierline-cost-usd"] == "0.000125"
    assert raw.headers["tierline-status"] == "completed"
    assert raw.headers["x-request-id"] == raw.headers["request-id"]


def test_a_response_in_the_background_is_polled(
    client: openai.OpenAI, feature: str, database_url: str
) -> None:
    raw = client.responses.with_raw_response.create(model=feature, input="hi", background=True)
    first = raw.parse()
    assert (first.status, first.background, first.output) == ("queued", True, [])
    assert int(raw.headers["retry-after"]) >= 1
    with played(database_url, feature):
        assert json.loads(ended(client, first).output_text) == {"text": "hi"}


def test_the_async_client_does_the_same(api: Api, key: str, feature: str, worker: Any) -> None:
    async def use() -> list[str]:
        url = f"{api.url}/openai/v1"
        async with openai.AsyncOpenAI(base_url=url, api_key=key, max_retries=0) as client:
            responses = await asyncio.gather(
                *(client.responses.create(model=feature, input=str(n)) for n in range(5))
            )
        return [one.output_text for one in responses]

    assert [json.loads(text)["text"] for text in asyncio.run(use())] == list("01234")


def test_messages_with_text_are_joined(
    client: openai.OpenAI, feature: str, worker: list[str]
) -> None:
    response = client.responses.create(
        model=feature,
        input=[
            {"role": "user", "content": "one"},
            {"role": "user", "content": [{"type": "input_text", "text": "two"}]},
        ],
    )
    assert json.loads(response.output_text) == {"text": "one\n\ntwo"}
    (item,) = client.responses.input_items.list(response.id)
    assert item.type == "message"
    assert [part.text for part in item.content if part.type == "input_text"] == ["one\n\ntwo"]


def test_an_input_of_several_fields_is_read_as_json(
    client: openai.OpenAI, feature: str, database_url: str
) -> None:
    with pytest.raises(openai.BadRequestError, match="must be its JSON") as refused:
        client.responses.create(model="triage", input="not JSON")
    assert refused.value.param == "input"
    with pytest.raises(openai.BadRequestError, match="/lines of the feature's input") as refused:
        client.responses.create(model="triage", input='{"title": "a", "lines": "two"}')
    assert refused.value.param == "input"
    with played(database_url, "triage", lambda given: ("completed", {"kind": given["title"]})):
        text = json.dumps({"title": "a", "lines": 2})
        parsed = client.responses.parse(model="triage", input=text, text_format=Kind)
    assert parsed.output_parsed == Kind(kind="a")
    (item,) = client.responses.input_items.list(parsed.id)
    assert item.type == "message"
    assert json.loads(item.content[0].text) == {"title": "a", "lines": 2}  # type: ignore[union-attr]


def test_a_format_that_contradicts_the_feature_is_refused(
    client: openai.OpenAI, feature: str
) -> None:
    with pytest.raises(openai.BadRequestError, match="contradicts the feature") as refused:
        client.responses.parse(model=feature, input="x", text_format=Kind)
    assert (refused.value.param or "").startswith("text.format.schema")


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"temperature": 0.2}, "temperature"),
        ({"instructions": "Be kind."}, "instructions"),
        ({"tools": [{"type": "web_search"}]}, "tools"),
        ({"store": False}, "store"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"max_output_tokens": 20}, "max_output_tokens"),
        ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]},
            "input[0].content[0].type",
        ),
        ({"extra_body": {"invented": 1}}, "invented"),
        ({"metadata": {"tierline.tier": "x"}}, "metadata.tierline.tier"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(
    client: openai.OpenAI, feature: str, more: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(**{"model": feature, "input": "x", **more})
    assert refused.value.param == param
    assert refused.value.code == "invalid"


@pytest.mark.parametrize("model", ["nothing", "echoed@9"])
def test_a_model_that_does_not_exist_is_404(
    client: openai.OpenAI, feature: str, model: str
) -> None:
    with pytest.raises(openai.NotFoundError):
        client.responses.create(model=model, input="x")


def test_the_new_version_is_used_as_soon_as_it_is_applied(
    client: openai.OpenAI, rows: Connection
) -> None:
    add_feature(rows, two_tiers("moving"))
    assert client.responses.create(model="moving", input="x", background=True).model == "moving@1"
    add_feature(rows, two_tiers("moving"), version=2)
    with pytest.raises(openai.NotFoundError, match="moving@2"):
        client.responses.create(model="moving@1", input="x", background=True)
    assert client.responses.create(model="moving@2", input="x", background=True).model == "moving@2"


def test_a_key_stands_for_its_response_when_the_version_is_not_current_any_more(
    client: openai.OpenAI, rows: Connection
) -> None:
    add_feature(rows, two_tiers("pinned"))

    def create(key: str) -> Response:
        headers = {"Idempotency-Key": key}
        return client.responses.create(
            model="pinned@1", input="x", background=True, extra_headers=headers
        )

    first = create("pinned-1")
    add_feature(rows, two_tiers("pinned"), version=2)
    assert create("pinned-1").id == first.id
    with pytest.raises(openai.NotFoundError, match="pinned@2"):
        create("pinned-2")


def test_an_idempotency_key_gives_the_same_response(client: openai.OpenAI, feature: str) -> None:
    same = {"Idempotency-Key": "order-7"}

    def create(text: str) -> Response:
        return client.responses.create(
            model=feature, input=text, background=True, extra_headers=same
        )

    assert create("a").id == create("a").id
    with pytest.raises(openai.BadRequestError) as refused:
        create("b")
    assert refused.value.code == "idempotency-key-reused"


def test_a_failed_check_is_a_failed_response_without_the_answer(
    client: openai.OpenAI, database_url: str, feature: str
) -> None:
    with played(database_url, feature, lambda _: ("failed", None)):
        response = client.responses.create(model=feature, input="x")
    assert (response.status, response.output, response.output_text) == ("failed", [], "")
    assert response.error is not None
    assert response.error.code == "server_error"
    assert response.error.message == "checks_failed: it is wrong"
    assert (response.metadata or {})["tierline.error_code"] == "checks_failed"
    assert (response.metadata or {})["tierline.verdicts"] == "slm=schema"


def test_cancelling_is_idempotent(client: openai.OpenAI, feature: str) -> None:
    made = client.responses.create(model=feature, input="x", background=True)
    assert client.responses.cancel(made.id).status == "cancelled"
    assert client.responses.cancel(made.id).status == "cancelled"
    assert client.responses.retrieve(made.id).status == "cancelled"


def test_a_deleted_response_is_gone(client: openai.OpenAI, feature: str, worker: list[str]) -> None:
    made = client.responses.create(model=feature, input="x")
    client.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError, match="was removed"):
        client.responses.retrieve(made.id)
    client.responses.delete(made.id)


def test_a_response_that_has_not_ended_is_not_deleted(client: openai.OpenAI, feature: str) -> None:
    made = client.responses.create(model=feature, input="x", background=True)
    with pytest.raises(openai.ConflictError, match="cancel it"):
        client.responses.delete(made.id)
    client.responses.cancel(made.id)


@pytest.mark.parametrize("id", ["resp_01975c2e7a107cc08a1f3f2b9c5d0e11", "resp_x", "chatcmpl-1"])
def test_an_unknown_response_is_404(client: openai.OpenAI, id: str) -> None:
    for act in (
        client.responses.retrieve,
        client.responses.cancel,
        client.responses.delete,
        client.responses.input_items.list,
    ):
        with pytest.raises(openai.NotFoundError, match=id):
            act(id)


def test_a_key_that_may_only_submit_sees_no_content(
    api: Api, rows: Connection, feature: str
) -> None:
    submitter = create_key(rows, "default", ("submit",)).key
    url = f"{api.url}/openai/v1"
    with openai.OpenAI(base_url=url, api_key=submitter, max_retries=0) as client:
        made = client.responses.create(
            model=feature, input="x", background=True, metadata={"note": "secret"}
        )
        assert "note" not in (made.metadata or {})
        with pytest.raises(openai.PermissionDeniedError, match="waiting for the answer"):
            client.responses.create(model=feature, input="x")
        with pytest.raises(openai.PermissionDeniedError):
            client.responses.retrieve(made.id)
        assert client.responses.cancel(made.id).status == "cancelled"


def test_another_accounts_response_does_not_exist(
    client: openai.OpenAI, api: Api, rows: Connection, other: Api, feature: str
) -> None:
    made = client.responses.create(model=feature, input="x", background=True)
    stranger_key = create_key(rows, "other", ("submit", "read", "admin")).key
    url = f"{api.url}/openai/v1"
    with openai.OpenAI(base_url=url, api_key=stranger_key, max_retries=0) as stranger:
        for act in (
            stranger.responses.retrieve,
            stranger.responses.cancel,
            stranger.responses.delete,
            stranger.responses.input_items.list,
        ):
            with pytest.raises(openai.NotFoundError, match="there is no response"):
                act(made.id)
    assert client.responses.retrieve(made.id).status == "queued"
