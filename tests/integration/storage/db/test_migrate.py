"""Migrations on a real database: from empty, again, two at once, and to what the code describes."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import OperationalError

import migrations
from tests.support.database.migrations import upgrade_to
from tests.support.database.rows import add_account, add_feature, add_job, status_of, two_tiers
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.services.accounts.accounts import became_operators
from tierline.storage.db import migrate, revisions
from tierline.storage.db.partitioned import declared
from tierline.storage.db.tables import metadata

LATER = "9999_of_a_later_version"
BEFORE = "0001"


def test_an_empty_database_comes_to_the_revision_of_this_code(empty_database_url: str) -> None:
    assert migrate.upgrade(empty_database_url) == (None, revisions.head())
    assert migrate.upgrade(empty_database_url) == (revisions.head(), revisions.head())


def test_the_rows_of_each_earlier_revision_come_to_this_one(empty_database_url: str) -> None:
    """One database climbs from revision to revision; each adds its rows to those before it."""
    jobs = {}
    with psycopg.connect(empty_database_url, autocommit=True) as rows:
        for before in sorted(revisions.all_revisions()):
            upgrade_to(empty_database_url, before)
            owner = add_account(rows, f"acme-{before}")
            jobs[before] = add_job(rows, owner, add_feature(rows, two_tiers(f"echo-{before}")))
        assert migrate.upgrade(empty_database_url) == (revisions.head(), revisions.head())
        assert {status_of(rows, job) for job in jobs.values()} == {"queued"}
        assert rows.execute("SELECT count(*) FROM accounts").fetchone() == (len(jobs),)
        assert rows.execute("SELECT count(*) FROM job_requests").fetchone() == (len(jobs),)


@pytest.mark.parametrize("before", [BEFORE, "0025", "0033", revisions.before(revisions.head())])
def test_a_database_with_rows_comes_from_the_releases_and_keeps_them(
    empty_database_url: str, before: str
) -> None:
    """From the first revision, those of 0.1.0 and 0.2.0, and the one before, in one upgrade."""
    upgrade_to(empty_database_url, before)
    with psycopg.connect(empty_database_url, autocommit=True) as rows:
        owner = add_account(rows, "acme")
        job = add_job(rows, owner, add_feature(rows, two_tiers()))
        assert migrate.upgrade(empty_database_url) == (before, revisions.head())
        assert status_of(rows, job) == "queued"
        # A process of the release before goes on writing as it did.
        assert add_account(rows, "globex") > owner


def test_two_upgrades_at_once_are_one(empty_database_url: str) -> None:
    with ThreadPoolExecutor(2) as both:
        found = list(both.map(migrate.upgrade, [empty_database_url] * 2))
    assert sorted(before or "" for before, _ in found) == ["", revisions.head()]


def test_the_migrations_make_what_the_tables_describe(fresh_database_url: str) -> None:
    engine = migrate.create_engine(fresh_database_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "include_name": declared}
        )
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_a_database_of_a_later_version_is_left_alone_and_said(fresh_database_url: str) -> None:
    with psycopg.connect(fresh_database_url, autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = %s", (LATER,))
        with pytest.raises(migrate.NewerDatabase, match=LATER):
            migrate.upgrade(fresh_database_url)
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    assert row == (LATER,)


def test_the_revisions_read_without_alembic_are_those_that_it_runs(
    empty_database_url: str, fresh_database_url: str
) -> None:
    scripts = ScriptDirectory(str(Path(migrations.__file__).parent))
    assert revisions.head() == scripts.get_current_head()
    assert revisions.all_revisions() == {script.revision for script in scripts.walk_revisions()}
    assert revisions.current(empty_database_url) is None
    assert revisions.current(fresh_database_url) == revisions.head()


def test_the_release_before_goes_on_while_its_database_is_migrated(empty_database_url: str) -> None:
    upgrade_to(empty_database_url, BEFORE)
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        account = add_account(connection, "acme")
        version = add_feature(connection, two_tiers())
        job = add_job(connection, account, version)
        with ThreadPoolExecutor(1) as aside:
            # A worker is in the middle of a transaction: it is waited for, not cut.
            with connection.transaction():
                connection.execute("UPDATE jobs SET status = 'in_progress' WHERE id = %s", (job,))
                upgraded = aside.submit(migrate.upgrade, empty_database_url)
                with psycopg.connect(empty_database_url, autocommit=True) as other:
                    wait_until(lambda: waits(other), DEADLINE_S, "the migration to wait")
                    assert not upgraded.done()
            assert upgraded.result(DEADLINE_S) == (BEFORE, revisions.head())
        row = connection.execute(
            "SELECT status, input_removed_at, output_removed_at FROM jobs"
        ).fetchone()
        assert row == ("in_progress", None, None)
        add_job(connection, account, version)


def test_an_index_that_a_cut_left_half_built_is_built_anew(empty_database_url: str) -> None:
    upgrade_to(empty_database_url, BEFORE)
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute("CREATE INDEX deliveries_failed_idx ON deliveries (ended_at)")
        migrate.upgrade(empty_database_url)
        (definition,) = connection.execute(
            "SELECT pg_get_indexdef('deliveries_failed_idx'::regclass)"
        ).fetchone() or ("",)
    assert "status = 'failed'" in definition


def test_admin_keys_of_before_become_operators_keys_and_new_ones_do_not(
    empty_database_url: str,
) -> None:
    upgrade_to(empty_database_url, "0025")
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        account = add_account(connection, "acme")

        def key(name: str, scopes: list[str], **more: Any) -> int:
            values = {"account_id": account, "name": name, "prefix": name, "scopes": scopes, **more}
            values["digest"] = name.encode()
            columns = ", ".join(values)
            places = ", ".join(f"%({column})s" for column in values)
            (made,) = connection.execute(
                f"INSERT INTO api_keys ({columns}) VALUES ({places}) RETURNING id", values
            ).fetchone() or (0,)
            return int(made)

        first, both = key("first", ["admin"]), key("both", ["read", "admin"])
        key("reader", ["submit", "read"])
        key("revoked", ["admin"], revoked_at=datetime.now(UTC))
        key("expired", ["admin"], expires_at=datetime.now(UTC) - timedelta(days=1))

        before, after = migrate.upgrade(empty_database_url)
        told = became_operators(empty_database_url, before)
        assert [(one["id"], one["name"], one["account"]) for one in told] == [
            (first, "first", "acme"),
            (both, "both", "acme"),
        ]
        assert became_operators(empty_database_url, after) == []
        # A process of the release before makes an admin key: it is an account administrator's.
        key("late", ["admin"])
        migrate.upgrade(empty_database_url)
        kept = dict(connection.execute("SELECT name, scopes FROM api_keys").fetchall())
    assert kept == {
        "first": ["admin", "operator"],  # the release before goes by `admin`
        "both": ["read", "admin", "operator"],
        "reader": ["submit", "read"],
        "revoked": ["admin"],
        "expired": ["admin"],
        "late": ["admin"],
    }


@pytest.mark.parametrize(
    ("before", "index"),
    [
        ("0001", "jobs_choice_idx"),
        ("0002", "jobs_inputs_kept_idx"),
        ("0006", "jobs_inputs_due_idx"),
        (revisions.before("0029"), "jobs_choice_by_tier_idx"),
    ],
)
def test_an_upgrade_that_was_cut_in_an_index_is_done_by_the_next(
    empty_database_url: str, before: str, index: str
) -> None:
    upgrade_to(empty_database_url, before)
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        account, version = add_account(connection, "acme"), add_feature(connection, two_tiers())
        job = add_job(connection, account, version)
        with ThreadPoolExecutor(1) as aside, psycopg.connect(empty_database_url) as reader:
            # An index that is built CONCURRENTLY waits for every older snapshot at its end.
            reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            reader.execute("SELECT FROM features")
            upgraded = aside.submit(migrate.upgrade, empty_database_url)
            wait_until(
                lambda: unfinished(connection) == [(index,)] and waits(connection),
                DEADLINE_S,
                "the index to wait for the reader",
            )
            add_job(connection, account, version)  # nobody is held up by it
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name = 'tierline-migrate'"
            )
            with pytest.raises(OperationalError):
                upgraded.result(DEADLINE_S)
        assert unfinished(connection) == [(index,)]
        assert migrate.upgrade(empty_database_url) == (before, revisions.head())
        assert unfinished(connection) == []
        assert status_of(connection, job) == "queued"


ENDPOINT = """
INSERT INTO webhook_endpoints (id, account_id, url, events, secret)
VALUES (gen_random_uuid(), %s, 'https://hooks.example.com:8443/', '{}', 'whsec_x')
RETURNING id
"""


def test_endpoints_of_the_release_before_go_on_as_they_did(empty_database_url: str) -> None:
    """Those that were there, and those that its processes still add beside the new ones."""
    upgrade_to(empty_database_url, BEFORE)
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        account = add_account(connection, "acme")
        connection.execute(ENDPOINT, (account,))
        migrate.upgrade(empty_database_url)
        connection.execute(ENDPOINT, (account,))
        rows = connection.execute(
            "SELECT max_in_flight, batch_rows, any_port FROM webhook_endpoints"
        ).fetchall()
    assert rows == [(2, True, True)] * 2


VERSIONS = Path(migrations.__file__).parent / "versions"
COMMITTING = ("build(", "online.", "backfill(")  # what commits a migration's work so far
BUILDING = [
    path.name[:4]
    for path in sorted(VERSIONS.glob("*.py"))
    if any(name in path.read_text() for name in COMMITTING)
]


@pytest.mark.parametrize("revision", BUILDING)
def test_a_migration_that_builds_indexes_may_be_run_again(
    empty_database_url: str, revision: str
) -> None:
    """A cut at any index, or after the last one, leaves all that was done before it."""
    upgrade_to(empty_database_url, revision)
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        made = schema(connection)
        before = revisions.before(revision)
        connection.execute("UPDATE alembic_version SET version_num = %s", (before,))
        upgrade_to(empty_database_url, revision)
        assert revisions.current(empty_database_url) == revision
        assert schema(connection) == made
        assert unfinished(connection) == []


def schema(connection: psycopg.Connection[Any]) -> list[tuple[str]]:
    """Every index, constraint, trigger, and column with its type, as PostgreSQL says it."""
    return connection.execute(
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'"
        " UNION ALL SELECT concat_ws(' ', table_name, column_name, data_type, is_nullable,"
        " column_default) FROM information_schema.columns WHERE table_schema = 'public'"
        " UNION ALL SELECT concat(conrelid::regclass, ' ', pg_get_constraintdef(oid))"
        " FROM pg_constraint WHERE connamespace = 'public'::regnamespace"
        " UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal"
        " ORDER BY 1"
    ).fetchall()


def unfinished(connection: psycopg.Connection[Any]) -> list[tuple[str]]:
    """The names of indexes that are half built."""
    return connection.execute(
        "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"
    ).fetchall()


def waits(connection: psycopg.Connection[tuple[object, ...]]) -> bool:
    """Whether anybody waits for a lock in this database."""
    found = connection.execute(
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database()"
        " AND wait_event_type = 'Lock'"
    )
    return found.fetchone() is not None
