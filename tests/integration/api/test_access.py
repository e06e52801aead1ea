"""Who is let in where: every route against every key that must not open it.

A route of the OpenAPI document without a row here fails, and so does a row without a route.
"""

import importlib
import itertools
import pkgutil
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from starlette.routing import Route

import api.routes
from api.app import ROUTES, create_routes
from api.metrics import Metrics
from tests.integration.api.test_jobs import end
from tests.support.api import Api
from tests.support.rows import (
    add_calibration,
    add_dataset,
    add_evaluation,
    add_micro_model,
    add_router,
)
from tests.support.waiting import wait_until
from tierline.base.settings import settings
from tierline.services.accounts.accounts import create_key, revoke_key

Connection = psycopg.Connection[Any]
Scopes = tuple[str, ...]


class Whose(Enum):
    """What another account's good key meets."""

    ONE = "404, as for what does not exist, and nothing changes"
    LIST = "a list without what is not its own"
    OWN = "something of its own, which the first account does not see"
    KEY = "404 as well, unless it is an operator's, who looks after every account's keys"
    BY_ROLE = "its own account's; an operator's every account's"
    ALL = "the same for every account: features, queues, and what is the operator's"
    PUBLIC = "no key is asked for"


@dataclass(frozen=True)
class Row:
    """One route. `opens`: the scopes that are enough together, and no fewer are."""

    whose: Whose
    opens: Scopes = ()
    body: Any = None
    content: bytes | None = None  # in place of a JSON body
    kind: str = "application/json"
    query: dict[str, str] = field(default_factory=dict)

    def request(self) -> dict[str, Any]:
        found: dict[str, Any] = {"params": self.query}
        if self.content is not None:
            return {**found, "content": self.content, "headers": {"Content-Type": self.kind}}
        return found if self.body is None else {**found, "json": self.body}


READ, SUBMIT, ADMIN, OPERATOR = ("read",), ("submit",), ("admin",), ("operator",)
MANAGE = ("submit", "read")
JOB = {"feature": "echo", "input": {"text": "whose?"}}
ENDPOINT = {"url": "https://hooks.example.com/x"}
PART = b'{"input": {"text": "a row"}}\n'
NDJSON = "application/x-ndjson"
YAML = b"""feature: access
instructions: Echo.
input: {type: object}
output: {type: string}
tiers: [{name: slm, models: ["openai:small"]}]
"""
PRICE = {
    "model": "openai:small",
    "price": {"input_usd_per_mtok": "0.1", "output_usd_per_mtok": "0.4"},
}
ROUTER = {
    **{"rows": 100, "right_rows": 80, "data_sha256": "0" * 64, "quality": {}},
    "document": {"intercept": 1.0, "terms": {}},
}
MICRO_MODEL = {**ROUTER, "vectors": "UEsDBA=="}
ONE, LIST, OWN, ALL = Whose.ONE, Whose.LIST, Whose.OWN, Whose.ALL
KEY, BY_ROLE = Whose.KEY, Whose.BY_ROLE

