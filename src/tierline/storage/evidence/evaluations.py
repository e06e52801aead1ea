"""Evaluations: which examples each tier was asked, by which job, and the results.

An evaluation asks a few examples per step, under the lock of its row, so several processes may step
it and none asks twice. When an example is removed, it is removed from its jobs too.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, TypedDict
from uuid import UUID

from psycopg import Connection

from tierline.base.json_text import JSON
from tierline.rules.jobs import Status
from tierline.storage.db.rows import typed_row, typed_rows
from tierline.storage.jobs.job_reads import UNKNOWN_COST
from tierline.views.evaluations import EvaluationPlan, EvaluationRow, TierProgress

COLUMNS = """e.id, e.feature, e.dataset_id, e.account_id, e.status, e.plan, e.max_usd, e.document,
    e.created_at, e.ended_at, e.waits_for, d.version AS dataset, d.task,
    d.created_at AS dataset_at"""
FROM = "FROM evaluations e JOIN datasets d ON d.id = e.dataset_id"

# A shared row lock against the removal of rows, so that removed examples are never asked.
ASK = """
WITH examples AS (
    SELECT d.number, d.input, w.id FROM unnest(%(ids)s::uuid[], %(numbers)s::int[]) w (id, number)
    JOIN dataset_rows d ON d.dataset_id = %(dataset_id)s AND d.number = w.number
    WHERE d.input IS NOT NULL FOR SHARE OF d
), asked AS (
    INSERT INTO evaluation_answers (evaluation_id, tier, number, job_id)
    SELECT %(evaluation_id)s, %(tier)s, number, id FROM examples
    ON CONFLICT DO NOTHING RETURNING job_id
), job AS (
    INSERT INTO jobs (id, account_id, feature_version_id, status, tier, tier_index, queue)
    SELECT job_id, %(account_id)s, %(draft_id)s, %(status)s, %(tier)s, 0, %(queue)s FROM asked
    RETURNING id
)
INSERT INTO job_requests (job_id, input)
SELECT job.id, examples.input FROM job JOIN examples ON examples.id = job.id
"""

# The judge's request is built in the database, so that no process handles the answers.
JUDGE = """
WITH answers_of AS (
    SELECT d.number, d.input, d.expected, o.output, w.id
    FROM unnest(%(ids)s::uuid[], %(numbers)s::int[]) w (id, number)
    JOIN dataset_rows d ON d.dataset_id = %(dataset_id)s AND d.number = w.number
    JOIN evaluation_answers a ON a.evaluation_id = %(evaluation_id)s AND a.tier = %(tier)s
        AND a.number = d.number
    JOIN jobs j ON j.id = a.job_id
    JOIN answers o ON o.job_id = j.id AND o.attempt = j.answer_attempt
    WHERE d.input IS NOT NULL FOR SHARE OF d
), asked AS (
    INSERT INTO evaluation_judgements (evaluation_id, tier, number, swapped, job_id)
    SELECT %(evaluation_id)s, %(tier)s, number, %(swapped)s, id FROM answers_of
    ON CONFLICT DO NOTHING RETURNING job_id
), job AS (
    INSERT INTO jobs (id, account_id, feature_version_id, status, tier, tier_index, queue)
    SELECT job_id, %(account_id)s, %(draft_id)s, %(status)s, 'judge', 0, %(queue)s FROM asked
    RETURNING id
)
INSERT INTO job_requests (job_id, input)
SELECT job.id, json_build_object('request', o.input,
    'a', CASE WHEN %(swapped)s THEN o.expected ELSE o.output END,
    'b', CASE WHEN %(swapped)s THEN o.output ELSE o.expected END)
FROM job JOIN answers_of o ON o.id = job.id
"""

JUDGED = """
SELECT g.tier, g.number, g.swapped, j.completed_at IS NOT NULL AS ended,
    CASE WHEN json_typeof(o.output -> 'same') = 'boolean'
        THEN (o.output ->> 'same')::boolean END AS same
