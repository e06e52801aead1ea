"""The tables of history become partitioned on a live database, without a copy of any row."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import Connection

from migrations import online, partitioning
from tests.support.database.migrations import upgrade_to
from tests.support.database.rows import add_account, add_feature, add_job, two_tiers
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.base.ids import new_id
from tierline.base.settings import settings
from tierline.rules.partitions import first_id
from tierline.storage.db import migrate
from tierline.storage.db.clock import now
from tierline.storage.db.partitioned import PARENTS
from tierline.storage.db.tables import metadata
from tierline.storage.upkeep import partitions

BEFORE = "0033"
# Migration 0037 makes jobs_ended, beside these.
CONVERTED = [parent for parent in PARENTS if parent.table != "jobs_ended"]

OUTCOME = (
    "INSERT INTO outcomes (job_id, attempt, feature, recipe, fingerprint, models, signals, served,"
    " inclusion, drawn) VALUES (%s, 1, 'echo', 'none', 'f', 'openai:small', '{}', false, 1, true)"
)
DELIVERY = (
    "INSERT INTO deliveries (id, account_id, url, target, job_id, event, status, next_try_at)"
    " VALUES (%s, 1, 'https://receiver.invalid', 't', %s, 'job.completed', 'pending', now())"
    " RETURNING seq"
)
ATTEMPT = (
    "INSERT INTO attempts (job_id, number, claim_token, tier, queue, worker)"
    " VALUES (%s, 1, %s, 'slm', 'slm', 'test')"
)
CALL = (
    "INSERT INTO calls (job_id, attempt, number, account_id, purpose, model)"
    " VALUES (%s, 1, %s, 1, 'answer', 'openai:small')"
)
ANSWER = "INSERT INTO answers (job_id, attempt, text) VALUES (%s, 1, 'an answer')"


class Live:
    """A database of the release before, with an account and a feature."""

    def __init__(self, url: str) -> None:
        upgrade_to(url, BEFORE)
        self.url = url
        self.connection = psycopg.connect(url, autocommit=True)
        self.account = add_account(self.connection, "acme")
        self.version = add_feature(self.connection, two_tiers())

    def add_history(self, connection: Connection[Any] | None = None) -> UUID:
        """A job with a row in each table of history, as the release before writes them."""
        connection = connection or self.connection
        with connection.transaction():
            job = add_job(connection, self.account, self.version)
            connection.execute(ATTEMPT, (job, new_id()))
            connection.execute(CALL, (job, 1))
            connection.execute(ANSWER, (job,))
            connection.execute(DELIVERY, (new_id(), job))
            connection.execute(OUTCOME, (job,))
        return job

    def counts(self) -> dict[str, int]:
        found = {}
        for parent in CONVERTED:
            row = self.connection.execute(f"SELECT count(*) FROM {parent.table}").fetchone()
            assert row is not None
            found[parent.table] = row[0]
        return found


@pytest.fixture
def live(empty_database_url: str) -> Iterator[Live]:
    made = Live(empty_database_url)
    with made.connection:
        yield made


def test_the_list_of_partitioned_tables_is_that_of_the_metadata() -> None:
    declared = {
        name: table.dialect_options["postgresql"]["partition_by"]
        for name, table in metadata.tables.items()
        if (table.dialect_options["postgresql"]["partition_by"] or "").startswith("RANGE")
    }
    assert {parent.table: f"RANGE ({parent.key})" for parent in PARENTS} == declared


def test_every_row_stays_where_it_is_and_new_ones_find_their_partition(live: Live) -> None:
    for _ in range(3):
        live.add_history()
    files = {
        parent.table: live.connection.execute(
            "SELECT pg_relation_filenode(%s::regclass)", (parent.table,)
        ).fetchone()
        for parent in CONVERTED
    }
    migrate.upgrade(live.url)
    assert set(live.counts().values()) == {3}
    for parent in CONVERTED:
        first, *later = partitions.every(live.connection)[parent.table]
        assert first.name.endswith("before")
        assert first.first is None
        assert (
            files[parent.table]
            == live.connection.execute(
                "SELECT pg_relation_filenode(%s::regclass)", (first.name,)
            ).fetchone()
        ), "it is the same file: nothing was copied"
        assert len(later) >= 2, "the upgrade makes the partitions ahead"
    live.add_history()
    ahead = first_id(now(live.connection) + timedelta(days=13))
    live.connection.execute(CALL, (ahead, 1))
    (home,) = live.connection.execute(
        "SELECT tableoid::regclass::text FROM calls WHERE job_id = %s", (ahead,)
    ).fetchone() or ("",)
    assert home.startswith("calls_2")


def test_seq_goes_on_where_it_was(live: Live) -> None:
    def next_seq() -> int:
        (seq,) = live.connection.execute(DELIVERY, (new_id(), new_id())).fetchone() or (0,)
        return int(seq)

    before = next_seq()
    migrate.upgrade(live.url)
    assert next_seq() == before + 1


def test_rows_are_inserted_all_the_while(live: Live) -> None:
    """No insert of the release before fails, and no row is lost."""
    stop = threading.Event()

    def insert() -> int:
        count = 0
        with psycopg.connect(live.url, autocommit=True) as connection:
            # Prepared at once, as in a process that has run for long.
            connection.prepare_threshold = 0
            while not stop.is_set():
                live.add_history(connection)
                count += 1
        return count

    with ThreadPoolExecutor(2) as inserting:
        counts = [inserting.submit(insert) for _ in range(2)]
        try:
            wait_until(
                lambda: live.counts()["outcomes"] > 10, DEADLINE_S, "rows of the release before"
            )
            migrate.upgrade(live.url)
            beyond = live.counts()["outcomes"] + 10
            wait_until(
                lambda: live.counts()["outcomes"] > beyond, DEADLINE_S, "rows after the migration"
            )
        finally:
            stop.set()
        total = sum(one.result(DEADLINE_S) for one in counts)
    assert set(live.counts().values()) == {total}


def test_a_transaction_that_uses_a_table_is_waited_for_without_holding_up_others(
    live: Live,
) -> None:
    with ThreadPoolExecutor(1) as aside, psycopg.connect(live.url) as reader:
        reader.execute("SELECT count(*) FROM calls")
        upgraded = aside.submit(migrate.upgrade, live.url)
        wait_until(
            lambda: "attempts" in partitions.every(live.connection), DEADLINE_S, "the table before"
        )
        # Each try for the lock ends after 50 ms, so that this gets its turn.
        for number in range(1, 20):
            with live.connection.transaction():
                live.connection.execute("SET LOCAL lock_timeout = '500ms'")
                live.connection.execute(CALL, (new_id(), number))
        assert not upgraded.done()
        reader.rollback()
        upgraded.result(DEADLINE_S)
    assert live.counts()["calls"] == 19


@pytest.fixture
def impatient() -> Iterator[None]:
    """Migrations give up soon."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIERLINE_MIGRATION_WAIT_S", "0.3")
        settings.cache_clear()
        yield
    settings.cache_clear()


