"""Migrates a database to the revision that this code needs; see `revisions`.

Migrations run forward only. A session-level advisory lock serialises upgrades.
"""

import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy.exc import OperationalError, PendingRollbackError

import migrations
from migrations.backfill import POSITIONS
from tierline.base.errors import Conflict
from tierline.storage.db.engine import connect, connect_args, psycopg_url
from tierline.storage.db.revisions import all_revisions, head
from tierline.storage.upkeep.partitions import make_ahead

UPGRADE_LOCK = 0x7E21_0001
DOES_NOT_ANSWER = (psycopg.OperationalError, OperationalError)
"""The errors if the database does not answer or the connection was cut."""
ASK_AGAIN_S = 0.1  # while another upgrade runs


class NewerDatabase(Conflict):
    """The database was migrated by a later version, and migrations do not run backwards."""


def create_engine(url: str) -> sa.Engine:
    """An engine for migrations; the rest of the product uses psycopg."""
    _, _, rest = psycopg_url(url).partition("://")
    return sa.create_engine(
        f"postgresql+psycopg://{rest}",
        connect_args=dict(connect_args("migrate")),
        poolclass=sa.NullPool,
    )


def alembic_config() -> Config:
    """Where Alembic finds the migrations."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.set_main_option("path_separator", "os")
    return config


def upgrade(
    database_url: str, tell: Callable[[str], None] = lambda _: None
) -> tuple[str | None, str]:
    """Migrate to this code's revision, and make the partitions ahead.

    Returns the revisions before and after. `tell` gets lines about the progress. An upgrade that
    was interrupted is run again, and continues where it stopped. Raises NewerDatabase for a
    revision that this code does not know, and Unavailable if other transactions kept it from a lock
    for too long.
    """
    config = alembic_config()
    engine = create_engine(database_url)
    try:
        with engine.connect() as connection:
            _wait_for_others(connection)
            before = MigrationContext.configure(connection).get_current_revision()
            connection.commit()
            if before is not None and before not in all_revisions():
                raise NewerDatabase(
                    f"the database is at revision {before}, of a later version of tierline; "
                    f"this one knows {head()}: run the later version"
                )
            config.attributes["connection"] = connection
            if before is not None:  # an empty database has nothing to wait for
                config.attributes["tell"] = tell
            try:
                command.upgrade(config, "head")
            except PendingRollbackError as error:
                # After a cut connection, Alembic leaves its block without a transaction.
                raise error.__context__ or error from None
            connection.execute(sa.text(f"DROP TABLE IF EXISTS {POSITIONS}"))
            connection.commit()
        # For a database that nobody used for weeks, or that was restored.
        with connect(database_url, "migrate") as plain:
            make_ahead(plain)
        return before, head()
    finally:
        engine.dispose()


def _wait_for_others(connection: sa.Connection) -> None:
    """Wait until no other upgrade runs, however long its migrations take.

    It polls, because waiting inside a statement would block the other upgrade: CREATE INDEX
    CONCURRENTLY waits for every statement that began before it.
    """
    while True:
        locked = connection.execute(
            sa.text("SELECT pg_try_advisory_lock(:key)"), {"key": UPGRADE_LOCK}
        ).scalar_one()
        connection.commit()
        if locked:
            return
        time.sleep(ASK_AGAIN_S)
