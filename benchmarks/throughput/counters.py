"""What Postgres and the broker have counted: log bytes, statements, row versions, commands."""

from dataclasses import astuple, dataclass
from typing import Any

import psycopg
import redis

PRELOAD = {"shared_preload_libraries": "pg_stat_statements"}
"""The setting that a server needs for the statements to be counted."""

# The superuser's statements are the benchmark's own looks, and are left out.
_COUNTS = """
SELECT pg_current_wal_lsn() - '0/0'::pg_lsn,
    (SELECT coalesce(sum(calls), 0) FROM pg_stat_statements s
     JOIN pg_roles r ON r.oid = s.userid WHERE NOT r.rolsuper),
    (SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) FROM pg_stat_user_tables)
"""


@dataclass(frozen=True)
class Counters:
    """Totals since the start of the servers, or what came between two of them."""

    wal_bytes: float
    statements: float  # each is a round trip
    row_versions: float  # inserted, updated and deleted
    broker_commands: float

    def __sub__(self, before: "Counters") -> "Counters":
        return Counters(*(a - b for a, b in zip(astuple(self), astuple(before), strict=True)))

    def __add__(self, other: "Counters") -> "Counters":
        return Counters(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def each(self, jobs: int) -> "Counters":
        """The share of one job."""
        return Counters(*(value / jobs for value in astuple(self)))


def prepare(admin: psycopg.Connection[Any]) -> None:
    """Have the statements counted. The server was started with `PRELOAD`."""
    admin.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")


def read(admin: psycopg.Connection[Any], broker: "redis.Redis[bytes]") -> Counters:
    """What was counted until now. Row versions lag behind by up to a second."""
    row = admin.execute(_COUNTS).fetchone()
    assert row is not None
    wal_bytes, statements, row_versions = map(float, row)
    commands = float(broker.info("stats")["total_commands_processed"])
    return Counters(wal_bytes, statements, row_versions, commands)