FROM evaluation_judgements g JOIN jobs j ON j.id = g.job_id
LEFT JOIN answers o ON o.job_id = j.id AND o.attempt = j.answer_attempt
WHERE g.evaluation_id = %s
"""

ASKED_JOBS = """
(SELECT tier, job_id FROM evaluation_answers WHERE evaluation_id = %(id)s
 UNION ALL
 SELECT 'the judge', job_id FROM evaluation_judgements WHERE evaluation_id = %(id)s) a
"""

PROGRESS = f"""
SELECT a.tier, count(*) AS asked, count(j.completed_at) AS ended,
    max(j.completed_at) AS last_end,
    coalesce(sum(c.cost_usd), 0) AS cost_usd, coalesce(max(c.cost_usd), 0) AS most_usd,
    coalesce(sum(c.unknown), 0)::bigint AS unknown_cost_calls
FROM {ASKED_JOBS} JOIN jobs j ON j.id = a.job_id
CROSS JOIN LATERAL (
    SELECT sum(c.cost_usd) AS cost_usd, count(*) FILTER (WHERE {UNKNOWN_COST}) AS unknown
    FROM calls c WHERE c.job_id = j.id
) c
GROUP BY a.tier
"""

ANSWERS = f"""
SELECT a.tier, a.number, a.job_id, a.score, j.status, j.error_code, j.model, o.output,
    o.job_id IS NOT NULL AS has_output, t.latency_s, d.input, d.expected, d.source,
    d.input IS NULL AS removed, c.cost_usd, c.unknown_cost_calls
FROM evaluation_answers a
JOIN evaluations e ON e.id = a.evaluation_id
JOIN dataset_rows d ON d.dataset_id = e.dataset_id AND d.number = a.number
JOIN jobs j ON j.id = a.job_id
LEFT JOIN answers o ON o.job_id = j.id AND o.attempt = j.answer_attempt
LEFT JOIN attempts t ON t.job_id = j.id AND t.number = j.answer_attempt
CROSS JOIN LATERAL (
    SELECT coalesce(sum(c.cost_usd), 0) AS cost_usd,
        count(*) FILTER (WHERE {UNKNOWN_COST}) AS unknown_cost_calls
    FROM calls c WHERE c.job_id = j.id
) c
WHERE a.evaluation_id = %(id)s AND (%(numbers)s::int[] IS NULL OR a.number = ANY(%(numbers)s))
ORDER BY a.number, a.tier
"""

# Jobs of examples whose row was emptied after they had been asked.
LEFT_OVER = """
SELECT j.id FROM evaluations e
JOIN (
    SELECT evaluation_id, number, job_id FROM evaluation_answers
    UNION ALL SELECT evaluation_id, number, job_id FROM evaluation_judgements
) a ON a.evaluation_id = e.id
JOIN dataset_rows d ON d.dataset_id = e.dataset_id AND d.number = a.number
JOIN jobs j ON j.id = a.job_id
WHERE (e.ended_at IS NULL OR e.ended_at > clock_timestamp() - interval '1 day')
    AND d.input IS NULL AND j.completed_at IS NOT NULL AND j.input_removed_at IS NULL
LIMIT %s FOR NO KEY UPDATE OF j SKIP LOCKED
"""


class LockedEvaluation(EvaluationRow):
    """A running evaluation that this transaction has locked."""

    now: datetime  # by the database's clock


class EvaluationAnswer(TypedDict):
    """A tier's answer to an example."""

    tier: str
    number: int  # of the dataset's row
    job_id: UUID
    score: float | None
    status: str  # of the job
    error_code: str | None
    model: str | None
    output: JSON
    has_output: bool
    latency_s: float | None
    input: JSON
    expected: JSON
    source: str  # human, model or file
    removed: bool  # the example's content is gone
    cost_usd: Decimal  # known so far
    unknown_cost_calls: int