ROWS: dict[tuple[str, str], Row] = {
    ("post", "/v1/jobs"): Row(OWN, SUBMIT, JOB),
    ("get", "/v1/jobs"): Row(LIST, READ),
    ("get", "/v1/jobs/{job_id}"): Row(ONE, READ),
    ("post", "/v1/jobs/{job_id}/cancel"): Row(ONE, SUBMIT),
    ("post", "/v1/jobs/{job_id}/retry"): Row(ONE, SUBMIT),
    ("get", "/v1/jobs/{job_id}/attempts"): Row(ONE, READ),
    ("get", "/v1/jobs/{job_id}/decisions"): Row(ONE, READ),
    ("get", "/v1/jobs/{job_id}/route"): Row(ONE, READ),
    ("get", "/v1/decisions"): Row(LIST, READ),
    ("get", "/v1/features/{name}/calibrations"): Row(ALL, READ),
    ("post", "/v1/features/{name}/label-sample"): Row(ALL, ADMIN, {"count": 3}),
    ("get", "/v1/features/{name}/training-data"): Row(ALL, ADMIN),
    ("get", "/v1/features/{name}/routers"): Row(ALL, READ),
    ("post", "/v1/features/{name}/routers"): Row(ALL, OPERATOR, ROUTER),
    ("post", "/v1/features/{name}/routers/{router_id}/withdraw"): Row(ALL, OPERATOR),
    ("get", "/v1/features/{name}/datasets"): Row(ALL, READ),
    ("post", "/v1/features/{name}/datasets"): Row(ALL, OPERATOR, {"jobs": False}),
    ("get", "/v1/features/{name}/datasets/{version}"): Row(ALL, READ),
    ("get", "/v1/features/{name}/datasets/{version}/rows"): Row(ALL, OPERATOR),
    ("get", "/v1/features/{name}/evaluations"): Row(ALL, READ),
    ("post", "/v1/features/{name}/evaluations"): Row(ALL, OPERATOR, {}),
    ("get", "/v1/features/{name}/evaluations/{evaluation_id}"): Row(ALL, READ),
    ("post", "/v1/features/{name}/evaluations/{evaluation_id}/step"): Row(ALL, OPERATOR),
    ("post", "/v1/features/{name}/evaluations/{evaluation_id}/cancel"): Row(ALL, OPERATOR),
    ("get", "/v1/features/{name}/evaluations/{evaluation_id}/differing"): Row(
        ALL, OPERATOR, query={"tier": "slm"}
    ),
    ("get", "/v1/features/{name}/status"): Row(ALL, OPERATOR),
    ("get", "/v1/features/{name}/economics"): Row(ALL, OPERATOR),
    ("get", "/v1/features/{name}/promotions"): Row(ALL, READ),
    ("post", "/v1/features/{name}/promotions"): Row(ALL, OPERATOR, {}),
    ("post", "/v1/features/{name}/demote"): Row(ALL, OPERATOR, {"reason": "whose?"}),
    ("get", "/v1/features/{name}/drift"): Row(ALL, OPERATOR),
    ("get", "/v1/features/{name}/labels"): Row(ALL, ADMIN),
    ("get", "/v1/features/{name}/micro-models"): Row(ALL, READ),
    ("post", "/v1/features/{name}/micro-models"): Row(ALL, OPERATOR, MICRO_MODEL),
    ("post", "/v1/features/{name}/micro-models/{model_id}/withdraw"): Row(ALL, OPERATOR),
    ("get", "/v1/features/{name}/report"): Row(ALL, OPERATOR),
    ("get", "/v1/features/{name}/outcomes"): Row(ALL, OPERATOR),
    ("post", "/v1/feedback"): Row(ALL, SUBMIT, {"items": []}),
    ("post", "/v1/features/{name}/calibrations"): Row(ALL, OPERATOR, {"max_error": 0.03}),
    ("post", "/v1/features/{name}/calibrations/{calibration_id}/withdraw"): Row(
        ALL, OPERATOR, {"reason": "whose?"}
    ),
    ("post", "/v1/jobs/{job_id}/feedback"): Row(ONE, SUBMIT, {"correct": True}),
    ("delete", "/v1/jobs/{job_id}/content"): Row(ONE, SUBMIT),
    ("post", "/v1/batches"): Row(OWN, SUBMIT, {"feature": "echo"}),
    ("get", "/v1/batches"): Row(LIST, READ),
    ("get", "/v1/batches/{batch_id}"): Row(ONE, READ),
    ("put", "/v1/batches/{batch_id}/parts/{number}"): Row(ONE, SUBMIT, content=PART, kind=NDJSON),
    ("get", "/v1/batches/{batch_id}/parts"): Row(ONE, READ),
    ("post", "/v1/batches/{batch_id}/seal"): Row(ONE, SUBMIT, {"parts": 0}),
    ("post", "/v1/batches/{batch_id}/cancel"): Row(ONE, SUBMIT),
    ("delete", "/v1/batches/{batch_id}/content"): Row(ONE, SUBMIT),
    ("get", "/v1/batches/{batch_id}/output"): Row(ONE, READ),
    ("get", "/v1/batches/{batch_id}/errors"): Row(ONE, READ),
    ("get", "/v1/features"): Row(ALL, READ),
    ("post", "/v1/features"): Row(ALL, OPERATOR, content=YAML, kind="application/yaml"),
    ("get", "/v1/features/{name}"): Row(ALL, READ),
    ("post", "/v1/drafts"): Row(ALL, OPERATOR, content=YAML, kind="application/yaml"),
    ("post", "/v1/drafts/{draft_id}/jobs"): Row(ALL, OPERATOR, {"input": {"text": "whose?"}}),
    ("get", "/v1/models"): Row(ALL, READ),
    ("get", "/v1/prices"): Row(ALL, READ),
    ("post", "/v1/prices"): Row(ALL, OPERATOR, PRICE),
    ("get", "/v1/queues"): Row(ALL, READ),
    ("get", "/v1/circuits"): Row(ALL, READ),
    ("get", "/v1/usage"): Row(LIST, READ, query={"group_by": "feature"}),
    ("post", "/v1/webhook-endpoints"): Row(OWN, MANAGE, ENDPOINT),
    ("get", "/v1/webhook-endpoints"): Row(LIST, READ),
    ("get", "/v1/webhook-endpoints/{endpoint_id}"): Row(ONE, READ),
    ("patch", "/v1/webhook-endpoints/{endpoint_id}"): Row(ONE, MANAGE, {"description": "x"}),
    ("delete", "/v1/webhook-endpoints/{endpoint_id}"): Row(ONE, MANAGE),
    ("post", "/v1/webhook-endpoints/{endpoint_id}/rotate-secret"): Row(ONE, MANAGE, {}),
    ("post", "/v1/webhook-endpoints/{endpoint_id}/test"): Row(ONE, MANAGE),
    ("get", "/v1/webhook-deliveries"): Row(LIST, READ),
    ("get", "/v1/webhook-deliveries/{delivery_id}"): Row(ONE, READ),
    ("post", "/v1/webhook-deliveries/{delivery_id}/resend"): Row(ONE, MANAGE),
    ("get", "/v1/budgets"): Row(BY_ROLE, ADMIN),
    ("post", "/v1/budgets"): Row(
        ALL, OPERATOR, {"account": "default", "period": "month", "limit_usd": "1000000"}
    ),
    ("get", "/v1/plans"): Row(ALL, OPERATOR),
    ("post", "/v1/plans"): Row(ALL, OPERATOR, {"name": "whose"}),
    ("put", "/v1/accounts/{name}/plan"): Row(ALL, OPERATOR, {"plan": None}),
    ("delete", "/v1/budgets/{budget_id}"): Row(ALL, OPERATOR),
    ("get", "/v1/accounts"): Row(ALL, OPERATOR),
    ("post", "/v1/accounts"): Row(ALL, OPERATOR, {"name": "made by the walk"}),
    ("patch", "/v1/accounts/{name}"): Row(ALL, OPERATOR, {"weight": 1}),
    ("get", "/v1/keys"): Row(BY_ROLE, ADMIN),
    ("post", "/v1/keys"): Row(BY_ROLE, ADMIN, {}),
    ("delete", "/v1/keys/{key_id}"): Row(KEY, ADMIN),
    ("post", "/v1/keys/{key_id}/rotate"): Row(KEY, ADMIN, {}),
    ("post", "/v1/keys/{key_id}/demote"): Row(ALL, OPERATOR),
    ("get", "/v1/webhook-secret"): Row(OWN, ADMIN),
    ("post", "/v1/webhook-secret/rotate"): Row(OWN, ADMIN, {}),
    ("get", "/healthz"): Row(Whose.PUBLIC),
    ("get", "/readyz"): Row(Whose.PUBLIC),
    ("get", "/metrics"): Row(Whose.PUBLIC),
}
# Not in the document: the document itself and the page that shows it, the same for everybody.
UNLISTED = {"/", "/openapi.json", "/docs"}

