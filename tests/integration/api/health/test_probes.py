"""Whether the API says that it lives and can serve, with parts of it away."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import httpx
import psutil
import psycopg
import pytest
import redis
from psycopg import sql
from starlette.testclient import TestClient

from api.app import create_app
from api.http.cold import COLD_CONNECTIONS
from tests.support.api.served import Api, serving
from tests.support.database.rows import (
    add_account,
    add_feature,
    add_job,
    of_a_later_release,
    two_tiers,
)
from tests.support.processes.prepared_home import MakeHome
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.base.settings import settings
from tierline.services.accounts.accounts import make_run_key
from tierline.stack.embedded import postgres, valkey
from tierline.stack.embedded.servers import Servers, running_servers
from tierline.stack.ports import free_port
from tierline.storage.db import migrate
from tierline.storage.upkeep import partitions


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, make_home: MakeHome) -> Iterator[Servers]:
    """Servers with a migrated database, which a test may stop if it starts them again."""
    with running_servers(make_home(tmp_path_factory.mktemp("own") / "home")) as servers:
        yield servers


def test_a_ready_api_tells_what_is_missing_around_it(api: Api) -> None:
    body = api.as_(None).get("/readyz").json()
    assert body["ready"] is True
    assert body["degraded"]["dispatcher"]
    assert body["degraded"]["queue:slm"]
    assert "OPENAI_API_KEY" in body["degraded"]["feature:echo"]
    assert "broker" not in body["degraded"]


def test_a_table_whose_partitions_soon_end_is_named(
    fresh_database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", fresh_database_url)
    monkeypatch.setenv("REDIS_URL", redis_url)
    settings.cache_clear()
    with psycopg.connect(fresh_database_url, autocommit=True) as connection:
        for one in partitions.every(connection)["calls"]:
            connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(one.name)))
    with serving() as url:
        degraded = Api(url, None).get("/readyz").json()["degraded"]
    assert "they end in 0.0 days" in degraded["partitions:calls"]
    assert not {part for part in degraded if part.startswith("partitions:")} - {"partitions:calls"}


def test_a_feature_version_of_a_later_release_is_told_and_takes_nobody_out_of_service(
    database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("REDIS_URL", redis_url)
    settings.cache_clear()
    with psycopg.connect(database_url, autocommit=True) as connection:
        account = add_account(connection, "mixed")
        before = add_feature(connection, two_tiers("mixed"), version=2)
        of_a_later_release(connection, before)
        add_job(connection, account, before)
        of_a_later_release(connection, add_feature(connection, two_tiers("mixed"), version=3))
        key = make_run_key(database_url, "mixed")
    with serving() as url:
        api = Api(url, key)
        ready = api.get("/readyz")
        assert ready.status_code == 200
        for version in (2, 3):
            message = ready.json()["degraded"][f"feature:mixed:{version}"]
            assert f"version {version} of mixed has keys" in message
        listed = api.get("/v1/features")
        assert listed.status_code == 200
        assert "mixed" not in [one["name"] for one in listed.json()["data"]]
        assert api.get("/v1/models").status_code == 200
        response = api.post("/v1/jobs", json={"feature": "mixed", "input": {"text": "hello"}})
        assert response.status_code == 503
        assert "processes of the release that applied it" in response.json()["detail"]
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("DELETE FROM jobs WHERE feature_version_id = %s", (before,))
        connection.execute("DELETE FROM features WHERE name = 'mixed'")
    settings.cache_clear()


def test_a_database_that_is_not_migrated_is_said_and_picked_up_once_it_is(
    empty_database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_database_url)
    monkeypatch.setenv("REDIS_URL", redis_url)
    settings.cache_clear()
    with serving() as url:
        api = Api(url, "tl_" + "a" * 43)
        assert api.get("/healthz").status_code == 200
        for path in ("/readyz", "/v1/jobs", "/v1/features"):
            response = api.get(path)
            assert response.status_code == 503
            assert "tierline db upgrade" in response.json()["detail"]
        refusal = api.post("/v1/jobs", json={})
        assert refusal.status_code == 503
        assert int(refusal.headers["retry-after"]) >= 1
        migrate.upgrade(empty_database_url)
        wait_until(lambda: api.get("/readyz").status_code == 200, DEADLINE_S, "the API to be ready")
        client = api.as_(make_run_key(empty_database_url, "late"))
        wait_until(lambda: client.get("/v1/jobs").status_code == 200, DEADLINE_S, "a list of jobs")
    settings.cache_clear()


def test_a_broker_that_is_away_is_only_told(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
    settings.cache_clear()
    with serving() as url:
        ready = Api(url, None).get("/readyz")
        assert ready.status_code == 200
        assert "does not answer" in ready.json()["degraded"]["broker"]
    settings.cache_clear()


@pytest.mark.parametrize("frozen_first", [True, False])
def test_a_broker_that_is_frozen_behind_its_open_port_is_told_at_once_and_nobody_waits_for_it(
    database_url: str, own: Servers, monkeypatch: pytest.MonkeyPatch, frozen_first: bool
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("REDIS_URL", valkey.url(own.home))
    settings.cache_clear()
    assert own.valkey is not None
    pid = own.valkey.pid
    assert pid is not None
    if frozen_first:
        os.kill(pid, signal.SIGSTOP)
    try:
        with serving() as url:
            api = Api(url, None)
            if not frozen_first:
                wait_until(
                    lambda: "broker" not in degraded(api), DEADLINE_S, "the broker to be seen"
                )
                os.kill(pid, signal.SIGSTOP)
            degraded_answer = wait_until(
                lambda: "does not answer" in degraded(api).get("broker", "") and degraded(api),
                DEADLINE_S,
                "the frozen broker to be told",
            )
            assert "TimeoutError" in degraded_answer["broker"]
            assert "tierline_broker_up 0.0" in api.get("/metrics").text
            os.kill(pid, signal.SIGCONT)
            wait_until(lambda: "broker" not in degraded(api), DEADLINE_S, "the broker to be back")
            wait_until(
                lambda: "tierline_broker_up 1.0" in api.get("/metrics").text,
                DEADLINE_S,
                "its number",
            )
    finally:
        os.kill(pid, signal.SIGCONT)
    settings.cache_clear()


def test_a_broker_that_answers_and_takes_nothing_is_told(
    database_url: str, own: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("REDIS_URL", valkey.url(own.home))
    settings.cache_clear()
    with redis.Redis.from_url(valkey.url(own.home)) as full:
        full.config_set("maxmemory", "1")
        try:
            assert full.ping()
            with serving() as url:
                api = Api(url, None)
                reason = wait_until(
                    lambda: degraded(api).get("broker", ""), DEADLINE_S, "the full broker"
                )
        finally:
            full.config_set("maxmemory", "0")
    assert "accepts no writes (OutOfMemoryError)" in reason
    settings.cache_clear()


def test_a_postgres_that_is_frozen_is_told_to_a_probe_that_does_not_wait_long(
    redis_url: str, own: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", redis_url)
    database_url = postgres.url(own.home)
    monkeypatch.setenv("DATABASE_URL", database_url)
    settings.cache_clear()
    assert own.postgres is not None
    postmaster = psutil.Process(own.postgres.pid)
    with serving() as url:
        probe = httpx.Client(base_url=url, timeout=6, trust_env=False)
        wait_until(
            lambda: probe.get("/readyz").status_code == 200, DEADLINE_S, "the API to be ready"
        )
        frozen = [postmaster, *postmaster.children(recursive=True)]
        for process in frozen:
            process.suspend()
        try:
            response = wait_until(
                lambda: (probed := probe.get("/readyz")).status_code == 503 and probed,
                DEADLINE_S,
                "the frozen Postgres to be told",
            )
            assert "does not answer" in response.json()["detail"]
            assert probe.get("/readyz").status_code == 503
            assert probe.get("/healthz").status_code == 200
        finally:
            for process in frozen:
                process.resume()
        wait_until(
            lambda: probe.get("/readyz").status_code == 200, DEADLINE_S, "the API to recover"
        )
        probe.close()
    settings.cache_clear()


def test_it_stops_in_the_middle_of_whatever_it_asks(api: Api) -> None:
    for _ in range(8):
        with TestClient(create_app(settings())) as client:
            assert client.get("/healthz").status_code == 200


def test_a_busy_cold_pool_is_told_and_does_not_make_the_process_unready(api: Api) -> None:
    app = create_app(settings())
    with TestClient(app) as client:
        state = app.app.state.tierline  # type: ignore[attr-defined]
        with contextlib.ExitStack() as held:
            for _ in range(COLD_CONNECTIONS):
                held.enter_context(state.cold_pool.connection(timeout=30))
            state.cold_pool.timeout = 0.1
            answer = client.get("/readyz")
    assert answer.status_code == 200
    assert "PoolTimeout" in answer.json()["degraded"]["features"]


def degraded(api: Api) -> dict[str, str]:
    """What is wrong around an API that is ready."""
    answer = api.get("/readyz")
    assert answer.status_code == 200
    reasons: dict[str, str] = answer.json()["degraded"]
    return reasons


def test_the_process_starts_without_postgres_recovers_with_it_and_stops_in_order(
    own: Servers,
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    database_url = postgres.url(own.home)
    key = make_run_key(database_url, "probe")
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "REDIS_URL": valkey.url(own.home),
    }
    own.postgres.stop(20)
    process = subprocess.Popen(
        [sys.executable, "-m", "api", "--port", str(port)],
        env=environment,
        stderr=subprocess.PIPE,
    )
    try:
        api = _once_it_answers(url, key)
        assert api.get("/readyz").status_code == 503
        assert api.get("/v1/jobs").status_code == 503
        own.postgres.start()
        wait_until(lambda: api.get("/v1/jobs").status_code == 200, DEADLINE_S, "the API to recover")
        # Cut every connection: the next request goes on through it.
        own.postgres.stop(20)
        own.postgres.start()
        wait_until(lambda: api.get("/readyz").status_code == 200, DEADLINE_S, "the API to recover")
        assert api.get("/v1/jobs").status_code == 200
    finally:
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0
    assert key.encode() not in log


def _once_it_answers(url: str, key: str) -> Api:
    def answers() -> bool:
        try:
            return httpx.get(f"{url}/healthz").status_code == 200
        except httpx.TransportError:
            return False

    wait_until(answers, DEADLINE_S, "the process to answer")
    return Api(url, key)
