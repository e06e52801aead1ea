"""Problems in OpenAI's form."""

import asyncio
import json
from typing import Any

import pytest

from api.http.problems import TITLES, problem
from api.openai.errors import in_openai_form, openai_error
from tierline.base.errors import Problem


def read(slug: str, detail: str = "why", path: str | None = None) -> tuple[int, dict[str, Any]]:
    problems = [] if path is None else [Problem("is wrong", path)]
    response = problem(slug, detail, problems)
    status, body = openai_error(response.status_code, json.loads(response.body))
    return status, body["error"]


@pytest.mark.parametrize("slug", TITLES)
def test_every_problem_has_the_four_fields_and_our_code(slug: str) -> None:
    status, error = read(slug)
    assert error.keys() == {"message", "type", "param", "code"}
    assert (error["code"], error["message"]) == (slug, "why")
    assert status != 422


@pytest.mark.parametrize(
    ("slug", "status", "kind"),
    [
        ("unauthorized", 401, "authentication_error"),
        ("forbidden", 403, "permission_error"),
        ("not-found", 404, "not_found_error"),
        ("unknown-feature", 404, "not_found_error"),
        ("invalid", 400, "invalid_request_error"),
        ("idempotency-key-reused", 400, "invalid_request_error"),
        ("limit-reached", 429, "rate_limit_error"),
        ("budget-spent", 429, "insufficient_quota"),
        ("unavailable", 503, "server_error"),
    ],
)
def test_the_status_and_the_type_are_those_that_clients_know(
    slug: str, status: int, kind: str
) -> None:
    status_read, error = read(slug)
    assert (status_read, error["type"]) == (status, kind)


@pytest.mark.parametrize(
    ("path", "param"),
    [
        ("/input/0/content", "input[0].content"),
        ("/metadata/a", "metadata.a"),
        ("?limit", "limit"),
        ("header Idempotency-Key", None),
        ("", None),
    ],
)
def test_the_param_is_the_first_field_that_is_wrong(path: str, param: str | None) -> None:
    assert read("invalid", path=path)[1]["param"] == param


def test_a_conflict_is_not_repeated_by_clients() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    scope = {"type": "http"}
    asyncio.run(problem("conflict", "it has ended")(scope, receive, in_openai_form(send)))
    start, body = sent
    assert start["status"] == 409
    assert dict(start["headers"])[b"x-should-retry"] == b"false"
    assert dict(start["headers"])[b"content-length"] == b"%d" % len(body["body"])
    assert json.loads(body["body"])["error"]["code"] == "conflict"