# Each role, and what it may do: told here once more than in the code.
ROLES: dict[Scopes, set[str]] = {
    SUBMIT: {"submit"},
    READ: {"read"},
    MANAGE: {"submit", "read"},
    ADMIN: {"submit", "read", "admin"},
    OPERATOR: {"submit", "read", "admin", "operator"},
}
STRANGERS = (MANAGE, ADMIN, OPERATOR)

LOCKED = [route for route, row in ROWS.items() if row.whose is not Whose.PUBLIC]
NAMES = {route: f"{route[0].upper()} {route[1]}" for route in ROWS}


def routes_where(*whose: Whose) -> list[tuple[str, str]]:
    return [route for route, row in ROWS.items() if row.whose in whose]


class Things:
    """Makes one thing of the first account of each kind that a path may name, anew each time."""

    def __init__(self, api: Api, rows: Connection) -> None:
        self._api = api
        self._rows = rows

    def path(self, template: str) -> str:
        return template.format_map(_Filled(self.one)) if "{" in template else template

    def one(self, name: str) -> str:
        make: dict[str, Callable[[], Any]] = {
            "job_id": lambda: self._api.submit()["id"],
            "batch_id": lambda: self._api.post("/v1/batches", json={"feature": "echo"}).json()[
                "id"
            ],
            "endpoint_id": self._endpoint,
            "delivery_id": lambda: self._api.post(
                f"/v1/webhook-endpoints/{self._endpoint()}/test"
            ).json()["id"],
            "key_id": lambda: create_key(self._rows, "default").row["id"],
            "draft_id": lambda: self._api.post(
                "/v1/drafts", content=YAML, headers={"Content-Type": "application/yaml"}
            ).json()["id"],
            "number": lambda: 1,
            "version": lambda: add_dataset(self._rows, "echo"),
            "router_id": lambda: add_router(self._rows, "echo"),
            "model_id": lambda: add_micro_model(self._rows, "echo"),
            "budget_id": lambda: self._api.post(
                "/v1/budgets", json={"account": "default", "period": "day", "limit_usd": "1000000"}
            ).json()["id"],
            "evaluation_id": lambda: add_evaluation(self._rows, "echo"),
            "calibration_id": lambda: add_calibration(self._rows, "echo"),
            "name": lambda: "default",  # an account's, and below a feature's
        }
        return str(make[name]())

    def _endpoint(self) -> str:
        # An account has a bounded number of them.
        for row in self._api.get("/v1/webhook-endpoints").json()["data"][5:]:
            self._api.send("DELETE", f"/v1/webhook-endpoints/{row['id']}")
        return str(self._api.post("/v1/webhook-endpoints", json=ENDPOINT).json()["id"])


