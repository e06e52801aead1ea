"""Which providers each worker has a key for: names only.

A row counts until it expires, so a worker that was killed is forgotten.
"""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from psycopg import Connection


def publish(
    connection: Connection[Any], worker: UUID, providers: Collection[str], for_s: float
) -> None:
    """Write the worker's row, and remove expired ones. Safe to repeat; waits for nobody."""
    connection.execute(
        "WITH expired AS ("
        " DELETE FROM provider_keys WHERE worker IN ("
        "  SELECT worker FROM provider_keys"
        "  WHERE expires_at < clock_timestamp() AND worker <> %(worker)s"
        "  FOR UPDATE SKIP LOCKED))"
        " INSERT INTO provider_keys (worker, providers, expires_at)"
        " VALUES (%(worker)s, %(providers)s,"
        "  clock_timestamp() + make_interval(secs => %(for_s)s))"
        " ON CONFLICT (worker) DO UPDATE"
        " SET providers = EXCLUDED.providers, expires_at = EXCLUDED.expires_at",
        {"worker": worker, "providers": sorted(providers), "for_s": for_s},
    )


def published(connection: Connection[Any]) -> list[frozenset[str]]:
    """For each worker whose row has not expired, the providers that it has a key for."""
    rows = connection.execute(
        "SELECT providers FROM provider_keys WHERE expires_at >= clock_timestamp()"
    )
    return [frozenset(providers) for (providers,) in rows]


def remove(connection: Connection[Any], worker: UUID) -> None:
    """Remove the row of a worker that ends."""
    connection.execute("DELETE FROM provider_keys WHERE worker = %s", (worker,))
