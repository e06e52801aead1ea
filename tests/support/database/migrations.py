"""Databases as earlier releases left them."""

from alembic import command

from tierline.storage.db import migrate


def upgrade_to(database_url: str, revision: str) -> None:
    """Bring a database to an earlier revision, as the release of it did."""
    engine = migrate.create_engine(database_url)
    with engine.connect() as connection:
        config = migrate.alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.commit()
    engine.dispose()
