"""Limits of accounts at the door: 429 with Retry-After, over several APIs at once, by rows alone.

No broker is named for these APIs: nothing of this may need one.
"""

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx
import psycopg
import pytest

from tests.support.api.served import Api, serving
from tests.support.database.rows import add_feature, add_job, two_tiers
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.base.ids import new_id
from tierline.base.settings import settings
from tierline.services.accounts.accounts import (
    change_account,
    create_account,
    create_key,
    make_run_key,
)
from tierline.services.jobs.submitting import backlog
from tierline.storage.batches import batches
from tierline.storage.jobs.backlogs import BACKLOG_LOCK

Connection = psycopg.Connection[Any]
ONE = {"feature": "echo", "input": {"text": "hello"}}


@dataclass
class Scene:
    """Two APIs on one database, and an account of each test's own."""

    db: Connection
    apis: tuple[Api, Api]  # the account's, one at each
    admin: Api
    account: str
    account_id: int
    version: int

    def limit(self, **limits: int | None) -> None:
        """Change the account at the first API, which then holds to it at once."""
        response = self.admin.send("PATCH", f"/v1/accounts/{self.account}", json=limits)
        assert response.status_code == 200, response.text

    def jobs(self, status: str = "queued") -> int:
        row = self.db.execute(
            "SELECT count(*) FROM jobs WHERE account_id = %s AND status = %s",
            (self.account_id, status),
        ).fetchone()
        assert row is not None
        return int(row[0])


