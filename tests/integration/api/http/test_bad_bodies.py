"""Bad input gets a clear answer, and nothing of it is kept."""

import json
from typing import Any

import psycopg
import pytest

from tests.support.api.served import Api

Connection = psycopg.Connection[Any]
JSON_TYPE = {"Content-Type": "application/json"}

DEEP = '{"feature":"echo","input":{"text":' + "[" * 1000 + "]" * 1000 + "}}"


@pytest.fixture(autouse=True)
def _nothing_is_kept(rows: Connection, api: Api) -> Any:
    before = rows.execute("SELECT count(*) FROM jobs").fetchone()
    yield
    assert rows.execute("SELECT count(*) FROM jobs").fetchone() == before


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "empty"),
        (b"{", "not JSON"),
        (b'{"feature":"echo","input":{"text":"\xff"}}', "not UTF-8 at byte 36"),
        (b'{"feature":"echo","input":{"text":"a\\u0000b"}}', "NUL character"),
        (b'{"feature":"echo","input":{"text":"\\ud800"}}', "/input/text"),
        (b'{"feature":"echo","input":{"text":NaN}}', "NaN"),
        (b'{"feature":"echo","input":{"text":1e999}}', "range of a double"),
        (b'{"feature":"echo","input":{"text":"a"},"input":{}}', "twice"),
        (DEEP.encode(), "deeper than 64"),
        (b'{"feature":"echo","input":' + b"[" * 100_000, "deeper than 64"),
        (b'{"feature":"echo","input":{"text":"a"}} {}', "more text"),
    ],
    ids=lambda value: value[:12] if isinstance(value, str) else "body",
)
def test_a_body_that_is_not_strict_json_is_400_and_says_why(
    api: Api, body: bytes, said: str
) -> None:
    response = api.post("/v1/jobs", content=body, headers=JSON_TYPE)
    assert response.status_code == 400
    assert said in response.json()["detail"]
    assert response.json()["type"] == "urn:tierline:problem:malformed-json"


@pytest.mark.parametrize(
    "sent",
    ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1", None],
)
def test_another_content_type_is_415(api: Api, sent: str | None) -> None:
    headers = {} if sent is None else {"Content-Type": sent}
    response = api.post("/v1/jobs", content=b"{}", headers=headers)
    assert response.status_code == 415
    assert response.headers["accept"] == "application/json"


def test_a_body_over_the_limit_is_413(api: Api) -> None:
    body = json.dumps({"feature": "echo", "input": {"text": "x" * 1024 * 1024}})
    response = api.post("/v1/jobs", content=body.encode(), headers=JSON_TYPE)
    assert response.status_code == 413


def test_a_chunked_body_over_the_limit_is_413(api: Api) -> None:
    def chunks() -> Any:
        for _ in range(40):
            yield b" " * 65_536

    response = api.post("/v1/jobs", content=chunks(), headers=JSON_TYPE)
    assert response.status_code == 413


@pytest.mark.parametrize(
    ("body", "paths"),
    [
        ([], [""]),
        ("x", [""]),
        ({}, ["/feature", "/input"]),
        ({"feature": "echo"}, ["/input"]),
        ({"feature": 3, "input": {}}, ["/feature"]),
        ({"feature": "echo", "input": {"text": "a"}, "metdata": 1}, ["/metdata"]),
        ({"feature": "echo", "input": {"text": "a"}, "a/b~c": 1}, ["/a~1b~0c"]),
        ({"feature": "echo", "input": {"text": "a"}, "metadata": []}, ["/metadata"]),
        (
            {"feature": "echo", "input": {"text": "a"}, "metadata": {"a": "x" * 17000}},
            ["/metadata"],
        ),
        ({"feature": "echo", "input": {"text": "a"}, "user": ""}, ["/user"]),
        ({"feature": "echo", "input": {"text": "a"}, "session": "x" * 256}, ["/session"]),
        ({"feature": "echo", "input": {"text": "a"}, "deadline_s": True}, ["/deadline_s"]),
        ({"feature": "echo", "input": {"text": "a"}, "deadline_s": -1}, ["/deadline_s"]),
        ({"feature": "echo", "input": {"text": "a"}, "deadline_s": 1e12}, ["/deadline_s"]),
        ({"feature": "echo", "input": {"text": "a"}, "webhook_url": "ftp://x/"}, ["/webhook_url"]),
        ({"feature": "echo", "input": {"text": "a"}, "webhook_url": 3}, ["/webhook_url"]),
        ({"feature": "echo", "input": {}}, ["/input"]),
        ({"feature": "echo", "input": {"text": 3}}, ["/input/text"]),
        ({"feature": "echo", "input": None}, ["/input"]),
    ],
)
def test_what_does_not_fit_is_422_and_names_each_path(
    api: Api, body: Any, paths: list[str]
) -> None:
    response = api.post("/v1/jobs", json=body)
    assert response.status_code == 422, response.text
    assert [error["path"] for error in response.json()["errors"]] == paths


def test_an_unknown_feature_is_told_with_names_like_it(api: Api) -> None:
    response = api.post("/v1/jobs", json={"feature": "ehco", "input": {}})
    assert response.status_code == 422
    assert response.json()["type"] == "urn:tierline:problem:unknown-feature"
    assert "echo" in response.json()["detail"]


def test_a_problem_never_holds_what_was_sent(api: Api) -> None:
    response = api.post(
        "/v1/jobs", json={"feature": "echo", "input": {"text": ["a secret of somebody"]}}
    )
    assert "secret" not in response.text


def test_an_unknown_path_and_method_are_problems(api: Api) -> None:
    assert api.get("/v2/none").status_code == 404
    assert api.send("DELETE", "/v1/jobs").status_code == 405
    assert api.send("PUT", "/v1/features", content=b"x").status_code == 405


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions", "/v1/responses", "/v1/files", "/chat/completions"]
)
def test_a_path_of_openai_is_told_where_jobs_are_submitted(api: Api, path: str) -> None:
    answer = api.post(path, json={"model": "gpt-5", "messages": []})
    assert answer.status_code == 404
    detail = answer.json()["detail"]
    assert "POST /v1/jobs" in detail
    assert "/openai/v1" in detail
    assert answer.json()["error"]["message"] == detail  # the part that OpenAI's clients show
