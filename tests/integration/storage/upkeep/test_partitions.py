"""Partitions of tables of history on a real database."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import Connection
from psycopg.errors import CheckViolation

from tierline.base.ids import new_id
from tierline.rules.partitions import AHEAD, first_id
from tierline.storage.db.clock import now
from tierline.storage.db.partitioned import PARENTS, QUEUE_STORAGE, Parent
from tierline.storage.upkeep import partitions

LOG = Parent("visits", "id", QUEUE_STORAGE)
MONDAY = datetime(2026, 11, 30, tzinfo=UTC)
WEEK = timedelta(days=7)


@pytest.fixture
def connection(empty_database_url: str) -> Iterator[Connection[Any]]:
    with psycopg.connect(empty_database_url, autocommit=True) as opened:
        opened.execute(
            "CREATE TABLE visits (id uuid PRIMARY KEY, account_id int NOT NULL DEFAULT 1)"
            " PARTITION BY RANGE (id)"
        )
        opened.execute("CREATE INDEX visits_account_id_idx ON visits (account_id)")
        yield opened


def test_partitions_are_made_ahead_and_take_rows(connection: Connection[Any]) -> None:
    made = partitions.make_ahead(connection, parents=[LOG])
    assert 3 <= len(made) <= 4, "this week, two ahead, and on a Monday the last one"
    assert partitions.make_ahead(connection, parents=[LOG]) == []
    connection.execute("INSERT INTO visits (id) VALUES (%s)", (new_id(),))
    end = partitions.last_ends(connection, [LOG])["visits"]
    assert end is not None
    assert end >= now(connection) + AHEAD
    with pytest.raises(CheckViolation):
        connection.execute("INSERT INTO visits (id) VALUES (%s)", (first_id(end),))


def test_a_partition_has_its_parents_indexes_and_storage_options(
    connection: Connection[Any],
) -> None:
    name, *_ = partitions.make_ahead(connection, MONDAY, [LOG])
    indexes = connection.execute(
        "SELECT indexdef FROM pg_indexes WHERE tablename = %s", (name,)
    ).fetchall()
    assert sorted("UNIQUE" in definition for (definition,) in indexes) == [False, True]
    options = connection.execute(
        "SELECT reloptions FROM pg_class WHERE relname = %s", (name,)
    ).fetchone()
    assert options is not None
    assert set(options[0]) == {f"{name}={value}" for name, value in QUEUE_STORAGE.items()}


def test_partitions_continue_where_the_last_one_ends(connection: Connection[Any]) -> None:
    partitions.make_ahead(connection, MONDAY, [LOG])
    assert partitions.make_ahead(connection, MONDAY + WEEK, [LOG]) == ["visits_20261214"]
    assert [one.name for one in partitions.every(connection, [LOG])["visits"]] == [
        "visits_20261123",
        "visits_20261130",
        "visits_20261207",
        "visits_20261214",
    ]


def test_several_processes_make_each_partition_once(
    connection: Connection[Any], empty_database_url: str
) -> None:
    def make(_: int) -> list[str]:
        with psycopg.connect(empty_database_url, autocommit=True) as own:
            return partitions.make_ahead(own, MONDAY, [LOG])

    with ThreadPoolExecutor(4) as processes:
        made = [name for names in processes.map(make, range(4)) for name in names]
    made += partitions.make_ahead(connection, MONDAY, [LOG])
    assert sorted(made) == [one.name for one in partitions.every(connection, [LOG])["visits"]]
    assert len(made) == len(set(made))


def test_a_locked_table_is_left_to_the_next_round(
    connection: Connection[Any], empty_database_url: str
) -> None:
    with psycopg.connect(empty_database_url) as other:
        other.execute("LOCK TABLE visits IN SHARE UPDATE EXCLUSIVE MODE")
        assert partitions.make_ahead(connection, MONDAY, [LOG]) == []
    assert partitions.make_ahead(connection, MONDAY, [LOG]) != []


def test_rows_are_read_and_written_while_a_partition_is_made(
    connection: Connection[Any], empty_database_url: str
) -> None:
    partitions.make_ahead(connection, MONDAY, [LOG])
    with psycopg.connect(empty_database_url) as other:
        other.execute("INSERT INTO visits (id) VALUES (%s)", (first_id(MONDAY),))
        other.execute("SELECT count(*) FROM visits")
        assert partitions.make_ahead(connection, MONDAY + WEEK, [LOG]) != []


def test_a_table_that_is_not_partitioned_is_passed_over(connection: Connection[Any]) -> None:
    connection.execute("CREATE TABLE notes (id uuid PRIMARY KEY)")
    others = [Parent("notes", "id"), Parent("missing", "id")]
    assert partitions.make_ahead(connection, MONDAY, others) == []
    assert partitions.last_ends(connection, others) == {}


def test_roles_keep_what_they_may_on_partitions_made_later(connection: Connection[Any]) -> None:
    connection.execute("GRANT SELECT ON visits TO pg_monitor WITH GRANT OPTION")
    connection.execute("GRANT INSERT ON visits TO PUBLIC")
    name, *_ = partitions.make_ahead(connection, MONDAY, [LOG])
    for role, privilege, may in (
        ("pg_monitor", "SELECT WITH GRANT OPTION", True),
        ("pg_monitor", "INSERT", True),
        ("pg_read_all_settings", "INSERT", True),
        ("pg_read_all_settings", "SELECT", False),
    ):
        query = "SELECT has_table_privilege(%s::name, %s, %s)"
        assert connection.execute(query, (role, name, privilege)).fetchone() == (may,)


def test_the_statistics_of_partitioned_tables_are_gathered_once_a_day(
    fresh_database_url: str,
) -> None:
    with psycopg.connect(fresh_database_url, autocommit=True) as opened:
        analyzed = set()
        while (name := partitions.analyze_one(opened, 60.0)) is not None:
            assert name not in analyzed
            analyzed.add(name)
            # Of this server process, seen at once.
            opened.execute("SELECT pg_stat_force_next_flush()")
        assert analyzed == {"jobs", *(parent.table for parent in PARENTS)}