class _Filled(dict[str, str]):
    def __init__(self, make: Callable[[str], str]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, name: str) -> str:
        return self._make(name)


@pytest.fixture(scope="module")
def things(api: Api, rows: Connection) -> Things:
    return Things(api, rows)


@pytest.fixture(scope="module")
def keyed(api: Api, rows: Connection, other: Api) -> Iterator[Callable[..., Api]]:
    """A client with a new key of those scopes; one each time it is the same."""
    made: dict[tuple[str, Scopes], Api] = {}

    def client(scopes: Scopes, account: str = "default") -> Api:
        if (account, scopes) not in made:
            made[account, scopes] = api.as_(create_key(rows, account, scopes).key)
        return made[account, scopes]

    yield client
    for one in made.values():
        one.close()


@pytest.fixture(scope="module")
def dead_keys(rows: Connection) -> dict[str, str]:
    """Keys that opened everything once, or never."""
    revoked = create_key(rows, "default", OPERATOR)
    revoke_key(rows, revoked.row["id"])
    soon = datetime.now(UTC) + timedelta(hours=1)
    expired = create_key(rows, "default", OPERATOR, expires_at=soon)
    rows.execute(
        "UPDATE api_keys SET expires_at = clock_timestamp() WHERE id = %s", (expired.row["id"],)
    )
    good = create_key(rows, "default", OPERATOR).key
    return {
        "wrong": "tl_" + "A" * 43,
        "revoked": revoked.key,
        "expired": expired.key,
        "cut short": good[:-1],
        "prolonged": good + "A",
        "in other letters": good.swapcase(),
        "not a key at all": "' OR 1=1 --",
    }


