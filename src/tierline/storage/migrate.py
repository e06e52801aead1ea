"""Bringing a database to the revision that this code needs; `revisions` says which that is.

Migrations run forward only. A session-level advisory lock makes two upgrades at once one upgrade.
"""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext

import migrations
from tierline.errors import Conflict
from tierline.storage.engine import connect_args, psycopg_url
from tierline.storage.revisions import head, known

UPGRADE_LOCK = 0x7E21_0001


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


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.set_main_option("path_separator", "os")
    return config


def upgrade(database_url: str) -> tuple[str | None, str]:
    """Migrate to this code's revision. Returns the revision before and after.

    Raises NewerDatabase for a revision that this code has not heard of.
    """
    config = _config()
    engine = create_engine(database_url)
    try:
        with engine.connect() as connection:
            # Waits for another upgrade to end, however long its migrations take.
            connection.execute(sa.text("SET lock_timeout = 0"))
            connection.execute(sa.text("SELECT pg_advisory_lock(:key)"), {"key": UPGRADE_LOCK})
            connection.execute(sa.text("SET lock_timeout = '5s'"))
            connection.commit()
            before = MigrationContext.configure(connection).get_current_revision()
            connection.commit()
            if before is not None and before not in known():
                raise NewerDatabase(
                    f"the database is at revision {before}, of a later version of tierline; "
                    f"this one knows {head()}: run the later version"
                )
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
            return before, head()
    finally:
        engine.dispose()
