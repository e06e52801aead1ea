"""Keys and their scopes, accounts, and the secret that signs webhooks."""

import base64
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from tests.support.api.served import Api, serving
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.services.accounts.accounts import (
    create_key,
    digest_of,
    ensure_first_admin,
    make_run_key,
    revoke_run_key,
)

Connection = psycopg.Connection[Any]


@pytest.mark.parametrize(
    "sent", [None, "", "Bearer", "Bearer x", "Basic dTpw", "Bearer tl_" + "a" * 43]
)
def test_without_a_good_key_it_is_401_with_a_challenge(api: Api, sent: str | None) -> None:
    headers = {} if sent is None else {"Authorization": sent}
    response = api.as_(None).get("/v1/jobs", headers=headers)
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Bearer")


def test_a_key_reaches_as_far_as_its_scopes(api: Api) -> None:
    made = {
        scope: api.as_(api.post("/v1/keys", json={"scopes": [scope]}).json()["key"])
        for scope in ("submit", "read", "admin", "operator")
    }
    body = {"feature": "echo", "input": {"text": "a"}}
    reached = {
        scope: (
            client.post("/v1/jobs", json=body).status_code,
            client.get("/v1/jobs").status_code,
            client.get("/v1/keys").status_code,
            client.get("/v1/accounts").status_code,
        )
        for scope, client in made.items()
    }
    assert reached == {
        "submit": (202, 403, 403, 403),
        "read": (403, 200, 403, 403),
        "admin": (202, 200, 200, 403),
        "operator": (202, 200, 200, 200),
    }
    assert "'submit'" in made["read"].post("/v1/jobs", json=body).json()["detail"]


def test_a_key_is_shown_once_and_kept_as_a_digest(api: Api, rows: Connection) -> None:
    made = api.post("/v1/keys", json={"name": "mine"})
    key = made.json()["key"]
    assert made.status_code == 201
    assert key.startswith("tl_")
    assert len(key) == 46
    assert made.headers["cache-control"] == "no-store"
    kept = rows.execute("SELECT digest, prefix FROM api_keys WHERE name = 'mine'").fetchone()
    assert kept == (digest_of(key), key[:9])
    assert key not in api.get("/v1/keys").text


def test_a_revoked_key_is_refused(api: Api) -> None:
    made = api.post("/v1/keys", json={"name": "short-lived"}).json()
    client = api.as_(made["key"])
    assert client.get("/v1/jobs").status_code == 200
    assert api.send("DELETE", f"/v1/keys/{made['id']}").json()["revoked_at"] is not None
    assert client.get("/v1/jobs").status_code == 401
    assert api.send("DELETE", f"/v1/keys/{made['id']}").status_code == 200
    assert api.send("DELETE", "/v1/keys/999999").status_code == 404


def test_a_key_revoked_elsewhere_is_refused_before_long(api: Api, rows: Connection) -> None:
    made = api.post("/v1/keys", json={}).json()
    client = api.as_(made["key"])
    assert client.get("/v1/jobs").status_code == 200
    rows.execute("UPDATE api_keys SET revoked_at = now() WHERE id = %s", (made["id"],))
    wait_until(
        lambda: client.get("/v1/jobs").status_code == 401, DEADLINE_S, "the key to be refused"
    )


def test_an_expired_key_is_refused(api: Api, rows: Connection) -> None:
    made = create_key(rows, "default", ("read",), expires_at=datetime.now(UTC) + timedelta(hours=1))
    rows.execute(
        "UPDATE api_keys SET expires_at = now() - interval '1 s' WHERE id = %s", (made.row["id"],)
    )
    assert api.as_(made.key).get("/v1/jobs").status_code == 401


def test_a_key_is_256_random_bits_behind_a_mark_that_scanners_find(rows: Connection) -> None:
    made = {create_key(rows, "default").key for _ in range(50)}
    assert len(made) == 50
    for key in made:
        assert re.fullmatch(r"tl_[A-Za-z0-9_-]{43}", key)
        assert len(base64.urlsafe_b64decode(key.removeprefix("tl_") + "=")) == 32


def test_a_rotated_key_goes_on_beside_the_new_one_until_the_overlap_is_over(
    api: Api, rows: Connection
) -> None:
    old = api.post("/v1/keys", json={"name": "till", "scopes": ["read"]}).json()
    made = api.post(f"/v1/keys/{old['id']}/rotate", json={"overlap_hours": 2})
    new = made.json()
    assert (made.status_code, made.headers["cache-control"]) == (201, "no-store")
    assert (new["account"], new["name"], new["scopes"]) == ("default", "till", ["read"])
    assert new["key"] != old["key"]
    assert new["expires_at"] is None
    clients = [api.as_(old["key"]), api.as_(new["key"])]
    assert [client.get("/v1/jobs").status_code for client in clients] == [200, 200]

    listed = {row["id"]: row for row in api.get("/v1/keys").json()["data"]}
    assert listed[old["id"]]["replaced_by"] == new["id"]
    left = datetime.fromisoformat(listed[old["id"]]["expires_at"]) - datetime.now(UTC)
    assert timedelta(hours=1.9) < left <= timedelta(hours=2)

    rows.execute("UPDATE api_keys SET expires_at = now() WHERE id = %s", (old["id"],))
    wait_until(
        lambda: clients[0].get("/v1/jobs").status_code == 401, DEADLINE_S, "the old key to end"
    )
    assert clients[1].get("/v1/jobs").status_code == 200