def ask(client: Api, route: tuple[str, str], path: str) -> httpx.Response:
    return client.send(route[0].upper(), path, **ROWS[route].request())


def named(things: Things, route: tuple[str, str]) -> str:
    template = route[1].replace("/v1/features/{name}", "/v1/features/echo")
    return things.path(template)


def test_every_route_has_a_row_and_every_row_a_route(api: Api) -> None:
    told = {(method, path) for path, methods in api.document["paths"].items() for method in methods}
    assert told == set(ROWS)


def test_nothing_is_served_that_the_document_does_not_tell_of_but_its_own_page(
    environment: None,
) -> None:
    app = create_routes(settings(), Metrics())
    beside = {route.path for route in app.routes if isinstance(route, Route)}
    assert {path for path in beside if not path.startswith("/swagger/")} == UNLISTED
    modules = [
        one for one in pkgutil.walk_packages(api.routes.__path__, "api.routes.") if not one.ispkg
    ]
    assert {importlib.import_module(one.name) for one in modules} == set(ROUTES)
    for module in ROUTES:
        assert all(route.include_in_schema for route in module.router.routes), module.__name__


@pytest.mark.parametrize("route", LOCKED, ids=NAMES.get)
def test_no_dead_or_missing_key_opens_a_route(
    api: Api, things: Things, dead_keys: dict[str, str], route: tuple[str, str]
) -> None:
    path = named(things, route)
    answer = ask(api.as_(None), route, path)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    for what, key in dead_keys.items():
        answer = ask(api.as_(key), route, path)
        assert answer.status_code == 401, what
        assert key not in answer.text
        assert "invalid_token" in answer.headers["www-authenticate"]


@pytest.mark.parametrize("route", LOCKED, ids=NAMES.get)
def test_each_role_opens_the_routes_that_are_its_own_and_no_other(
    things: Things, keyed: Callable[..., Api], route: tuple[str, str]
) -> None:
    needed = set(ROWS[route].opens)
    for role, reached in ROLES.items():
        answer = ask(keyed(role), route, named(things, route))
        if needed <= reached:
            assert answer.status_code < 300 or answer.status_code == 409, (role, answer.text)
        else:
            assert answer.status_code == 403, role
            assert answer.json()["type"] == "urn:tierline:problem:forbidden"
            assert any(f"'{scope}'" in answer.json()["detail"] for scope in needed - reached)


@pytest.mark.parametrize(
    ("route", "scopes"),
    [
        *itertools.product(routes_where(Whose.ONE), STRANGERS),
        *itertools.product(routes_where(Whose.KEY), [ADMIN]),
    ],
    ids=lambda value: NAMES.get(value) or " and ".join(value),
)
def test_what_is_anothers_is_to_a_good_key_what_does_not_exist(
    things: Things,
    rows: Connection,
    keyed: Callable[..., Api],
    route: tuple[str, str],
    scopes: Scopes,
) -> None:
    stranger = keyed(scopes, "other")
    path = named(things, route)
    mine = path.split("/")[3]
    before = as_it_is(rows, mine)

    answer = ask(stranger, route, path)

    assert answer.status_code == 404
    nobodys = str(uuid4()) if "-" in mine else str(2**60)
    nothing = ask(stranger, route, path.replace(mine, nobodys))
    assert answer.json() == {
        **nothing.json(),
        "detail": nothing.json()["detail"].replace(nobodys, mine),
    }
    assert as_it_is(rows, mine) == before


