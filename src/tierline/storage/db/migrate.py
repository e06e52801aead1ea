"""Bringing a database to the revision that this code needs; `revisions` says which that is.

Migrations run forward only. A session-level advisory lock makes two upgrades at once one upgrade.
"""

import time
from pathlib import Path

import psycopg
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy.exc import OperationalError, PendingRollbackError

import migrations
from tierline.base.errors import Conflict
from tierline.storage.db.engine import connect_args, psycopg_url
from tierline.storage.db.revisions import head, known

UPGRADE_LOCK = 0x7E21_0001
DOES_NOT_ANSWER = (psycopg.OperationalError, OperationalError)
"""What is raised where the database does not answer, or was cut."""
ASK_AGAIN_S = 0.1  # while another upgrade runs


class NewerDatabase(Conflict):
    """The database was migrated by a later version; there is no way back down."""


def create_engine(url: str) -> sa.Engine:
    """An engine for migrations; the rest of the product talks to psycopg."""
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


def upgrade(database_url: str) -> tuple[str | None, str]:
    """Migrate to this code's revision. Returns the revision before and after.

    Raises NewerDatabase for a revision that this code has not heard of.
    """
    config = alembic_config()
    engine = create_engine(database_url)
    try:
        with engine.connect() as connection:
            _wait_for_others(connection)
            before = MigrationContext.configure(connection).get_current_revision()
            connection.commit()
            if before is not None and before not in known():
                raise NewerDatabase(
                    f"the database is at revision {before}, of a later version of tierline; "
                    f"this one knows {head()}: run the later version"
                )
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except PendingRollbackError as error:
                # Alembic leaves its block outside a transaction over a connection that was cut.
                raise error.__context__ or error from None
            connection.commit()
            return before, head()
    finally:
        engine.dispose()


def _wait_for_others(connection: sa.Connection) -> None:
    """Return when no other upgrade runs, however long its migrations take.

    Asks again and again, since one that waited inside a statement would hold up the other: an index
    that is built CONCURRENTLY waits for every statement that began before it.
    """
    while True:
        found = connection.execute(
            sa.text("SELECT pg_try_advisory_lock(:key)"), {"key": UPGRADE_LOCK}
        ).scalar_one()
        connection.commit()
        if found:
            return
        time.sleep(ASK_AGAIN_S)
