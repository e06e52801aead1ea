"""Alembic's environment: runs the migrations on the connection that `storage/db/migrate.py` gives.

`alembic` on the command line works as well, against DATABASE_URL.
"""

from typing import Any

from alembic import context
from alembic.runtime.migration import MigrationInfo
from sqlalchemy import Connection

from tierline.base.settings import settings
from tierline.storage.db.migrate import create_engine
from tierline.storage.db.partitioned import declared
from tierline.storage.db.tables import metadata


def _tell_revision(*, step: MigrationInfo, **_: Any) -> None:
    tell = context.config.attributes.get("tell")
    if tell is not None:
        tell(f"revision {step.up_revision_id} is applied")


def _run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        compare_type=True,
        include_name=declared,
        transaction_per_migration=True,
        on_version_apply=_tell_revision,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    _run(given)
else:
    with create_engine(settings().database).connect() as connection:
        _run(connection)
