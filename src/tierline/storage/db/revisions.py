"""The database revisions that this code knows, read from the migration files.

It does not use Alembic and SQLAlchemy, which take half a second to import: every start of the API
and every `tierline up` asks, and there is rarely anything to migrate.
"""

import re
from functools import cache
from pathlib import Path

import psycopg

import migrations
from tierline.storage.db.engine import connect

_LINE = re.compile(r'^(revision|down_revision) = (?:"(\w+)"|None)$', re.MULTILINE)


@cache
def _chain() -> dict[str, str | None]:
    """Each revision with the one before it."""
    chain: dict[str, str | None] = {}
    for path in (Path(migrations.__file__).parent / "versions").glob("*.py"):
        lines = dict(_LINE.findall(path.read_text(encoding="utf-8")))
        chain[lines["revision"]] = lines["down_revision"] or None
    return chain


def all_revisions() -> frozenset[str]:
    """Every revision that this code knows; an unknown one is from a later version."""
    return frozenset(_chain())


def head() -> str:
    """The newest revision, which this code needs."""
    (last,) = all_revisions() - set(_chain().values())
    return last


def before(revision: str) -> str | None:
    """The revision before this one; None: it is the first."""
    return _chain()[revision]


def current(database_url: str) -> str | None:
    """The revision of the database; None when it was never migrated."""
    with connect(database_url, "migrate") as connection:
        try:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        except psycopg.errors.UndefinedTable:
            return None
    return None if row is None else str(row[0])
