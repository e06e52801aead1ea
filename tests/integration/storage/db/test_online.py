"""The module for migrations on a live database: short locks, indexes, backfills."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from alembic import op
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory

from migrations import online
from migrations.backfill import POSITIONS, backfill
from tests.support.waiting import wait_until
from tierline.base.settings import settings
from tierline.storage.db import migrate

INDEX = [("numbers_idx", "numbers", "value", "value > 0")]
NUMBERS = 1_000
LONG_S = 30.0  # within which everything here happens
SEVERAL_TRIES_S = 1.5  # of a change that gives way
PROMPT_S = 1.0  # no statement of anybody may wait longer

DOUBLE = """
WITH next AS (
    SELECT id FROM numbers WHERE id > coalesce(%(after)s::bigint, 0) ORDER BY id LIMIT %(most)s
), doubled AS (
    UPDATE numbers SET value = 2 * value WHERE id IN (SELECT id FROM next)
)
SELECT count(*), max(id)::text FROM next
"""


@pytest.fixture(autouse=True)
def _waits_longest(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TIERLINE_MIGRATION_WAIT_S", "20")
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture
def rows(empty_database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection to a database with one table, `numbers`."""
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE numbers (id bigint PRIMARY KEY, value bigint)")
        connection.execute(
            "INSERT INTO numbers SELECT n, n FROM generate_series(1, %s) n", (NUMBERS,)
        )
        yield connection


def migrating(url: str, what: Callable[[], object], told: list[str] | None = None) -> None:
    """Run `what` as a migration does: `op` is the database's, on a connection of the upgrade."""
    config = migrate.alembic_config()
    config.attributes["tell"] = (told if told is not None else []).append
    environment = EnvironmentContext(config, ScriptDirectory.from_config(config))
    engine = migrate.create_engine(url)
    try:
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, environment_context=environment)
            with Operations.context(context), context.begin_transaction():
                what()
    finally:
        engine.dispose()


def columns(connection: psycopg.Connection[Any]) -> set[str]:
    return {
        name
        for (name,) in connection.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'numbers'::regclass AND attnum > 0"
        )
    }


def valid(connection: psycopg.Connection[Any]) -> bool | None:
    row = connection.execute(
        "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('numbers_idx')"
    ).fetchone()
    return None if row is None else bool(row[0])


def test_a_change_gives_way_to_a_transaction_and_holds_nobody_up(
    empty_database_url: str, rows: psycopg.Connection[Any]
) -> None:
    messages: list[str] = []

    def add() -> None:
        online.run("numbers", "ALTER TABLE numbers ADD COLUMN IF NOT EXISTS other int")

    with psycopg.connect(empty_database_url, application_name="pg_dump") as dump:
        pid = dump.info.backend_pid
        dump.execute("SELECT count(*) FROM numbers")
        with ThreadPoolExecutor(1) as aside:
            changed = aside.submit(migrating, empty_database_url, add, messages)
            wait_until(lambda: messages, LONG_S, "the change to report its wait")
            longest_s = 0.0
            until = time.monotonic() + SEVERAL_TRIES_S
            while (began := time.monotonic()) < until:
                rows.execute("UPDATE numbers SET value = value WHERE id = 1")
                longest_s = max(longest_s, time.monotonic() - began)
            assert not changed.done()
            assert longest_s < PROMPT_S
            dump.commit()
            changed.result(LONG_S)
    assert "other" in columns(rows)
    assert messages[0].startswith(
        f"waiting for a lock on numbers: it is held by process {pid} (pg_dump, in a transaction for"
    )
    assert "count" not in " ".join(messages)  # never the text of a query


def test_steps_are_done_together_or_not_at_all(
    empty_database_url: str, rows: psycopg.Connection[Any]
) -> None:
    def add() -> None:
        online.run(
            "numbers",
            lambda: op.add_column("numbers", sa.Column("one", sa.Integer())),
            "ALTER TABLE numbers ADD COLUMN value int",  # there is one
        )

    with pytest.raises(psycopg.errors.DuplicateColumn):
        migrating(empty_database_url, add)
    assert columns(rows) == {"id", "value"}


