"""Who is let in at /openai/v1: every route against every role, and without a key."""

import json
from contextlib import closing
from typing import Any

import httpx
import psycopg
import pytest
from fastapi.routing import APIRoute

from api.app import OPENAI_ROUTERS
from tests.support.api.served import Api
from tests.support.database.rows import end_job
from tierline.services.accounts.accounts import create_key

Connection = psycopg.Connection[Any]
Route = tuple[str, str]
ROOT = "/openai/v1"
ROLES = {
    ("submit",): {"submit"},
    ("read",): {"read"},
    ("submit", "read"): {"submit", "read"},
    ("admin",): {"submit", "read"},
}
CREATE = {"model": "echo", "input": "x", "background": True}
NEEDS: dict[Route, tuple[str, Any]] = {
    ("GET", f"{ROOT}/models"): ("read", None),
    ("GET", f"{ROOT}/models/{{model}}"): ("read", None),
    ("POST", f"{ROOT}/responses"): ("submit", CREATE),
    ("GET", f"{ROOT}/responses/{{response_id}}"): ("read", None),
    ("POST", f"{ROOT}/responses/{{response_id}}/cancel"): ("submit", None),
    ("DELETE", f"{ROOT}/responses/{{response_id}}"): ("submit", None),
    ("GET", f"{ROOT}/responses/{{response_id}}/input_items"): ("read", None),
    ("POST", f"{ROOT}/chat/completions"): ("submit and read", {"model": "echo", "messages": []}),
    ("POST", f"{ROOT}/files"): ("submit", None),
    ("GET", f"{ROOT}/files"): ("read", None),
    ("GET", f"{ROOT}/files/{{file_id}}"): ("read", None),
    ("GET", f"{ROOT}/files/{{file_id}}/content"): ("read", None),
    ("DELETE", f"{ROOT}/files/{{file_id}}"): ("submit", None),
    ("POST", f"{ROOT}/batches"): ("submit", {}),
    ("GET", f"{ROOT}/batches"): ("read", None),
    ("GET", f"{ROOT}/batches/{{batch_id}}"): ("read", None),
    ("POST", f"{ROOT}/batches/{{batch_id}}/cancel"): ("submit", None),
}


def path_of(api: Api, rows: Connection, route: Route) -> str:
    if "{file_id}" in route[1]:
        return route[1].replace("{file_id}", upload(api)["id"])
    if "{batch_id}" in route[1]:
        batch_request = {"input_file_id": upload(api)["id"], "endpoint": "/v1/responses"}
        made = api.http.post(f"{ROOT}/batches", json={**batch_request, "completion_window": "24h"})
        return route[1].replace("{batch_id}", made.json()["id"])
    if "{response_id}" not in route[1]:
        return route[1].replace("{model}", "echo")
    job_id = api.submit()["id"]
    if route[0] == "DELETE":
        end_job(rows, job_id)
    return route[1].replace("{response_id}", f"resp_{job_id.replace('-', '')}")


def upload(api: Api) -> dict[str, Any]:
    body = {"model": "echo", "input": "x"}
    line = {"custom_id": "a", "method": "POST", "url": "/v1/responses", "body": body}
    sent = api.http.post(
        f"{ROOT}/files",
        data={"purpose": "batch"},
        files={"file": ("in.jsonl", json.dumps(line).encode())},
    )
    file: dict[str, Any] = sent.json()
    return file


def ask(api: Api, key: str | None, route: Route, path: str) -> httpx.Response:
    with closing(api.as_(key)) as client:
        return client.http.request(route[0], path, json=NEEDS[route][1])


def test_every_route_has_a_row_and_every_row_a_route() -> None:
    there = {
        (method, route.path)
        for router in OPENAI_ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }
    assert there == set(NEEDS)


@pytest.mark.parametrize("route", NEEDS, ids=" ".join)
def test_no_route_is_open_without_a_good_key(api: Api, rows: Connection, route: Route) -> None:
    path = path_of(api, rows, route)
    for key in (None, "tl_" + "A" * 43, "nothing"):
        answer = ask(api, key, route, path)
        assert answer.status_code == 401, key
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.json()["error"]["code"] == "unauthorized"


@pytest.mark.parametrize("route", NEEDS, ids=" ".join)
def test_each_role_opens_its_own_routes_and_no_other(
    api: Api, rows: Connection, route: Route
) -> None:
    needed = set(NEEDS[route][0].split(" and "))
    for scopes, reached in ROLES.items():
        key = create_key(rows, "default", scopes).key
        answer = ask(api, key, route, path_of(api, rows, route))
        if needed <= reached:
            # The bodies of these are not valid, which is found out behind the door.
            invalid = route[0] == "POST" and route[1].endswith(("completions", "files", "batches"))
            assert answer.status_code in ((400, 415) if invalid else (200,)), (scopes, answer.text)
        else:
            assert answer.status_code == 403, (scopes, answer.text)
            assert answer.json()["error"]["code"] == "forbidden"


def test_an_answer_is_kept_by_no_cache(api: Api, rows: Connection) -> None:
    key = create_key(rows, "default", ("submit", "read")).key
    for route in NEEDS:
        answer = ask(api, key, route, path_of(api, rows, route))
        assert answer.headers["cache-control"] == "no-store"
