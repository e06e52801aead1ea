"""Shared by all tables: the metadata, and common columns and options."""

from sqlalchemy import Column, DateTime, MetaData, text

metadata = MetaData(
    naming_convention={
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "pk": "%(table_name)s_pkey",
    }
)

NOW = text("clock_timestamp()")


def when(name: str, *, required: bool = False, comment: str | None = None) -> Column[object]:
    """A time with time zone; `required` ones default to the time of the insert."""
    return Column(
        name,
        DateTime(timezone=True),
        nullable=not required,
        server_default=NOW if required else None,
        comment=comment,
    )
