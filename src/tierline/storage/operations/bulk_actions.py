"""Bulk actions: their rows, and the walk along an account's jobs.

A step examines jobs by `seq`, the newest first. Whoever acts on a job holds the action's row, and
stores the job's `seq` as the new position in the same transaction: so of several processes only one
acts on a job, and what a killed one did is either stored with its position or not at all.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import Connection

from tierline.base.json_text import JSON
from tierline.rules.bulk_actions import Action, BulkStatus, Reason
from tierline.storage.db.homes import Span, at_homes, read_at_home
from tierline.storage.db.rows import typed_row, typed_rows
from tierline.storage.jobs.job_pages import JobPosition, in_few_weeks
from tierline.storage.jobs.job_reads import REQUEST, RequestRow
from tierline.storage.jobs.job_search import Examined
from tierline.views.operations.bulk_actions import BulkActionRow

COLUMNS = """id, seq, account_id, key_id, action, filter, most, status, matched, more, at_most_usd,
    position, done, failed, errors, waits_for, created_at, ended_at"""

_ADD = f"""
INSERT INTO bulk_actions (id, account_id, key_id, action, filter, most, matched, more, at_most_usd,
    position, idempotency_key, payload_hash)
VALUES (%(id)s, %(account_id)s, %(key_id)s, %(action)s, %(filter)s::json, %(most)s, %(matched)s,
    %(more)s, %(at_most_usd)s, %(position)s, %(key)s, %(payload_hash)s)
ON CONFLICT (account_id, idempotency_key) DO NOTHING
RETURNING {COLUMNS}
"""

_SAMPLE = """
SELECT v.name AS feature, j.tier, j.status, v.version < 0 AS draft,
    length(r.input::text) AS characters
FROM @jobs j JOIN @job_requests r ON r.job_id = j.id
JOIN feature_versions v ON v.id = j.feature_version_id
WHERE j.id = ANY(%s)
"""

# Those whose hint was lost are due again.
_TAKE_DUE = """
UPDATE bulk_actions SET step_at = clock_timestamp() + make_interval(secs => %s)
WHERE id IN (
    SELECT id FROM bulk_actions
    WHERE status = 'running' AND (step_at IS NULL OR step_at <= clock_timestamp())
    ORDER BY step_at NULLS FIRST LIMIT %s FOR UPDATE SKIP LOCKED
) RETURNING id
"""


@dataclass(frozen=True)
class NewBulkAction:
    """An action to store."""

    id: UUID
    account_id: int
    key_id: int
    action: Action
    filter: Mapping[str, JSON]
    most: int | None
    matched: int
    more: bool
    at_most_usd: object  # Decimal; None: unknown
    position: int
    key: str | None
    payload_hash: bytes | None


@dataclass(frozen=True)
class SampledJob:
    """What the estimate of a cost needs of a job."""

    feature: str
    tier: str
    status: str
    draft: bool
    characters: int | None  # of its input; None: it was removed


def next_seq(connection: Connection[Any]) -> int:
    """Above the `seq` of every job so far, and not above that of a later one."""
    row = connection.execute("SELECT last_value + 1 FROM jobs_seq_seq").fetchone()
    assert row is not None, "a sequence has one row"
    return int(row[0])


def sample(connection: Connection[Any], jobs: Sequence[Examined]) -> list[SampledJob]:
    """What the estimate needs of these jobs."""
    rows: list[SampledJob] = []
    for ids in in_few_weeks([JobPosition(one.seq, one.id) for one in jobs]):
        statement = at_homes(connection, _SAMPLE, Span(min(ids), max(ids)))
        rows += typed_rows(connection, SampledJob, statement, (ids,))
    return rows


def request_of(connection: Connection[Any], account_id: int, job_id: UUID) -> RequestRow | None:
    """A job's request, to run it again; None if the account has no such job."""
    return read_at_home(
        connection,
        REQUEST,
        job_id,
        lambda statement: typed_row(connection, RequestRow, statement, (job_id, account_id)),
    )


def add(connection: Connection[Any], new: NewBulkAction) -> BulkActionRow | None:
    """The new row; None if the account has used the key."""
    values = vars(new) | {"filter": json.dumps(new.filter)}
    return typed_row(connection, BulkActionRow, _ADD, values)


def of_key(
    connection: Connection[Any], account_id: int, key: str
) -> tuple[BulkActionRow, bytes] | None:
    """The action that used the key, and the hash of its request."""
    row = typed_row(
        connection,
        BulkActionRow,
        f"SELECT {COLUMNS} FROM bulk_actions WHERE account_id = %s AND idempotency_key = %s",
        (account_id, key),
    )
    if row is None:
        return None
    hashed = connection.execute(
        "SELECT payload_hash FROM bulk_actions WHERE id = %s", (row["id"],)
    ).fetchone()
    assert hashed is not None, "rows with a key are not removed at once"
    return row, bytes(hashed[0])


