"""What all tables share: their metadata, and columns and options of one form."""

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
# Rows of a queue are rewritten two or three times in their life: leave room on the page for it, and
# let autovacuum come by count rather than by share of a table that only grows.
QUEUE_STORAGE = {
    "fillfactor": "80",
    "autovacuum_vacuum_scale_factor": "0.02",
    "autovacuum_vacuum_threshold": "2000",
    "autovacuum_analyze_scale_factor": "0.05",
}


def when(name: str, *, required: bool = False, comment: str | None = None) -> Column[object]:
    """A moment, with its time zone; `required` ones default to the time of the row."""
    return Column(
        name,
        DateTime(timezone=True),
        nullable=not required,
        server_default=NOW if required else None,
        comment=comment,
    )
