"""The hot routes have one door: what the document shows is what the front and the router call."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Header, Path, Query, Response
from pydantic import SecretStr
from starlette.types import Message, Receive, Scope, Send

from api.access.auth import Read
from api.app import ROUTES, create_app, create_routes
from api.health.metrics import Metrics
from api.http import hot_routes
from api.http.hot_routes import HotRoute, HotRoutes
from api.routes.jobs import read, submit
from tierline.base.settings import Settings
from tierline.rules.limits import Limits

DATABASE = "postgresql://nobody@127.0.0.1:1/none"
(SUBMIT,) = submit.router.routes
(READ,) = read.router.routes
assert isinstance(SUBMIT, HotRoute)
assert isinstance(READ, HotRoute)
JOB = "01900000-0000-7000-8000-000000000001"  # the same in each process that collects tests


def scope_of(method: str, path: str, headers: Iterable[tuple[bytes, bytes]] = ()) -> Scope:
    return {
        **{"type": "http", "method": method, "path": path, "raw_path": path.encode()},
        **{"headers": list(headers), "query_string": b"", "http_version": "1.1"},
        **{"server": ("127.0.0.1", 80), "client": ("127.0.0.1", 1), "root_path": ""},
        **{"scheme": "http"},
    }


async def no_body() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def nowhere(_: Message) -> None:
    return None


@dataclass
class Asked:
    """In the place of a caller: what `authorise` was asked."""

    authorization: str | None
    needs: str


def routes(*endpoints: Any, path: str = "/things/{thing_id}") -> APIRouter:
    router = APIRouter(route_class=HotRoute)
    for endpoint in endpoints:
        router.get(path)(endpoint)
    return router


def answered(router: APIRouter, scope: Scope, monkeypatch: pytest.MonkeyPatch) -> list[Message]:
    """What a hot route sends for a request of a caller that may do everything."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def authorise(_: object, __: Scope, authorization: str | None, needs: str) -> object:
        return Asked(authorization, needs)

    monkeypatch.setattr(hot_routes, "authorise", authorise)
    monkeypatch.setattr(hot_routes, "state_of", lambda _: SimpleNamespace())
    route = HotRoutes(router.routes).find(scope)
    assert route is not None
    asyncio.run(route.handle(scope, no_body, send))
    return sent


@pytest.mark.parametrize(
    ("method", "path", "route"),
    [
        ("POST", "/v1/jobs", SUBMIT),
        ("GET", f"/v1/jobs/{JOB}", READ),
        ("GET", "/v1/jobs/not-an-id", READ),
        ("GET", "/v1/jobs", None),
        ("GET", "/v1/jobs/", None),
        ("POST", "/v1/jobs/", None),
        ("HEAD", f"/v1/jobs/{JOB}", None),
        ("POST", f"/v1/jobs/{JOB}", None),
        ("GET", f"/v1/jobs/{JOB}/attempts", None),
        ("GET", "/", None),
    ],
)
def test_the_front_passes_a_request_to_the_route_that_is_registered(
    method: str, path: str, route: HotRoute | None
) -> None:
    hot = HotRoutes(one for module in ROUTES for one in module.router.routes)
    scope = scope_of(method, path)
    assert hot.find(scope) is route
    if route is READ:
        assert scope["path_params"] == {"job_id": path.rpartition("/")[2]}