@pytest.mark.parametrize("scopes", STRANGERS, ids=" and ".join)
@pytest.mark.parametrize("route", routes_where(Whose.LIST), ids=NAMES.get)
def test_a_list_holds_nothing_of_another_account(
    things: Things,
    rows: Connection,
    keyed: Callable[..., Api],
    route: tuple[str, str],
    scopes: Scopes,
) -> None:
    for name in ("job_id", "batch_id", "delivery_id"):
        things.one(name)
    path = route[1]
    mine = ask(keyed(ADMIN), route, path).json()["data"]
    theirs = ask(keyed(scopes, "other"), route, path).json()["data"]
    assert mine or path in ("/v1/usage", "/v1/decisions")  # which only attempts lead to
    assert not {str(row.get("id")) for row in mine} & {str(row.get("id")) for row in theirs}
    if path == "/v1/usage":
        assert theirs == []


@pytest.mark.parametrize("route", routes_where(Whose.OWN), ids=NAMES.get)
def test_what_a_key_makes_is_its_own_accounts(
    api: Api, keyed: Callable[..., Api], route: tuple[str, str]
) -> None:
    path = route[1]
    made = ask(keyed(ADMIN, "other"), route, path)
    assert made.status_code < 300
    if "webhook-secret" in path:
        assert made.json()["secret"] != api.get("/v1/webhook-secret").json()["secret"]
    else:
        assert api.get(f"{path}/{made.json()['id']}").status_code == 404


@pytest.mark.parametrize("path", ["/v1/keys", "/v1/budgets"])
def test_an_administrator_lists_its_own_accounts_and_an_operator_all(
    things: Things, keyed: Callable[..., Api], path: str
) -> None:
    things.one("budget_id")
    stranger, operator = keyed(ADMIN, "other"), keyed(OPERATOR, "other")
    assert {row["account"] for row in stranger.get(path).json()["data"]} <= {"other"}
    assert "default" in {row["account"] for row in operator.get(path).json()["data"]}
    own = operator.get(path, params={"account": "default"}).json()["data"]
    assert {row["account"] for row in own} == {"default"}
    for named in ("default", "of nobody"):
        refused = stranger.get(path, params={"account": named})
        assert refused.status_code == 403
        assert "'operator'" in refused.json()["detail"]
    assert stranger.get(path, params={"account": "other"}).status_code == 200


def test_an_administrator_makes_keys_of_its_own_account_and_no_operators(
    keyed: Callable[..., Api],
) -> None:
    admin, operator = keyed(ADMIN, "other"), keyed(OPERATOR)
    made = admin.post("/v1/keys", json={"scopes": ["admin"]})
    assert made.status_code == 201
    assert (made.json()["account"], made.json()["scopes"]) == ("other", ["admin"])
    for asked in (
        {"account": "default"},
        {"account": "of nobody"},
        {"scopes": ["operator"]},
        {"account": "default", "scopes": ["read", "operator"]},
    ):
        refused = admin.post("/v1/keys", json=asked)
        assert refused.status_code == 403, asked
        assert "only an operator" in refused.json()["detail"]
    made = operator.post("/v1/keys", json={"account": "other", "scopes": ["operator"]})
    assert (made.json()["account"], made.json()["scopes"]) == ("other", ["admin", "operator"])