def test_a_table_in_use_for_too_long_ends_the_migration_and_leaves_no_check(
    live: Live, impatient: None
) -> None:
    with psycopg.connect(live.url) as reader:
        reader.execute("SELECT count(*) FROM calls")
        with pytest.raises(online.Blocked, match="a lock on calls: it is held by process"):
            migrate.upgrade(live.url)
    assert (
        live.connection.execute(
            "SELECT conname FROM pg_constraint WHERE conname LIKE '%before_bound'"
        ).fetchall()
        == []
    )
    migrate.upgrade(live.url)
    assert "calls" in partitions.every(live.connection)


def test_ids_of_a_clock_that_was_ahead_move_the_bound_behind_them(live: Live) -> None:
    late = first_id(now(live.connection) + timedelta(days=60))
    live.connection.execute(CALL, (late, 1))
    migrate.upgrade(live.url)
    first, *_ = partitions.every(live.connection)["calls"]
    assert late < first.end
    assert first.ends_at < now(live.connection) + timedelta(days=70)


def test_ids_that_no_clock_made_are_named_and_nothing_changes(live: Live) -> None:
    odd = UUID("f81d4fae-7dec-41d0-a765-00a0c91e6bf6")
    live.connection.execute(CALL, (odd, 1))
    with pytest.raises(partitioning.CannotPartition, match=f"calls.job_id {odd}"):
        migrate.upgrade(live.url)
    live.connection.execute("DELETE FROM calls")
    migrate.upgrade(live.url)


def test_grants_and_triggers_stay(live: Live) -> None:
    live.connection.execute("GRANT SELECT ON calls TO pg_monitor")
    live.connection.execute(
        "CREATE FUNCTION told() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN NEW.error := 'seen'; RETURN NEW; END $$"
    )
    live.connection.execute(
        "CREATE TRIGGER told BEFORE INSERT ON calls FOR EACH ROW EXECUTE FUNCTION told()"
    )
    migrate.upgrade(live.url)
    live.connection.execute(CALL, (new_id(), 1))
    assert live.connection.execute(
        "SELECT error, has_table_privilege('pg_monitor', 'calls', 'SELECT') FROM calls"
    ).fetchone() == ("seen", True)
