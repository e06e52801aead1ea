"""The circuits of models: which are open, until when, and which process probes.

A model has a row once something went wrong with it. Each statement is a transaction of its own, and
its condition decides which of several callers succeeds. Times are Postgres's.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection, Connection
from psycopg.rows import class_row

_READ = """
SELECT model, open, cause, reason, opened_at, failed_probes,
    extract(epoch FROM probe_at - clock_timestamp())::float8 AS probe_in_s,
    coalesce(extract(epoch FROM paused_until - clock_timestamp()), 0)::float8 AS paused_s,
    clock_timestamp() AS read_at
FROM circuits
"""
# statement_timestamp() is stable, so the comparison is made once and not for each row.
STANDING = _READ + "WHERE open OR paused_until > statement_timestamp()"
ALL = _READ + "ORDER BY model"

OPEN = """
INSERT INTO circuits AS c (model, open, cause, reason, opened_at, probe_at)
VALUES (%(model)s, true, %(cause)s, %(reason)s, clock_timestamp(),
    clock_timestamp() + make_interval(secs => %(wait_s)s))
ON CONFLICT (model) DO UPDATE SET
    open = true, cause = excluded.cause, reason = excluded.reason,
    opened_at = excluded.opened_at, probe_at = excluded.probe_at, failed_probes = 0,
    probe_token = NULL
WHERE NOT c.open
RETURNING true
"""

TAKE_PROBE = """
UPDATE circuits SET
    probe_token = %(token)s, probe_at = clock_timestamp() + make_interval(secs => %(within_s)s)
WHERE model = %(model)s AND open AND probe_at <= clock_timestamp()
RETURNING failed_probes
"""

CLOSE = """
UPDATE circuits SET
    open = false, cause = NULL, reason = NULL, opened_at = NULL, probe_at = NULL,
    probe_token = NULL, failed_probes = 0
WHERE model = %(model)s AND open AND probe_token = %(token)s
"""

PROBE_FAILED = """
UPDATE circuits SET
    cause = %(cause)s, reason = %(reason)s, failed_probes = failed_probes + 1, probe_token = NULL,
    probe_at = clock_timestamp() + make_interval(secs => %(wait_s)s)
WHERE model = %(model)s AND open AND probe_token = %(token)s
"""

PROBE_NOW = """
UPDATE circuits SET probe_at = clock_timestamp()
WHERE model = %s AND open AND probe_token IS NULL AND probe_at > clock_timestamp()
"""

PAUSE = """
INSERT INTO circuits AS c (model, paused_until)
VALUES (%(model)s, clock_timestamp() + make_interval(secs => %(wait_s)s))
ON CONFLICT (model) DO UPDATE SET
    paused_until = greatest(c.paused_until, excluded.paused_until)
"""


@dataclass(frozen=True)
class Circuit:
    """The present state of one model's circuit."""

    model: str  # provider:model
    open: bool
    cause: str | None  # the name of a Cause; null: the circuit is closed
    reason: str | None
    opened_at: datetime | None
    failed_probes: int
    probe_in_s: float | None  # negative: a probe may go out now
    paused_s: float  # until calls may go out after a rate limit; 0 or less: now
    read_at: datetime  # the time of this state


def standing(connection: Connection[Any]) -> list[Circuit]:
    """The circuits that stop calls from going out."""
    with connection.cursor(row_factory=class_row(Circuit)) as cursor:
        return cursor.execute(STANDING).fetchall()


def every(connection: Connection[Any]) -> list[Circuit]:
    """All circuits that have a row, by model."""
    with connection.cursor(row_factory=class_row(Circuit)) as cursor:
        return cursor.execute(ALL).fetchall()


async def reasons(connection: AsyncConnection[Any]) -> list[tuple[str, str, datetime]]:
    """The open circuits: model, why, since when."""
    rows = await connection.execute(
        "SELECT model, reason, opened_at FROM circuits WHERE open ORDER BY model"
    )
    return await rows.fetchall()


def open_circuit(
    connection: Connection[Any], model: str, cause: str, reason: str, wait_s: float
) -> bool:
    """Open it, with the first probe in `wait_s` seconds.

    Returns True for one of several callers.
    """
    parameters = {"model": model, "cause": cause, "reason": reason, "wait_s": wait_s}
    return connection.execute(OPEN, parameters).fetchone() is not None


def take_probe(connection: Connection[Any], model: str, token: UUID, within_s: float) -> int | None:
    """Become the probe of an open circuit, if one is due. Returns how many probes have failed
    before.

    One of several callers succeeds; the others get None, and so does everybody for `within_s`
    seconds.
    """
    parameters = {"model": model, "token": token, "within_s": within_s}
    row = connection.execute(TAKE_PROBE, parameters).fetchone()
    return None if row is None else int(row[0])


def close_circuit(connection: Connection[Any], model: str, token: UUID) -> bool:
    """The probe got an answer: calls go out again. False: another probe has taken over."""
    return connection.execute(CLOSE, {"model": model, "token": token}).rowcount == 1


def probe_failed(
    connection: Connection[Any], model: str, token: UUID, cause: str, reason: str, wait_s: float
) -> bool:
    """The probe failed: the next may go out in `wait_s`. False: another probe has taken over."""
    parameters = {
        "model": model,
        "token": token,
        "cause": cause,
        "reason": reason,
        "wait_s": wait_s,
    }
    return connection.execute(PROBE_FAILED, parameters).rowcount == 1


def give_back_probe(connection: Connection[Any], model: str, token: UUID) -> None:
    """The probe was not sent: another one may go out at once."""
    connection.execute(
        "UPDATE circuits SET probe_token = NULL, probe_at = clock_timestamp()"
        " WHERE model = %s AND open AND probe_token = %s",
        (model, token),
    )


def probe_now(connection: Connection[Any], model: str) -> bool:
    """Let the next probe of an open circuit go out at once. True for one of several callers. False:
    it may go out already, a probe is under way, or the circuit is closed.
    """
    return connection.execute(PROBE_NOW, (model,)).rowcount == 1


def pause(connection: Connection[Any], model: str, wait_s: float) -> None:
    """No call to the model for `wait_s` seconds from now; a longer pause stays."""
    connection.execute(PAUSE, {"model": model, "wait_s": wait_s})
