"""Indexes on tables that are written to meanwhile, for the migrations."""

from collections.abc import Iterable

from alembic import op

# name, table, columns, which rows ("": all)
Index = tuple[str, str, str, str]


def build(indexes: Iterable[Index]) -> None:
    """Build indexes CONCURRENTLY: nobody who reads or writes waits for it, however long it takes.

    Commits what the migration has done so far, so that a cut in here leaves that behind: whatever a
    migration does before this must be fit to be done again (`if_not_exists`).
    """
    with op.get_context().autocommit_block():
        # Waits for whoever is in a transaction now and holds nobody up meanwhile, so let it wait.
        op.execute("SET lock_timeout = 0")
        for name, table, columns, rows in indexes:
            # One that a cut left half built is of no use, and would keep its name.
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            where = f" WHERE {rows}" if rows else ""
            op.execute(f"CREATE INDEX CONCURRENTLY {name} ON {table} ({columns}){where}")
        op.execute("SET lock_timeout = '5s'")
