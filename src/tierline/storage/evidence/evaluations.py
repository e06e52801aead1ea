"""Evaluations: their plan, their steps and their results. `evaluation_jobs` has their jobs.

A step runs under the lock of the evaluation's row, so several processes may step it and none asks
an example twice.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from psycopg import Connection

from tierline.base.json_text import JSON
from tierline.storage.db.rows import typed_row, typed_rows
from tierline.storage.evidence.evaluation_jobs import EVALUATION_JOBS
from tierline.views.evidence.evaluations import EvaluationPlan, EvaluationRow

COLUMNS = """e.id, e.feature, e.dataset_id, e.account_id, e.status, e.plan, e.max_usd, e.document,
    e.created_at, e.ended_at, e.waits_for, d.version AS dataset, d.task,
    d.created_at AS dataset_at"""
FROM = "FROM evaluations e JOIN datasets d ON d.id = e.dataset_id"


class LockedEvaluation(EvaluationRow):
    """A running evaluation that this transaction has locked."""

    now: datetime  # by the database's clock


def add_evaluation(
    connection: Connection[Any],
    *,
    feature: str,
    dataset_id: int,
    account_id: int,
    plan: EvaluationPlan,
    max_usd: Decimal | None,
) -> int | None:
    """The id of a new one; None while another one of the feature runs."""
    row = connection.execute(
        "INSERT INTO evaluations (feature, dataset_id, account_id, status, plan, max_usd)"
        " VALUES (%(feature)s, %(dataset_id)s, %(account_id)s, 'running', %(plan)s::json,"
        " %(max_usd)s) ON CONFLICT (feature) WHERE status = 'running' DO NOTHING RETURNING id",
        {
            "feature": feature,
            "dataset_id": dataset_id,
            "account_id": account_id,
            "plan": json.dumps(plan),
            "max_usd": max_usd,
        },
    ).fetchone()
    return None if row is None else row[0]


def take_due(connection: Connection[Any], lost_s: float, most: int) -> list[int]:
    """Those that run and are due for a step; their next step is due in `lost_s` seconds. Locked
    ones are left out.
    """
    rows = connection.execute(
        """
        UPDATE evaluations SET step_at = clock_timestamp() + make_interval(secs => %s)
        WHERE id IN (
            SELECT id FROM evaluations
            WHERE status = 'running' AND (step_at IS NULL OR step_at <= clock_timestamp())
            ORDER BY step_at NULLS FIRST LIMIT %s FOR UPDATE SKIP LOCKED
        ) RETURNING id
        """,
        (lost_s, most),
    )
    return [id for (id,) in rows]


def lock_running(connection: Connection[Any], id: int) -> LockedEvaluation | None:
    """A running one, with `now`, locked in this transaction; None if it has ended or another
    transaction holds it.
    """
    return typed_row(
        connection,
        LockedEvaluation,
        f"SELECT {COLUMNS}, clock_timestamp() AS now {FROM}"
        " WHERE e.id = %s AND e.status = 'running' FOR UPDATE OF e SKIP LOCKED",
        (id,),
    )


def stepped(connection: Connection[Any], id: int, pause_s: float, waits_for: str | None) -> None:
    """Record a step, and when the next is due. Under its lock."""
    connection.execute(
        "UPDATE evaluations SET waits_for = %s,"
        " step_at = clock_timestamp() + make_interval(secs => %s) WHERE id = %s",
        (waits_for, pause_s, id),
    )


def postpone(connection: Connection[Any], id: int, pause_s: float) -> None:
    """Make the next step due in `pause_s` seconds."""
    connection.execute(
        "UPDATE evaluations SET step_at = clock_timestamp() + make_interval(secs => %s)"
        " WHERE id = %s",
        (pause_s, id),
    )


def evaluation(
    connection: Connection[Any], feature: str, id: int, *, lock: bool = False
) -> EvaluationRow | None:
    """One of a feature's; with `lock` nobody else steps or ends it in this transaction."""
    return typed_row(
        connection,
        EvaluationRow,
        f"SELECT {COLUMNS} {FROM} WHERE e.feature = %s AND e.id = %s"
        + (" FOR UPDATE OF e" if lock else ""),
        (feature, id),
    )


def running(connection: Connection[Any], feature: str) -> EvaluationRow | None:
    """The running one, or None."""
    return typed_row(
        connection,
        EvaluationRow,
        f"SELECT {COLUMNS} {FROM} WHERE e.feature = %s AND e.status = 'running'",
        (feature,),
    )


def list_evaluations(
    connection: Connection[Any], feature: str, most: int = 100
) -> list[EvaluationRow]:
    """A feature's, the newest first."""
    return typed_rows(
        connection,
        EvaluationRow,
        f"SELECT {COLUMNS} {FROM} WHERE e.feature = %s ORDER BY e.id DESC LIMIT %s",
        (feature, most),
    )


def allow(connection: Connection[Any], id: int, max_usd: Decimal | None) -> None:
    """Set the most that it may cost, and make it due now."""
    connection.execute(
        "UPDATE evaluations SET max_usd = %s, waits_for = NULL, step_at = NULL WHERE id = %s",
        (max_usd, id),
    )


def complete(
    connection: Connection[Any],
    id: int,
    document: JSON,
    scores: Sequence[tuple[str, int, float]],
) -> None:
    """Store the results; `scores` by tier and number. Under the evaluation's lock."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "UPDATE evaluation_answers SET score = %s"
            " WHERE evaluation_id = %s AND tier = %s AND number = %s",
            [(score, id, tier, number) for tier, number, score in scores],
        )
    connection.execute(
        "UPDATE evaluations SET status = 'completed', document = %s::json,"
        " ended_at = clock_timestamp() WHERE id = %s",
        (json.dumps(document), id),
    )


def cancel(connection: Connection[Any], id: int) -> list[tuple[int, UUID]]:
    """End it without results. Returns account and id of its jobs that still run. Under its lock."""
    connection.execute(
        "UPDATE evaluations SET status = 'cancelled', ended_at = clock_timestamp() WHERE id = %s",
        (id,),
    )
    return connection.execute(
        f"SELECT j.account_id, j.id FROM {EVALUATION_JOBS} JOIN jobs j ON j.id = a.job_id"
        " WHERE j.completed_at IS NULL",
        {"id": id},
    ).fetchall()
