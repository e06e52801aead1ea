"""The OpenAPI document is right: what it tells of happens, and nothing else does.

Every answer of every test in this folder is held against it by the client; here each operation is
walked for the refusals that it documents.
"""

import graphlib
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

import httpx
import psycopg
import pytest

from tests.support.api.served import Api, serving
from tierline.services.accounts.accounts import create_key

Connection = psycopg.Connection[Any]
Operation = tuple[str, str, dict[str, Any]]
NOBODY = "00000000-0000-7000-8000-000000000000"
BODIES = {"post", "put", "patch"}


@pytest.fixture(scope="module")
def document(api: Api) -> dict[str, Any]:
    """As it is served."""
    served: dict[str, Any] = api.http.get("/openapi.json").json()
    return served


@pytest.fixture(scope="module")
def operations(document: dict[str, Any]) -> list[Operation]:
    return [
        (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def address(path: str, job: str = NOBODY) -> str:
    """The path with every parameter filled by something that does not exist."""
    filled = path
    for name, value in {
        "{key_id}": "999999999",
        "{name}": "nothing-of-the-kind",
        "{number}": "1",
        "{evaluation_id}": "999999999",
        "{calibration_id}": "999999999",
        "{budget_id}": "999999999",
        "{router_id}": "999999999",
        "{search_id}": "999999999",
        "{training_id}": "999999999",
        "{model_id}": "999999999",
        "{version}": "999999999",
    }.items():
        filled = filled.replace(name, value)
    while "{" in filled:
        start, end = filled.index("{"), filled.index("}")
        filled = filled[:start] + job + filled[end + 1 :]
    return filled


def at_once(operation: dict[str, Any]) -> dict[str, Any]:
    """The query that ends an event stream at once."""
    named = {one["name"] for one in operation.get("parameters", [])}
    return {"timeout_s": 0} if "timeout_s" in named else {}


def test_the_document_names_the_product_and_every_route(document: dict[str, Any]) -> None:
    assert document["info"]["title"] == "tierline"
    assert document["info"]["version"]
    assert {
        "/v1/jobs",
        "/v1/jobs/{job_id}",
        "/v1/jobs/{job_id}/cancel",
        "/v1/jobs/{job_id}/attempts",
        "/v1/jobs/{job_id}/feedback",
        "/v1/features",
        "/v1/queues",
        "/v1/usage",
        "/healthz",
        "/readyz",
        "/metrics",
    } <= set(document["paths"])


def test_it_is_what_the_answers_of_all_tests_are_held_against(
    api: Api, document: dict[str, Any]
) -> None:
    assert document == api.document


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    for reference in references(document):
        node: Any = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]


def test_no_component_refers_to_itself(document: dict[str, Any]) -> None:
    """openapi-python-client drops each model that reaches one that does."""
    refers = {
        name: {reference.rpartition("/")[2] for reference in references(schema)}
        for name, schema in document["components"]["schemas"].items()
    }
    graphlib.TopologicalSorter(refers).prepare()  # raises CycleError, which names the cycle


def test_an_object_of_any_content_says_so(document: dict[str, Any]) -> None:
    """openapi-typescript takes one that does not for the type of the empty object."""

    def bare(value: Any, place: str) -> Iterator[str]:
        if isinstance(value, dict):
            kind = value.get("type")
            is_object = kind == "object" or (isinstance(kind, list) and "object" in kind)
            if is_object and not {"properties", "additionalProperties"} & value.keys():
                yield place
            for name, inner in value.items():
                yield from bare(inner, f"{place}/{name}")
        elif isinstance(value, list):
            for inner in value:
                yield from bare(inner, place)

    assert not list(bare(document["components"]["schemas"], ""))


def test_every_refusal_is_documented_as_a_problem(operations: list[Operation]) -> None:
    for method, path, operation in operations:
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                assert list(response["content"]) == ["application/problem+json"], (
                    method,
                    path,
                    status,
                )


def test_every_operation_of_v1_wants_a_key_and_refuses_its_absence(
    api: Api, operations: list[Operation]
) -> None:
    nobody = api.as_(None)
    for method, path, operation in operations:
        if path.startswith("/v1/"):
            assert operation["security"], (method, path)
            response = nobody.send(method.upper(), address(path))
            assert response.status_code == 401, (method, path)


def test_a_key_without_the_scope_is_403_wherever_that_is_documented(
    api: Api, rows: Connection, operations: list[Operation]
) -> None:
    reader = api.as_(create_key(rows, "default", ("read",)).key)
    submitter = api.as_(create_key(rows, "default", ("submit",)).key)
    for method, path, operation in operations:
        if "403" in operation["responses"]:
            answers = {
                client.send(method.upper(), address(path), params=at_once(operation)).status_code
                for client in (reader, submitter)
            }
            assert 403 in answers, (method, path)


def test_what_does_not_exist_is_404_wherever_that_is_documented(
    api: Api, operations: list[Operation]
) -> None:
    bodies = {
        "/v1/accounts/{name}": {"weight": 2},
        "/v1/jobs/{job_id}/feedback": {"correct": True},
        "/v1/accounts/{name}/plan": {"plan": None},
        "/v1/keys": {"account": "nobody"},
        "/v1/features/{name}/label-sample": {"count": 1},
        "/v1/features/{name}/routers": {
            **{"rows": 1, "right_rows": 1, "data_sha256": "0" * 64, "quality": {}},
            "document": {"intercept": 0, "terms": {}},
        },
        "/v1/features/{name}/datasets": {},
        "/v1/features/{name}/evaluations": {},
        "/v1/features/{name}/promotions": {},
        "/v1/features/{name}/trainings": {"kind": "router"},
        "/v1/features/{name}/demote": {"reason": "x"},
        "/v1/features/{name}/micro-models": {
            **{"rows": 1, "right_rows": 1, "data_sha256": "0" * 64, "quality": {}},
            **{"document": {}, "vectors": "UEsDBA=="},
        },
        "/v1/features/{name}/calibrations": {"max_error": 0.03},
        "/v1/features/{name}/calibrations/{calibration_id}/withdraw": {"reason": "x"},
        "/v1/features/{name}/threshold-searches": {"max_error": 0.03},
        "/v1/keys/{key_id}/rotate": {},
    }
    walked = 0
    for method, path, operation in operations:
        mine = path.startswith(("/v1/jobs", "/v1/features", "/v1/keys", "/v1/accounts"))
        if mine and "404" in operation["responses"]:
            more = {"json": bodies[path]} if path in bodies else {}
            response = api.send(method.upper(), address(path), **more)
            assert response.status_code == 404, (method, path, response.text)
            walked += 1
    assert walked >= 8


def test_bodies_of_another_type_form_or_size_are_refused_as_documented(
    api: Api, operations: list[Operation]
) -> None:
    walked = 0
    for method, path, operation in operations:
        documented = operation["responses"]
        if method not in BODIES or "415" not in documented or path.startswith("/v1/batches"):
            continue
        walked += 1
        where = address(path)

        def status(content: bytes, kind: str, method: str = method, where: str = where) -> int:
            headers = {"Content-Type": kind}
            return api.send(method.upper(), where, content=content, headers=headers).status_code

        assert status(b"x", "image/png") == 415, (method, path)
        if "400" in documented:
            assert status(b"\xff", "application/json") == 400, (method, path)
        if "413" in documented:
            most = 8 if path.endswith(("/micro-models", "/datasets", ":batch")) else 1  # MiB
            assert status(b" " * (most * 1_100_000), "application/json") == 413, (method, path)
        if "422" in documented:
            # A list is the body of none of them.
            assert status(b"[]", "application/json") == 422, (method, path)
    assert walked >= 6


def test_everything_but_health_is_503_without_a_migrated_database(
    empty_database_url: str,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    operations: list[Operation],
) -> None:
    from tierline.base.settings import settings

    monkeypatch.setenv("DATABASE_URL", empty_database_url)
    monkeypatch.setenv("REDIS_URL", redis_url)
    settings.cache_clear()
    with serving() as url:
        client = Api(url, "tl_" + "b" * 43)
        for method, path, operation in operations:
            response = client.send(method.upper(), address(path))
            if path == "/healthz":
                assert response.status_code == 200
            else:
                assert "503" in operation["responses"], (method, path)
                assert response.status_code == 503, (method, path)
    settings.cache_clear()


def test_the_page_for_trying_things_loads_nothing_from_elsewhere(api_url: str) -> None:
    page = httpx.get(f"{api_url}/docs").text
    sources = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(sources) >= 3
    for source in sources:
        asset = httpx.get(urljoin(api_url, source))
        assert urljoin(api_url, source).startswith(api_url), source
        assert asset.status_code == 200


def test_a_method_that_a_path_does_not_take_is_told_all_that_it_takes(api: Api) -> None:
    answer = api.send("PUT", "/v1/webhook-endpoints/x")
    assert (answer.status_code, answer.headers["allow"]) == (405, "DELETE, GET, PATCH")
    assert api.send("DELETE", "/v1/jobs").headers["allow"] == "GET, POST"


@pytest.mark.parametrize("value", ["5", "0.5", "yesterday", "2026-13-01"])
def test_a_time_is_a_date_and_not_a_number(api: Api, value: str) -> None:
    assert api.get("/v1/usage", params={"from": value}).status_code == 422
    assert api.post("/v1/keys", json={"expires_at": value}).status_code == 422


@pytest.mark.parametrize(("weight", "status"), [(2.0, 200), (True, 422), ("2", 422), (2.5, 422)])
def test_a_whole_number_is_what_json_schema_calls_one(
    api: Api, weight: object, status: int
) -> None:
    answer = api.send("PATCH", "/v1/accounts/default", json={"weight": weight})
    assert answer.status_code == status