def test_without_an_overlap_the_old_key_ends_at_once(api: Api) -> None:
    old = api.post("/v1/keys", json={}).json()
    client = api.as_(old["key"])
    assert client.get("/v1/jobs").status_code == 200
    api.post(f"/v1/keys/{old['id']}/rotate", json={"overlap_hours": 0})
    assert client.get("/v1/jobs").status_code == 401


def test_a_rotation_gives_the_same_length_of_life_and_never_prolongs_the_old_key(
    api: Api, rows: Connection
) -> None:
    soon = datetime.now(UTC) + timedelta(minutes=30)
    old = create_key(rows, "default", ("read",), expires_at=soon)
    new = api.post(f"/v1/keys/{old.row['id']}/rotate", json={"overlap_hours": 24}).json()
    left = datetime.fromisoformat(new["expires_at"]) - datetime.now(UTC)
    assert timedelta(minutes=29) < left <= timedelta(minutes=30)
    kept = rows.execute("SELECT expires_at FROM api_keys WHERE id = %s", (old.row["id"],))
    assert kept.fetchone() == (soon,)


def test_a_key_that_ended_or_was_rotated_is_not_rotated(api: Api, rows: Connection) -> None:
    def rotate(key_id: int) -> tuple[int, str]:
        answer = api.post(f"/v1/keys/{key_id}/rotate", json={})
        return answer.status_code, answer.json()["detail"]

    once = create_key(rows, "default").row["id"]
    new = api.post(f"/v1/keys/{once}/rotate", json={}).json()["id"]
    assert rotate(once) == (409, f"key {once} was rotated already: rotate key {new}")
    gone = create_key(rows, "default").row["id"]
    api.send("DELETE", f"/v1/keys/{gone}")
    assert rotate(gone) == (409, f"key {gone} has ended: create another")
    assert rotate(999_999)[0] == 404
    assert api.post(f"/v1/keys/{new}/rotate", json={"overlap_hours": 169}).status_code == 422


def test_of_rotations_at_once_one_makes_a_key(api: Api, rows: Connection) -> None:
    old = create_key(rows, "default", name="contended").row["id"]
    with ThreadPoolExecutor(6) as pool:
        answers = list(
            pool.map(lambda _: api.post(f"/v1/keys/{old}/rotate", json={}).status_code, range(6))
        )
    assert sorted(answers) == [201, 409, 409, 409, 409, 409]
    count = rows.execute("SELECT count(*) FROM api_keys WHERE name = 'contended'").fetchone()
    assert count == (2,)


def test_when_a_key_was_last_used_is_noted(api: Api, rows: Connection) -> None:
    made = api.post("/v1/keys", json={"name": "used"}).json()
    assert made["last_used_at"] is None
    with serving() as url:
        Api(url, made["key"]).get("/v1/jobs")
    listed = {row["id"]: row for row in api.get("/v1/keys").json()["data"]}
    assert listed[made["id"]]["last_used_at"] is not None


@pytest.mark.parametrize(
    ("body", "status", "path"),
    [
        ({"scopes": ["root"]}, 422, "/scopes/0"),
        ({"scopes": []}, 422, "/scopes"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, 422, "/expires_at"),
        ({"colour": 1}, 422, "/colour"),
        ({"account": "nobody"}, 404, None),
    ],
)
def test_an_unfit_key_is_a_problem(api: Api, body: Any, status: int, path: str | None) -> None:
    response = api.post("/v1/keys", json=body)
    assert response.status_code == status
    if path is not None:
        assert response.json()["errors"][0]["path"] == path


def test_accounts_are_made_listed_and_weighed(api: Api) -> None:
    made = api.post("/v1/accounts", json={"name": "billing", "weight": 2})
    assert (made.status_code, made.json()["weight"]) == (201, 2)
    assert api.post("/v1/accounts", json={"name": "billing"}).status_code == 409
    changed = api.send("PATCH", "/v1/accounts/billing", json={"weight": 5})
    assert changed.json()["weight"] == 5
    names = [account["name"] for account in api.get("/v1/accounts").json()["data"]]
    assert {"default", "billing"} <= set(names)
    assert api.send("PATCH", "/v1/accounts/nobody", json={"weight": 5}).status_code == 404
    assert api.send("PATCH", "/v1/accounts/billing", json={"weight": 0}).status_code == 422


def test_a_rotated_webhook_secret_overlaps(api: Api, rows: Connection) -> None:
    before = api.get("/v1/webhook-secret").json()
    assert before["old_until"] is None
    after = api.post("/v1/webhook-secret/rotate", json={"overlap_hours": 2}).json()
    assert after["secret"] != before["secret"]
    assert after["old_until"] is not None
    kept = rows.execute("SELECT old_webhook_secret FROM accounts WHERE name = 'default'").fetchone()
    assert kept == (before["secret"],)


def test_the_first_admin_key_is_made_once(fresh_database_url: str) -> None:
    first = ensure_first_admin(fresh_database_url)
    assert first is not None
    assert first.startswith("tl_")
    assert ensure_first_admin(fresh_database_url) is None


def test_a_runs_key_replaces_the_one_a_killed_run_left(api: Api, database_url: str) -> None:
    left = api.as_(make_run_key(database_url, "run of a home"))
    fresh = api.as_(make_run_key(database_url, "run of a home"))
    assert left.get("/v1/keys").status_code == 401
    assert fresh.get("/v1/keys").status_code == 200
    revoke_run_key(database_url, "run of a home")
    wait_until(
        lambda: fresh.get("/v1/keys").status_code == 401, DEADLINE_S, "the key to be refused"
    )