@pytest.mark.parametrize(
    ("method", "path", "route"),
    [("POST", "/v1/jobs", SUBMIT), ("GET", f"/v1/jobs/{JOB}", READ)],
)
def test_the_front_and_the_router_call_the_same_route(
    monkeypatch: pytest.MonkeyPatch, method: str, path: str, route: HotRoute
) -> None:
    seen: list[tuple[str, object]] = []

    async def handle(called: HotRoute, scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((scope["path"], called.endpoint))

    monkeypatch.setattr(HotRoute, "handle", handle)
    config = Settings(database_url=SecretStr(DATABASE))
    headers = [(b"host", b"api")]
    asyncio.run(create_app(config)(scope_of(method, path, headers), no_body, nowhere))
    router = create_routes(config, Metrics())
    asyncio.run(router(scope_of(method, path, headers), no_body, nowhere))
    assert seen == [(path, route.endpoint)] * 2


def test_the_document_describes_the_functions_that_run() -> None:
    paths = create_routes(Settings(), Metrics()).openapi()["paths"]
    submitted, shown = paths["/v1/jobs"]["post"], paths["/v1/jobs/{job_id}"]["get"]
    assert submitted["description"].startswith("Accepts a job.")
    assert shown["description"].startswith("The job's state now.")
    names = [{one["name"].lower() for one in each["parameters"]} for each in (submitted, shown)]
    assert names == [{"idempotency-key", "prefer"}, {"job_id", "if-none-match", "prefer"}]


def test_an_endpoint_gets_its_caller_the_last_part_of_the_path_and_its_headers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def show(
        thing_id: Annotated[str, Path()],
        caller: Read,
        if_none_match: Annotated[str | None, Header()] = None,
        prefer: Annotated[str | None, Header()] = None,
    ) -> Response:
        return Response(f"{thing_id} {caller} {if_none_match} {prefer}")

    headers = [(b"authorization", b"Bearer k"), (b"if-none-match", b'"a"'), (b"x-other", b"1")]
    sent = answered(routes(show), scope_of("GET", "/things/7", headers), monkeypatch)
    assert sent[1]["body"] == f'7 {Asked("Bearer k", "read")} "a" None'.encode()


def test_a_header_that_is_sent_twice_is_one_list(monkeypatch: pytest.MonkeyPatch) -> None:
    async def show(
        thing_id: Annotated[str, Path()],
        caller: Read,
        if_none_match: Annotated[str | None, Header()] = None,
    ) -> Response:
        return Response(f"{thing_id} {caller} {if_none_match}")

    headers = [
        *[(b"if-none-match", b'"a"'), (b"if-none-match", b'"b"')],
        *[(b"authorization", b"Bearer x"), (b"authorization", b"Bearer y")],
    ]
    sent = answered(routes(show), scope_of("GET", "/things/7", headers), monkeypatch)
    assert sent[1]["body"] == f'7 {Asked("Bearer x, Bearer y", "read")} "a", "b"'.encode()


def test_an_endpoint_whose_parameter_cannot_be_passed_is_refused_at_import() -> None:
    async def search(caller: Read, text: Annotated[str, Query()]) -> Response:
        raise AssertionError

    with pytest.raises(TypeError, match="search: a hot route cannot pass 'text'"):
        routes(search, path="/things")


def test_an_endpoint_without_a_caller_is_refused_at_import() -> None:
    async def show(thing_id: Annotated[str, Path()]) -> Response:
        raise AssertionError

    with pytest.raises(TypeError, match="show: a hot route needs a caller"):
        routes(show)


def test_a_parameter_that_is_not_the_last_part_of_the_path_is_refused() -> None:
    async def show(thing_id: Annotated[str, Path()], caller: Read) -> Response:
        raise AssertionError

    with pytest.raises(TypeError, match="the last"):
        HotRoutes(routes(show, path="/things/{thing_id}/parts").routes)


def test_a_body_that_is_cut_off_submits_no_job(monkeypatch: pytest.MonkeyPatch) -> None:
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
        return SimpleNamespace(account_id=1, account="acme", limits=Limits(), capped=False)

    async def submitted(*_: object, **__: object) -> None:
        raise AssertionError("a job was submitted")

    state = SimpleNamespace(settings=Settings(), submitter=SimpleNamespace(submit=submitted))
    monkeypatch.setattr(hot_routes, "authorise", authorise)
    monkeypatch.setattr(hot_routes, "state_of", lambda _: state)
    scope = scope_of("POST", "/v1/jobs", [(b"content-type", b"application/json")])
    assert isinstance(SUBMIT, HotRoute)
    asyncio.run(SUBMIT.handle(scope, receive, send))
    assert sent[0]["status"] == 499
