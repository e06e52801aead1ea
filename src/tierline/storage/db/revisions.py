"""Which revisions of the database this code knows, read from the migrations' own lines.

Without Alembic and SQLAlchemy, which take half a second to import: every start of the API asks, and
so does every `tierline up`, and nearly always nothing is to be migrated.
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
    found: dict[str, str | None] = {}
    for path in (Path(migrations.__file__).parent / "versions").glob("*.py"):
        lines = dict(_LINE.findall(path.read_text(encoding="utf-8")))
        found[lines["revision"]] = lines["down_revision"] or None
    return found


def known() -> frozenset[str]:
    """Every revision that this code has heard of; another one is of a later version."""
    return frozenset(_chain())


def head() -> str:
    """The revision that this code is written for: the one that no other comes after."""
    (last,) = known() - set(_chain().values())
    return last


def before(revision: str) -> str | None:
    """The one that a revision comes after; None: it is the first."""
    return _chain()[revision]


def current(database_url: str) -> str | None:
    """The revision of the database; None when it was never migrated."""
    with connect(database_url, "migrate") as connection:
        try:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        except psycopg.errors.UndefinedTable:
            return None
    return None if row is None else str(row[0])
