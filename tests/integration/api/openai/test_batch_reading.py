"""Reading the lines of a batch's file: account limits, interruptions, a killed reader."""

import subprocess
import sys
from typing import Any

import openai
import psycopg
import pytest

from tests.support.api.served import Api
from tests.support.database.rows import add_feature, two_tiers
from tests.support.processes.played_batch_reader import reading_batches
from tests.support.processes.played_worker import played
from tests.support.scenes.openai_batches import (
    NAME,
    content,
    ended,
    jsonl,
    line,
    start,
    until,
)
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.services.batches import read_batch_files
from tierline.services.batches.read_batch_files import read_some
from tierline.storage.db.engine import connect

Connection = psycopg.Connection[Any]


@pytest.fixture(scope="module")
def feature(api: Api, rows: Connection) -> str:
    add_feature(rows, two_tiers(NAME))
    return NAME


def test_a_full_account_waits_with_its_file_and_goes_on(
    api: Api, client: openai.OpenAI, rows: Connection, feature: str, database_url: str
) -> None:
    made = start(client, jsonl(*(line(str(at)) for at in range(5))))
    rows.execute("UPDATE accounts SET max_queued_jobs = 2 WHERE name = 'default'")
    try:
        with reading_batches(database_url):
            until(lambda: client.batches.retrieve(made.id), ("in_progress",))
            queued = rows.execute(
                "SELECT count(*) FROM jobs WHERE batch_id = %s AND status = 'queued'",
                (made.metadata["tierline.batch_id"],),
            ).fetchone()
            assert queued == (2,)
            with played(database_url, feature):
                batch = ended(client, made.id)
    finally:
        rows.execute("UPDATE accounts SET max_queued_jobs = NULL WHERE name = 'default'")
    assert batch.request_counts.completed == 5


def test_an_account_with_a_limit_may_submit_while_lines_are_parsed(
    api: Api,
    client: openai.OpenAI,
    rows: Connection,
    feature: str,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = start(client, jsonl(line("1"), line("2"), line("3")))
    parse, submitted = read_batch_files.read_line, []

    def submit_and_parse(*arguments: Any) -> Any:
        if not submitted:  # a submission counts the account's jobs alone, as the reader does
            submitted.append(api.submit("x", feature=feature)["id"])
        return parse(*arguments)

    monkeypatch.setattr(read_batch_files, "read_line", submit_and_parse)
    rows.execute("UPDATE accounts SET max_queued_jobs = 3 WHERE name = 'default'")
    try:
        with connect(database_url, "test") as connection:
            id = made.metadata["tierline.batch_id"]
            assert read_some(connection, id) == 2, "the submission took one of three places"
            assert read_some(connection, id) == 0
        for job in submitted:
            api.post(f"/v1/jobs/{job}/cancel")
    finally:
        rows.execute("UPDATE accounts SET max_queued_jobs = NULL WHERE name = 'default'")
    with reading_batches(database_url), played(database_url, feature):
        assert ended(client, made.id).request_counts.completed == 3


def test_reading_goes_on_where_it_was_cut_off_and_reads_nothing_twice(
    client: openai.OpenAI,
    rows: Connection,
    feature: str,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = start(client, jsonl(*(line(str(at)) for at in range(7))))
    id = made.metadata["tierline.batch_id"]
    monkeypatch.setattr(read_batch_files, "LINES_AT_ONCE", 3)
    with connect(database_url, "test") as connection:
        assert read_some(connection, id) == 3

        def cut(*_: object, **__: object) -> None:
            raise RuntimeError("cut off")

        with monkeypatch.context() as broken:
            broken.setattr(read_batch_files.batch_files, "note_read", cut)
            with pytest.raises(RuntimeError):
                read_some(connection, id)
        assert [read_some(connection, id) for _ in range(3)] == [3, 1, 0]
    with reading_batches(database_url), played(database_url, feature):
        batch = ended(client, made.id)
    assert list(content(client, batch.output_file_id)) == [str(at) for at in range(7)]


READER = """
import sys, time
from psycopg_pool import ConnectionPool
from tierline.services.batches import read_batch_files
read_batch_files.LINES_AT_ONCE = 2
with ConnectionPool(sys.argv[1], min_size=1, kwargs={"autocommit": True}) as pool:
    read_batch_files.read_due(pool, time.monotonic() + 600)
"""


def test_a_killed_reader_leaves_nothing_half_read(
    client: openai.OpenAI, rows: Connection, feature: str, database_url: str
) -> None:
    made = start(client, jsonl(*(line(str(at)) for at in range(3_000))))
    id = made.metadata["tierline.batch_id"]
    read = "SELECT count(*), count(DISTINCT custom_id) FROM jobs WHERE batch_id = %s"

    def counted() -> tuple[int, int]:
        row = rows.execute(read, (id,)).fetchone()
        assert row is not None
        return row

    with subprocess.Popen([sys.executable, "-c", READER, database_url]) as reader:
        wait_until(lambda: counted()[0], DEADLINE_S, "the first lines")
        reader.kill()  # SIGKILL
    at_the_kill = counted()
    assert 0 < at_the_kill[0] < 3_000
    with reading_batches(database_url):
        wait_until(lambda: counted()[0] == 3_000, DEADLINE_S, "all lines")
        assert counted() == (3_000, 3_000)
        client.batches.cancel(made.id)
        ended(client, made.id)