def count_running(connection: Connection[Any], account_id: int) -> int:
    """How many of the account's actions run. Others that begin one wait until this transaction ends
    for their count.
    """
    connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('bulk_actions', %s))", (account_id,)
    )
    row = connection.execute(
        "SELECT count(*) FROM bulk_actions WHERE account_id = %s AND status = 'running'",
        (account_id,),
    ).fetchone()
    assert row is not None, "count(*) gives one row"
    return int(row[0])


def action_of(connection: Connection[Any], account_id: int, id: UUID) -> BulkActionRow | None:
    """An account's action."""
    return typed_row(
        connection,
        BulkActionRow,
        f"SELECT {COLUMNS} FROM bulk_actions WHERE account_id = %s AND id = %s",
        (account_id, id),
    )


def list_actions(
    connection: Connection[Any], account_id: int, before: int | None, limit: int
) -> list[BulkActionRow]:
    """The account's actions with `seq` below `before`, the newest first."""
    return typed_rows(
        connection,
        BulkActionRow,
        f"SELECT {COLUMNS} FROM bulk_actions WHERE account_id = %(account)s"
        " AND (%(before)s::bigint IS NULL OR seq < %(before)s) ORDER BY seq DESC LIMIT %(limit)s",
        {"account": account_id, "before": before, "limit": limit},
    )


def running(connection: Connection[Any], id: UUID) -> BulkActionRow | None:
    """A running action, of any account."""
    return typed_row(
        connection,
        BulkActionRow,
        f"SELECT {COLUMNS} FROM bulk_actions WHERE id = %s AND status = 'running'",
        (id,),
    )


def lock_running(connection: Connection[Any], id: UUID) -> BulkActionRow | None:
    """A running action, locked in this transaction; None if it has ended or another transaction
    holds it.
    """
    return typed_row(
        connection,
        BulkActionRow,
        f"SELECT {COLUMNS} FROM bulk_actions WHERE id = %s AND status = 'running'"
        " FOR UPDATE SKIP LOCKED",
        (id,),
    )


def write_done(connection: Connection[Any], id: UUID, position: int) -> None:
    """One more job is done. Under the action's lock."""
    connection.execute(
        "UPDATE bulk_actions SET done = done + 1, position = %s, waits_for = NULL WHERE id = %s",
        (position, id),
    )


def write_failed(
    connection: Connection[Any], id: UUID, position: int, errors: Mapping[str, Reason]
) -> None:
    """The action did not apply to one more job. Under the action's lock."""
    connection.execute(
        "UPDATE bulk_actions SET failed = failed + 1, position = %s, errors = %s::jsonb,"
        " waits_for = NULL WHERE id = %s",
        (position, json.dumps(errors), id),
    )


def move(connection: Connection[Any], id: UUID, position: int) -> None:
    """All jobs from this position on are examined. Under the action's lock."""
    connection.execute(
        "UPDATE bulk_actions SET position = least(position, %s) WHERE id = %s", (position, id)
    )


def end(connection: Connection[Any], account_id: int, id: UUID, status: BulkStatus) -> None:
    """End a running action. It does no more to any job once this is committed."""
    connection.execute(
        "UPDATE bulk_actions SET status = %s, ended_at = clock_timestamp(), waits_for = NULL,"
        " step_at = NULL WHERE account_id = %s AND id = %s AND status = 'running'",
        (status, account_id, id),
    )


def stepped(connection: Connection[Any], id: UUID, pause_s: float, waits_for: str | None) -> None:
    """When the next step is due, and what it waits for."""
    connection.execute(
        "UPDATE bulk_actions SET step_at = clock_timestamp() + make_interval(secs => %s),"
        " waits_for = coalesce(%s, waits_for) WHERE id = %s AND status = 'running'",
        (pause_s, waits_for, id),
    )


def take_due(connection: Connection[Any], lost_s: float, most: int) -> list[UUID]:
    """Those that run and are due for a step; their next step is due in `lost_s` seconds."""
    return [id for (id,) in connection.execute(_TAKE_DUE, (lost_s, most))]


def forget_ended(connection: Connection[Any], account_id: int, kept_days: int, most: int) -> int:
    """Remove the account's actions that ended so long ago. Returns how many."""
    return connection.execute(
        "DELETE FROM bulk_actions WHERE id IN (SELECT id FROM bulk_actions WHERE account_id = %s"
        " AND ended_at < clock_timestamp() - make_interval(days => %s) ORDER BY seq LIMIT %s)",
        (account_id, kept_days, most),
    ).rowcount