@pytest.fixture(scope="module")
def ground(database_url: str) -> Iterator[tuple[Connection, tuple[str, str], str, int]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", database_url)
        patch.delenv("REDIS_URL", raising=False)
        settings.cache_clear()
        with (
            psycopg.connect(database_url, autocommit=True) as db,
            serving() as one,
            serving() as two,
        ):
            version = add_feature(db, two_tiers("echo"))
            yield db, (one, two), make_run_key(database_url, "tests"), version
    settings.cache_clear()


@pytest.fixture
def scene(ground: tuple[Connection, tuple[str, str], str, int]) -> Iterator[Scene]:
    db, urls, admin_key, version = ground
    name = f"account-{new_id()}"
    row = create_account(db, name)
    key = create_key(db, name).key
    apis = Api(urls[0], key), Api(urls[1], key)
    admin = Api(urls[0], admin_key)
    yield Scene(db, apis, admin, name, int(row["id"]), version)
    for api in (*apis, admin):
        api.close()


def limited(response: httpx.Response, names: str) -> bool:
    """Whether it is a 429 as it has to be, of the limit of that name."""
    if response.status_code != 429:
        return False
    assert response.headers["content-type"] == "application/problem+json"
    assert int(response.headers["retry-after"]) >= 1
    body = response.json()
    assert body["type"] == "urn:tierline:problem:limit-reached"
    assert names in body["detail"]
    return True


def test_queued_jobs_stop_exactly_at_the_limit_whatever_comes_at_once(scene: Scene) -> None:
    change_account(scene.db, scene.account, {"max_queued_jobs": 25})

    def submit(number: int) -> bool:
        response = scene.apis[number % 2].post("/v1/jobs", json=ONE)
        assert response.status_code == 202 or limited(response, "max_queued_jobs")
        return response.status_code == 202

    with ThreadPoolExecutor(16) as threads:
        taken = sum(threads.map(submit, range(120)))
    assert taken == 25
    assert scene.jobs() == 25


def test_room_is_there_again_when_jobs_have_run(scene: Scene) -> None:
    scene.limit(max_queued_jobs=2)
    api = scene.apis[0]
    assert [api.post("/v1/jobs", json=ONE).status_code for _ in range(3)] == [202, 202, 429]
    scene.db.execute(
        "UPDATE jobs SET status = 'completed', completed_at = now() WHERE id IN"
        " (SELECT id FROM jobs WHERE account_id = %s AND status = 'queued' LIMIT 1)",
        (scene.account_id,),
    )
    assert [api.post("/v1/jobs", json=ONE).status_code for _ in range(2)] == [202, 429]


def test_hinted_jobs_count_and_another_accounts_do_not(scene: Scene) -> None:
    other = create_account(scene.db, f"{scene.account}-other")
    add_job(scene.db, int(other["id"]), scene.version)
    add_job(scene.db, scene.account_id, scene.version, hint_no=1)
    add_job(scene.db, scene.account_id, scene.version, tier="frontier", tier_index=1)
    add_job(scene.db, scene.account_id, scene.version, status="in_progress")
    scene.limit(max_queued_jobs=3)
    codes = [scene.apis[0].post("/v1/jobs", json=ONE).status_code for _ in range(2)]
    assert codes == [202, 429]


def test_the_jobs_of_shadows_and_judges_do_not_count(scene: Scene) -> None:
    own = add_job(scene.db, scene.account_id, scene.version, status="completed")
    for hint_no in (None, 1):
        add_job(scene.db, scene.account_id, scene.version, shadow_of=own, hint_no=hint_no)
        add_job(
            scene.db,
            scene.account_id,
            scene.version,
            shadow_of=own,
            judged_attempt=1,
            hint_no=hint_no,
        )
    scene.limit(max_queued_jobs=1)
    codes = [scene.apis[0].post("/v1/jobs", json=ONE).status_code for _ in range(2)]
    assert codes == [202, 429]


def test_a_known_idempotency_key_is_answered_although_there_is_no_room(scene: Scene) -> None:
    scene.limit(max_queued_jobs=1)
    api = scene.apis[0]
    headers = {"Idempotency-Key": "one"}
    first = api.post("/v1/jobs", json=ONE, headers=headers)
    assert first.status_code == 202
    again = api.post("/v1/jobs", json=ONE, headers=headers)
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
    assert limited(api.post("/v1/jobs", json=ONE), "max_queued_jobs")


def test_a_large_limit_is_held_by_a_count_now_and_then(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "EXACT_UP_TO", 0)  # so that a small one is held as a large one is
    scene.limit(max_queued_jobs=10)
    codes = Counter(scene.apis[0].post("/v1/jobs", json=ONE).status_code for _ in range(15))
    assert codes == {202: 10, 429: 5}
    assert limited(scene.apis[1].post("/v1/jobs", json=ONE), "max_queued_jobs")
    scene.db.execute("DELETE FROM jobs WHERE account_id = %s", (scene.account_id,))
    wait_until(
        lambda: scene.apis[0].post("/v1/jobs", json=ONE).status_code == 202,
        DEADLINE_S,
        "a new count",
    )


def test_a_retry_is_held_to_the_limit_too(scene: Scene) -> None:
    failed = add_job(scene.db, scene.account_id, scene.version, status="failed")
    add_job(scene.db, scene.account_id, scene.version)
    scene.limit(max_queued_jobs=1)
    assert limited(scene.apis[0].post(f"/v1/jobs/{failed}/retry"), "max_queued_jobs")


def put(api: Api, batch: str, number: int, rows: int) -> httpx.Response:
    line = json.dumps({"input": {"text": "hello"}}) + "\n"
    return api.send(
        "PUT",
        f"/v1/batches/{batch}/parts/{number}",
        content=(line * rows).encode(),
        headers={"Content-Type": "application/x-ndjson"},
    )


def test_parts_of_a_batch_stop_at_the_limit_whole_and_may_be_sent_again(scene: Scene) -> None:
    scene.limit(max_queued_jobs=50)
    api = scene.apis[0]
    batch = api.post("/v1/batches", json={"feature": "echo"}).json()["id"]
    assert put(api, batch, 1, 30).status_code == 201
    assert limited(put(api, batch, 2, 30), "max_queued_jobs")
    assert scene.jobs() == 30
    assert put(api, batch, 1, 30).status_code == 200  # a repeat brings nothing new
    scene.db.execute("UPDATE jobs SET status = 'completed' WHERE batch_id = %s", (batch,))
    assert put(api, batch, 2, 30).status_code == 201


@pytest.mark.parametrize("exact_up_to", [0, 1_000])
def test_parts_sent_at_once_to_several_apis_do_not_pass_the_limit_together(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, exact_up_to: int
) -> None:
    monkeypatch.setattr(backlog, "EXACT_UP_TO", exact_up_to)
    change_account(scene.db, scene.account, {"max_queued_jobs": 100})
    batch = scene.apis[0].post("/v1/batches", json={"feature": "echo"}).json()["id"]

    def send(number: int) -> int:
        return put(scene.apis[number % 2], batch, number, 40).status_code

    with ThreadPoolExecutor(4) as threads:
        codes = Counter(threads.map(send, range(1, 7)))
    assert codes[201] == 2
    assert scene.jobs() == 80


def test_a_part_locks_the_account_only_when_its_rows_are_written(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.limit(max_queued_jobs=50_000)
    batch = scene.apis[0].post("/v1/batches", json={"feature": "echo"}).json()["id"]
    free = []
    write = batches.add_jobs

    def add_jobs(*arguments: Any) -> None:
        write(*arguments)
        with scene.db.transaction():
            held = "SELECT pg_try_advisory_xact_lock(%s, hashint8(%s))"
            free.append(scene.db.execute(held, (BACKLOG_LOCK, scene.account_id)).fetchone())

    monkeypatch.setattr(batches, "add_jobs", add_jobs)
    assert put(scene.apis[0], batch, 1, 30).status_code == 201
    assert free == [(True,)]


def test_a_part_that_could_never_fit_is_not_asked_to_come_again(scene: Scene) -> None:
    scene.limit(max_queued_jobs=10)
    batch = scene.apis[0].post("/v1/batches", json={"feature": "echo"}).json()["id"]
    response = put(scene.apis[0], batch, 1, 11)
    assert response.status_code == 422
    assert "smaller parts" in response.json()["detail"]


def test_requests_over_the_rate_are_refused_on_every_route_until_the_wait_is_over(
    scene: Scene,
) -> None:
    scene.limit(max_requests_per_s=1)
    api = scene.apis[0]
    codes = Counter(api.get("/v1/jobs").status_code for _ in range(20))
    assert codes[429] >= 10
    assert codes[200] >= 2  # the burst
    assert limited(
        wait_until(lambda: refused(api, "GET", "/v1/jobs"), DEADLINE_S, "a refusal"), "requests"
    )
    assert limited(
        wait_until(lambda: refused(api, "POST", "/v1/jobs"), DEADLINE_S, "a refusal"), "requests"
    )
    wait_until(
        lambda: api.get("/v1/jobs").status_code == 200, DEADLINE_S, "the rate to let it through"
    )


def refused(api: Api, method: str, path: str) -> httpx.Response | None:
    response = api.send(method, path, **({"json": ONE} if method == "POST" else {}))
    return response if response.status_code == 429 else None


def test_another_account_and_the_probes_are_not_held_to_it(scene: Scene) -> None:
    scene.limit(max_requests_per_s=1)
    wait_until(lambda: refused(scene.apis[0], "GET", "/v1/jobs"), DEADLINE_S, "a refusal")
    assert scene.admin.get("/v1/jobs").status_code == 200
    assert scene.apis[0].get("/healthz").status_code == 200


@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
def test_bytes_of_bodies_over_the_rate_are_refused_and_what_has_none_is_not(
    scene: Scene, chunked: bool
) -> None:
    scene.limit(max_body_bytes_per_s=1_000)
    api = scene.apis[0]
    body = json.dumps({**ONE, "metadata": {"filling": "x" * 9_000}}).encode()

    def submit() -> httpx.Response:
        content: Any = iter([body[:4_000], body[4_000:]]) if chunked else body
        return api.post("/v1/jobs", content=content, headers={"Content-Type": "application/json"})

    assert submit().status_code == 202  # larger than the burst: let through, and paid for after
    assert limited(submit(), "max_body_bytes_per_s")
    assert limited(put(api, "none", 1, 1), "max_body_bytes_per_s")
    assert api.get("/v1/jobs").status_code == 200


def test_a_body_that_is_too_large_is_413_as_ever(scene: Scene) -> None:
    response = scene.apis[0].post(
        "/v1/jobs", content=b" " * 1_100_000, headers={"Content-Type": "application/json"}
    )
    assert response.status_code == 413


def test_limits_are_set_shown_and_taken_back(scene: Scene) -> None:
    path = f"/v1/accounts/{scene.account}"
    wanted = {
        "max_queued_jobs": 7,
        "max_jobs_in_progress": 3,
        "max_requests_per_s": 9,
        "max_body_bytes_per_s": 5_000,
    }
    changed = scene.admin.send("PATCH", path, json={"weight": 4, **wanted}).json()
    assert {name: changed[name] for name in wanted} == wanted
    changed = scene.admin.send("PATCH", path, json={"max_queued_jobs": None}).json()
    assert changed["max_queued_jobs"] is None
    assert (changed["weight"], changed["max_jobs_in_progress"]) == (4, 3)
    listed = scene.admin.get("/v1/accounts").json()["data"]
    assert changed in listed
    made = scene.admin.post(
        "/v1/accounts", json={"name": f"{scene.account} two", "max_queued_jobs": 2}
    )
    assert (made.status_code, made.json()["max_queued_jobs"]) == (201, 2)


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"max_queued_jobs": 0}, "/max_queued_jobs"),
        ({"max_requests_per_s": "many"}, "/max_requests_per_s"),
        ({"max_jobs_in_progress": 1.5}, "/max_jobs_in_progress"),
        ({"max_body_bytes_per_s": 2**31}, "/max_body_bytes_per_s"),
        ({"weight": None}, "/weight"),
        ({"max_everything": 1}, "/max_everything"),
        ({}, ""),
    ],
)
def test_a_limit_that_does_not_fit_is_a_problem(scene: Scene, body: Any, path: str) -> None:
    response = scene.admin.send("PATCH", f"/v1/accounts/{scene.account}", json=body)
    assert response.status_code == 422
    assert response.json()["errors"][0]["path"] == path