def test_a_lock_that_never_comes_free_ends_the_upgrade_with_its_holder(
    empty_database_url: str, rows: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIERLINE_MIGRATION_WAIT_S", "0.5")
    settings.cache_clear()
    with psycopg.connect(empty_database_url, application_name="report") as reader:
        pid = reader.info.backend_pid
        reader.execute("SELECT FROM numbers")
        with pytest.raises(online.Blocked) as caught:
            migrating(
                empty_database_url,
                lambda: online.run("numbers", "ALTER TABLE numbers ADD COLUMN other int"),
            )
    assert f"process {pid} (report" in caught.value.message
    assert "run 'tierline db upgrade' again" in caught.value.message


def test_a_step_that_works_too_long_under_its_lock_is_undone(
    empty_database_url: str, rows: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIERLINE_MIGRATION_WAIT_S", "0.2")
    settings.cache_clear()
    with pytest.raises(online.Blocked, match="took too long"):
        migrating(
            empty_database_url,
            lambda: online.run(
                "numbers",
                "ALTER TABLE numbers ADD COLUMN other int",
                "SELECT pg_sleep(60)",
                held_s=0.1,
            ),
        )
    assert columns(rows) == {"id", "value"}


def test_an_index_is_built_once_and_an_invalid_one_again(
    empty_database_url: str, rows: psycopg.Connection[Any]
) -> None:
    def build() -> None:
        migrating(empty_database_url, lambda: online.create_indexes(INDEX))

    with ThreadPoolExecutor(1) as aside, psycopg.connect(empty_database_url) as reader:
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        reader.execute("SELECT FROM numbers LIMIT 1")
        building = aside.submit(build)
        wait_until(lambda: valid(rows) is False, LONG_S, "the index to wait for the reader")
        rows.execute("INSERT INTO numbers VALUES (0, 0)")  # nobody is held up
        rows.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'tierline-migrate'"
        )
        with pytest.raises(migrate.DOES_NOT_ANSWER):
            building.result(LONG_S)
    assert valid(rows) is False
    build()
    assert valid(rows)
    first = rows.execute("SELECT 'numbers_idx'::regclass::oid").fetchone()
    build()
    assert rows.execute("SELECT 'numbers_idx'::regclass::oid").fetchone() == first
    migrating(empty_database_url, lambda: online.drop_indexes("numbers_idx", "numbers_idx"))
    assert valid(rows) is None


def test_a_long_wait_of_an_index_is_reported(
    empty_database_url: str, rows: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("migrations.blockers.LOOK_S", 0.05)
    messages: list[str] = []
    with (
        ThreadPoolExecutor(1) as aside,
        psycopg.connect(empty_database_url, application_name="pg_dump") as dump,
    ):
        pid = dump.info.backend_pid
        dump.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        dump.execute("SELECT FROM numbers LIMIT 1")
        building = aside.submit(
            migrating, empty_database_url, lambda: online.create_indexes(INDEX), messages
        )
        wait_until(lambda: messages, LONG_S, "a report")
        dump.commit()
        building.result(LONG_S)
    assert messages[0].startswith(
        f"index numbers_idx: waiting for the end of process {pid} (pg_dump, in a transaction for"
    )


def test_a_backfill_handles_every_row_once_though_it_is_cut(
    empty_database_url: str, rows: psycopg.Connection[Any]
) -> None:
    handled: list[int] = []

    def fill() -> None:
        migrating(
            empty_database_url,
            lambda: handled.append(backfill("numbers doubled", "numbers", DOUBLE, most=100)),
        )

    with ThreadPoolExecutor(1) as aside, psycopg.connect(empty_database_url) as holder:
        holder.execute("SELECT FROM numbers WHERE id = 550 FOR UPDATE")
        filling = aside.submit(fill)
        wait_until(
            lambda: (
                rows.execute("SELECT sum(value) FROM numbers WHERE id <= 500").fetchone()
                == (500 * 501,)
            ),
            LONG_S,
            "the first five batches",
        )
        rows.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'tierline-migrate'"
        )
        with pytest.raises(migrate.DOES_NOT_ANSWER):
            filling.result(LONG_S)
    assert handled == []
    fill()
    fill()  # it is done
    assert handled == [NUMBERS, NUMBERS]
    total = rows.execute("SELECT sum(value) FROM numbers").fetchone()
    assert total == (NUMBERS * (NUMBERS + 1),)


def test_an_upgrade_leaves_no_positions_behind(
    empty_database_url: str, rows: psycopg.Connection[Any]
) -> None:
    migrating(empty_database_url, lambda: backfill("numbers doubled", "numbers", DOUBLE))
    migrate.upgrade(empty_database_url)
    assert rows.execute("SELECT to_regclass(%s)", (POSITIONS,)).fetchone() == (None,)
