"""A Postgres that takes no writes, as a primary does that has become a replica: 503, and no 500."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from tests.support.api.served import Api
from tests.support.waiting import DEADLINE_S, wait_until

CUT_OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


@pytest.fixture
def read_only(api: Api, database_url: str) -> Iterator[None]:
    """Every connection made from now on is read-only, and there are no others."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        name = sql.Identifier(connection.info.dbname)
        change = sql.SQL("ALTER DATABASE {} {} default_transaction_read_only")
        connection.execute(change.format(name, sql.SQL("SET")) + sql.SQL(" = on"))
        connection.execute(CUT_OTHERS)
        yield
        connection.execute("SET default_transaction_read_only = off")
        connection.execute(change.format(name, sql.SQL("RESET")))
        connection.execute(CUT_OTHERS)


@pytest.mark.usefixtures("read_only")
def test_what_cannot_be_written_is_to_be_sent_again(api: Api) -> None:
    refused = api.post("/v1/jobs", json={"feature": "echo", "input": {"text": "hello"}})
    assert refused.status_code == 503
    assert "accepts no writes" in refused.json()["detail"]
    assert int(refused.headers["Retry-After"]) > 0
    batch = api.post("/v1/batches", json={"feature": "echo"})
    assert batch.status_code == 503


@pytest.mark.usefixtures("read_only")
def test_jobs_can_still_be_read(api: Api) -> None:
    # A pooled connection may still be one of those that were cut.
    wait_until(
        lambda: api.get("/v1/jobs").status_code == 200, DEADLINE_S, "the jobs to be readable"
    )


@pytest.mark.usefixtures("read_only")
def test_a_probe_is_told_that_it_takes_no_writes(api: Api) -> None:
    response = wait_until(
        lambda: (probed := api.get("/readyz")).status_code == 503 and probed,
        DEADLINE_S,
        "the probe to see",
    )
    wait_until(lambda: "accepts no writes" in api.get("/readyz").text, DEADLINE_S, "its reason")
    assert int(response.headers["Retry-After"]) > 0
    assert api.get("/healthz").status_code == 200


def test_and_written_again_afterwards(api: Api) -> None:
    assert api.submit("hello")["status"] == "queued"
    wait_until(lambda: api.get("/readyz").status_code == 200, DEADLINE_S, "the API to be ready")
