"""Who is let in where: every route against every key that must not open it.

A route of the OpenAPI document without a row here fails, and so does a row without a route.
"""

import importlib
import itertools
import pkgutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest
from starlette.routing import Route

import api.routes
from api.app import ROUTES, create_routes
from api.health.metrics import Metrics
from tests.support.api.access import (
    ADMIN,
    LOCKED,
    MANAGE,
    NAMES,
    OPERATOR,
    READ,
    ROWS,
    SUBMIT,
    Scopes,
    Whose,
)
from tests.support.api.served import Api
from tests.support.api.things import Things
from tests.support.database.rows import end_job
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.base.ids import new_id
from tierline.base.settings import settings
from tierline.services.accounts.accounts import create_key, revoke_key
from tierline.storage.calls import circuits

Connection = psycopg.Connection[Any]


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


def routes_where(*whose: Whose) -> list[tuple[str, str]]:
    return [route for route, row in ROWS.items() if row.whose in whose]


@pytest.fixture(scope="module")
def things(api: Api, rows: Connection) -> Things:
    circuits.pause(rows, "openai:none", 0.0)  # a model to ask a probe of, which its state refuses
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


@pytest.fixture(scope="module")
def shut_out(api: Api, dead_keys: dict[str, str]) -> Iterator[dict[str | None, Api]]:
    """By key, a client with a key that opens nothing. None: it has none."""
    clients = {key: api.as_(key) for key in (None, *dead_keys.values())}
    yield clients
    for client in clients.values():
        client.close()


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
    things: Things,
    dead_keys: dict[str, str],
    shut_out: dict[str | None, Api],
    route: tuple[str, str],
) -> None:
    path = named(things, route)
    answer = ask(shut_out[None], route, path)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    for what, key in dead_keys.items():
        answer = ask(shut_out[key], route, path)
        assert answer.status_code == 401, what
        assert key not in answer.text
        assert "invalid_token" in answer.headers["www-authenticate"]


@pytest.mark.parametrize("route", LOCKED, ids=NAMES.get)
def test_each_role_opens_the_routes_that_are_its_own_and_no_other(
    things: Things, keyed: Callable[..., Api], route: tuple[str, str]
) -> None:
    needed = set(ROWS[route].opens)
    shut = named(things, route)  # who is refused changes nothing
    for role, reached in ROLES.items():
        opened = needed <= reached
        answer = ask(keyed(role), route, named(things, route) if opened else shut)
        if opened:
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
    nobodys = str(new_id()) if "-" in mine else str(2**60)
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
    for name in ("job_id", "batch_id", "delivery_id", "action_id"):
        things.one(name)
    path = route[1]
    mine = ask(keyed(ADMIN), route, path).json()["data"]
    theirs = ask(keyed(scopes, "other"), route, path).json()["data"]
    # Only attempts lead to these.
    assert mine or path in ("/v1/usage", "/v1/decisions", "/v1/feedback/queue")
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
    wait_until(
        lambda: client.get("/v1/accounts").status_code == 403, DEADLINE_S, "the role to be gone"
    )
    assert client.get("/v1/keys").status_code == 200
    plain = create_key(rows, "other", READ).row["id"]
    assert api.post(f"/v1/keys/{plain}/demote").json()["scopes"] == ["read"]


LABELLED = "a text that somebody labelled"


def test_labels_are_of_the_keys_own_account(
    api: Api, rows: Connection, keyed: Callable[..., Api]
) -> None:
    path = "/v1/features/echo/labels"
    job = api.submit(LABELLED)["id"]
    end_job(rows, job)
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
    tables = ("jobs", "batches", "webhook_endpoints", "deliveries", "bulk_actions")
    return [rows.execute(f"SELECT * FROM {one} WHERE id = %s", (id,)).fetchall() for one in tables]
