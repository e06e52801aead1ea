"""The process of `maintenance` reads the files of batches, without a message from the broker."""

import json
import time
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from psycopg import Connection
from psycopg_pool import ConnectionPool

from tests.support.database.rows import add_account, add_feature, two_tiers
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.services.batches import read_batch_files
from tierline.services.batches.batch_files import FileBatchRequest, create
from tierline.services.files.files import add_part, begin_upload, end_upload
from tierline.storage.db.engine import create_pool
from workers.rounds import read_files


def test_the_lines_of_a_batchs_file_become_its_jobs(fresh_database_url: str) -> None:
    body = {"model": "echo", "input": "hi", "user": "ann"}
    line = {"custom_id": "a", "method": "POST", "url": "/v1/responses", "body": body}
    with create_pool(fresh_database_url, "test", 2) as pool, pool.connection() as connection:
        account = add_account(connection, "acme")
        add_feature(connection, two_tiers())
        upload = begin_upload(connection, account, "in.jsonl")
        add_part(connection, upload, json.dumps(line).encode())
        file, _ = end_upload(connection, upload, purpose="batch", kept_s=None, key=None)
        create(connection, account, FileBatchRequest(file["id"], "/v1/responses"))
        reader = read_files(pool, every_s=0.05)
        reader.start()
        jobs = "SELECT j.custom_id, r.user_key FROM jobs j JOIN job_requests r ON r.job_id = j.id"
        wait_until(
            lambda: connection.execute(jobs).fetchall() == [("a", "ann")], DEADLINE_S, "the job"
        )
        sealed = "SELECT status FROM batches"
        wait_until(
            lambda: connection.execute(sealed).fetchall() == [("sealed",)], DEADLINE_S, "the end"
        )
        reader.stop()


def add_batch(connection: Connection[Any], account: int, lines: int) -> UUID:
    """A batch of a file with so many lines."""
    body = {"model": "echo", "input": "hi"}
    line = {"method": "POST", "url": "/v1/responses", "body": body}
    rows = (json.dumps({**line, "custom_id": str(number)}) for number in range(lines))
    upload = begin_upload(connection, account, "in.jsonl")
    add_part(connection, upload, "\n".join(rows).encode())
    file, _ = end_upload(connection, upload, purpose="batch", kept_s=None, key=None)
    made, _ = create(connection, account, FileBatchRequest(file["id"], "/v1/responses"))
    return made["batch"]["id"]


@pytest.fixture
def pool(fresh_database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[ConnectionPool[Any]]:
    monkeypatch.setattr(read_batch_files, "LINES_AT_ONCE", 1)
    with create_pool(fresh_database_url, "test", 2) as pool:
        yield pool


def test_accounts_take_turns_and_no_one_waits_for_anothers_files(
    pool: ConnectionPool[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pool.connection() as connection:
        add_feature(connection, two_tiers())
        busy, quiet = add_account(connection, "busy"), add_account(connection, "quiet")
        first, second = add_batch(connection, busy, 4), add_batch(connection, busy, 1)
        only = add_batch(connection, quiet, 1)
        read: list[UUID] = []
        read_some = read_batch_files.read_some

        def note(connection: Connection[Any], batch_id: UUID) -> int:
            read.append(batch_id)
            return read_some(connection, batch_id)

        monkeypatch.setattr(read_batch_files, "read_some", note)
        assert read_batch_files.read_due(pool, time.monotonic() + DEADLINE_S) == 6
    assert set(read[:2]) == {first, only}
    assert [one for one in read if one != only] == [first] * 5 + [second] * 2


def test_a_batch_that_cannot_be_read_stops_no_other(
    pool: ConnectionPool[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pool.connection() as connection:
        add_feature(connection, two_tiers())
        account = add_account(connection, "acme")
        broken, good = add_batch(connection, account, 1), add_batch(connection, account, 1)
        other = add_batch(connection, add_account(connection, "other"), 1)
        hold = read_batch_files.batches.hold

        def fail(connection: Connection[Any], account_id: int, id: UUID, **more: Any) -> Any:
            if id == broken:
                connection.execute("SELECT 1 / 0")
            return hold(connection, account_id, id, **more)

        monkeypatch.setattr(read_batch_files.batches, "hold", fail)
        assert read_batch_files.read_due(pool, time.monotonic() + DEADLINE_S) == 2
        sealed = connection.execute("SELECT id FROM batches WHERE status = 'sealed'").fetchall()
    assert {id for (id,) in sealed} == {good, other}