class Judgement(TypedDict):
    """A judge's comparison of a tier's answer with the expected one."""

    tier: str
    number: int  # of the dataset's row
    swapped: bool  # the expected one came first
    ended: bool
    same: bool | None  # None: its answer could not be read


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


def progress(connection: Connection[Any], id: int) -> dict[str, TierProgress]:
    """By tier: how many examples were asked and have ended, and their cost so far."""
    return {row["tier"]: row for row in typed_rows(connection, TierProgress, PROGRESS, {"id": id})}


def asked_numbers(connection: Connection[Any], id: int) -> set[tuple[str, int]]:
    """The (tier, number) pairs that were asked."""
    rows = connection.execute(
        "SELECT tier, number FROM evaluation_answers WHERE evaluation_id = %s", (id,)
    )
    return set(rows.fetchall())


def ask(
    connection: Connection[Any],
    evaluation: EvaluationRow,
    *,
    tier: str,
    draft_id: int,
    queue: str,
    jobs: Mapping[int, UUID],
) -> None:
    """Queue these examples, by number, for a tier. Removed ones, and those asked before, are left
    out. Under the evaluation's lock.
    """
    connection.execute(
        ASK,
        {
            "evaluation_id": evaluation["id"],
            "dataset_id": evaluation["dataset_id"],
            "account_id": evaluation["account_id"],
            "tier": tier,
            "draft_id": draft_id,
            "queue": queue,
            "status": Status.QUEUED.value,
            "numbers": list(jobs),
            "ids": list(jobs.values()),
        },
    )


def ask_judge(
    connection: Connection[Any],
    evaluation: EvaluationRow,
    *,
    tier: str,
    swapped: bool,
    draft_id: int,
    queue: str,
    jobs: Mapping[int, UUID],
) -> None:
    """Queue the judge's comparison of a tier's answers, by number, in one of the two orders. Under
    the evaluation's lock.
    """
    connection.execute(
        JUDGE,
        {
            "evaluation_id": evaluation["id"],
            "dataset_id": evaluation["dataset_id"],
            "account_id": evaluation["account_id"],
            "tier": tier,
            "swapped": swapped,
            "draft_id": draft_id,
            "queue": queue,
            "status": Status.QUEUED.value,
            "numbers": list(jobs),
            "ids": list(jobs.values()),
        },
    )


def judged(connection: Connection[Any], id: int) -> dict[tuple[str, int, bool], Judgement]:
    """The judge's results by tier, number and order."""
    return {
        (row["tier"], row["number"], row["swapped"]): row
        for row in typed_rows(connection, Judgement, JUDGED, (id,))
    }


def answers(
    connection: Connection[Any], id: int, numbers: Sequence[int] | None = None
) -> list[EvaluationAnswer]:
    """Each tier's answer to each example, or to some, in their order."""
    given = {"id": id, "numbers": None if numbers is None else list(numbers)}
    return typed_rows(connection, EvaluationAnswer, ANSWERS, given)


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
        f"SELECT j.account_id, j.id FROM {ASKED_JOBS} JOIN jobs j ON j.id = a.job_id"
        " WHERE j.completed_at IS NULL",
        {"id": id},
    ).fetchall()


def left_over(connection: Connection[Any], most: int) -> list[UUID]:
    """Ended jobs of examples that were removed meanwhile, locked in this transaction."""
    return [id for (id,) in connection.execute(LEFT_OVER, (most,))]


def seen_by_micro_model(connection: Connection[Any], feature: str, task: str) -> bytes | None:
    """8 bytes of the digest of each input that the present micro model has seen. None if there is
    no model, or if a client trained it: what a client says about its inputs is not trusted.
    """
    row = connection.execute(
        "SELECT CASE WHEN trained_by = 'server' THEN inputs END FROM micro_models"
        " WHERE feature = %s AND recipe = %s"
        " AND withdrawn_at IS NULL ORDER BY id DESC LIMIT 1",
        (feature, task),
    ).fetchone()
    return None if row is None else row[0]
