"""POST /v1/jobs has one door: what the document shows is what the front and the router call."""

import asyncio
from types import SimpleNamespace

import pytest
from fastapi.routing import APIRoute
from starlette.types import Message, Receive, Scope, Send

from api.app import create_routes
from api.metrics import Metrics
from api.routes.jobs import submit
from tierline.base.settings import Settings
from tierline.rules.limits import Limits

(ROUTE,) = submit.router.routes
JSON_TYPE = [(b"content-type", b"application/json")]


def test_the_front_calls_the_route_that_is_registered() -> None:
    assert {("POST", "/v1/jobs"): ROUTE} == submit.HOT
    assert isinstance(ROUTE, APIRoute)
    assert ROUTE.endpoint is submit.submit_job


def test_the_document_describes_the_function_that_runs() -> None:
    app = create_routes(Settings(), Metrics())
    told = app.openapi()["paths"]["/v1/jobs"]["post"]
    assert told["description"].startswith("Accepts a job.")
    named = {one["name"].lower() for one in told["parameters"]}
    assert named == {"idempotency-key", "prefer"}


def test_the_router_calls_it_as_the_front_does(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    async def handle(_: submit.SubmitRoute, scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["path"])

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_: Message) -> None:
        return None

    scope = {
        **{"type": "http", "method": "POST", "path": "/v1/jobs", "raw_path": b"/v1/jobs"},
        **{"headers": [], "query_string": b"", "http_version": "1.1", "scheme": "http"},
        **{"server": ("127.0.0.1", 80), "client": ("127.0.0.1", 1), "root_path": ""},
    }
    monkeypatch.setattr(submit.SubmitRoute, "handle", handle)
    asyncio.run(create_routes(Settings(), Metrics())(scope, receive, send))
    assert seen == ["/v1/jobs"]


def test_a_body_that_is_cut_off_takes_no_job_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """What came may be whole JSON: the caller hung up before it said that this is all."""
    messages: list[Message] = [
        {"type": "http.request", "body": b'{"feature": "echo", "input": 1}', "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[Message] = []

    async def receive() -> Message:
        return messages.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    async def authorise(*_: object) -> SimpleNamespace:
        return caller

    async def take_in(*_: object, **__: object) -> None:
        raise AssertionError("a job was taken in")

    caller = SimpleNamespace(account_id=1, account="acme", limits=Limits(), capped=False)
    state = SimpleNamespace(settings=Settings(), submitter=SimpleNamespace(submit=take_in))
    monkeypatch.setattr(submit, "authorise", authorise)
    monkeypatch.setattr(submit, "state_of", lambda _: state)
    scope = {"type": "http", "method": "POST", "path": "/v1/jobs", "headers": JSON_TYPE}
    assert isinstance(ROUTE, submit.SubmitRoute)
    asyncio.run(ROUTE.handle(scope, receive, send))
    assert sent[0]["status"] == 499