def test_an_operators_key_is_listed_to_its_accounts_administrator_who_cannot_change_it(
    api: Api, keyed: Callable[..., Api], rows: Connection
) -> None:
    kept = create_key(rows, "default", OPERATOR)
    admin, path = keyed(ADMIN), f"/v1/keys/{kept.row['id']}"
    assert kept.row["id"] in {row["id"] for row in admin.get("/v1/keys").json()["data"]}
    for refused in (
        admin.send("DELETE", path),
        admin.send("DELETE", path, params={"force": "true"}),
        admin.post(f"{path}/rotate", json={}),
        admin.post(f"{path}/demote"),
    ):
        assert refused.status_code == 403
        assert "operator" in refused.json()["detail"]
    assert api.as_(kept.key).get("/v1/accounts").status_code == 200


def test_a_rotation_keeps_the_role(keyed: Callable[..., Api], rows: Connection) -> None:
    operator = keyed(OPERATOR)
    for role, kept in ((OPERATOR, ["admin", "operator"]), (ADMIN, ["admin"])):
        old = create_key(rows, "other", role).row["id"]
        made = operator.post(f"/v1/keys/{old}/rotate", json={}).json()
        assert (made["account"], made["scopes"]) == ("other", kept)


def test_a_demoted_key_is_its_accounts_administrators(api: Api, rows: Connection) -> None:
    made = create_key(rows, "other", OPERATOR)
    client = api.as_(made.key)
    assert client.get("/v1/accounts").status_code == 200
    for _ in range(2):  # a repeat changes nothing
        demoted = api.post(f"/v1/keys/{made.row['id']}/demote")
        assert (demoted.status_code, demoted.json()["scopes"]) == (200, ["admin"])
    wait_until(lambda: client.get("/v1/accounts").status_code == 403, 5, "the role to be gone")
    assert client.get("/v1/keys").status_code == 200
    plain = create_key(rows, "other", READ).row["id"]
    assert api.post(f"/v1/keys/{plain}/demote").json()["scopes"] == ["read"]


LABELLED = "a text that somebody labelled"


def test_labels_are_of_the_keys_own_account(
    api: Api, rows: Connection, keyed: Callable[..., Api]
) -> None:
    path = "/v1/features/echo/labels"
    job = api.submit(LABELLED)["id"]
    end(rows, job)
    label = {"correct": False, "expected": {"text": "right"}}
    assert api.post(f"/v1/jobs/{job}/feedback", json=label).status_code == 201
    assert LABELLED in keyed(ADMIN).get(path).text
    for stranger in (ADMIN, OPERATOR):
        answer = keyed(stranger, "other").get(path)
        assert answer.status_code == 200
        assert LABELLED not in answer.text


def as_it_is(rows: Connection, id: str) -> object:
    """What the database holds of a job, batch, endpoint, delivery or key."""
    if "-" not in id:
        return rows.execute(
            "SELECT scopes, revoked_at, expires_at, replaced_by FROM api_keys WHERE id = %s", (id,)
        ).fetchall()
    tables = ("jobs", "batches", "webhook_endpoints", "deliveries")
    return [rows.execute(f"SELECT * FROM {one} WHERE id = %s", (id,)).fetchall() for one in tables]


def test_the_page_on_security_tells_of_every_route_what_it_needs() -> None:
    page = (Path(__file__).parents[3] / "docs" / "security.md").read_text()
    _, _, table = page.partition("| needs | routes |\n|---|---|\n")
    told: dict[tuple[str, str], str] = {}
    for line in table.partition("\n\n")[0].splitlines():
        needs, routes = line.strip("| ").split(" | ")
        for methods, path in re.findall(r"`([A-Z ]+) (/[^`]*)`", routes):
            full = path if needs == "no key" else f"/v1{path}"
            told |= {(method.lower(), full): needs for method in methods.split()}
    assert told == {route: " and ".join(row.opens) or "no key" for route, row in ROWS.items()}
