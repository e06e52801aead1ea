"""The jobs of an evaluation: which job answers which example on which tier, and the answers.

A step asks a few examples, under the lock of the evaluation. When an example is removed, it is
removed from its jobs too.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, TypedDict
from uuid import UUID

from psycopg import Connection

from tierline.base.json_text import JSON
from tierline.rules.jobs import Status
from tierline.storage.db.rows import typed_rows
from tierline.storage.jobs.job_reads import UNKNOWN_COST
from tierline.views.evidence.evaluations import EvaluationRow, TierProgress

# A shared row lock against the removal of rows, so that no job is added for a removed example.
ASK = """
WITH examples AS (
    SELECT d.number, d.input, w.id FROM unnest(%(ids)s::uuid[], %(numbers)s::int[]) w (id, number)
    JOIN dataset_rows d ON d.dataset_id = %(dataset_id)s AND d.number = w.number
    WHERE d.input IS NOT NULL FOR SHARE OF d
), added AS (
    INSERT INTO evaluation_answers (evaluation_id, tier, number, job_id)
    SELECT %(evaluation_id)s, %(tier)s, number, id FROM examples
    ON CONFLICT DO NOTHING RETURNING job_id
), job AS (
    INSERT INTO jobs (id, account_id, feature_version_id, status, tier, tier_index, queue)
    SELECT job_id, %(account_id)s, %(draft_id)s, %(status)s, %(tier)s, 0, %(queue)s FROM added
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
), added AS (
    INSERT INTO evaluation_judgements (evaluation_id, tier, number, swapped, job_id)
    SELECT %(evaluation_id)s, %(tier)s, number, %(swapped)s, id FROM answers_of
    ON CONFLICT DO NOTHING RETURNING job_id
), job AS (
    INSERT INTO jobs (id, account_id, feature_version_id, status, tier, tier_index, queue)
    SELECT job_id, %(account_id)s, %(draft_id)s, %(status)s, 'judge', 0, %(queue)s FROM added
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


EVALUATION_JOBS = """
(SELECT tier, job_id FROM evaluation_answers WHERE evaluation_id = %(id)s
 UNION ALL
 SELECT 'the judge', job_id FROM evaluation_judgements WHERE evaluation_id = %(id)s) a
"""


PROGRESS = f"""
SELECT a.tier, count(*) AS asked, count(j.completed_at) AS ended,
    max(j.completed_at) AS last_end,
    coalesce(sum(c.cost_usd), 0) AS cost_usd, coalesce(max(c.cost_usd), 0) AS most_usd,
    coalesce(sum(c.unknown), 0)::bigint AS unknown_cost_calls
FROM {EVALUATION_JOBS} JOIN jobs j ON j.id = a.job_id
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


# Jobs of examples whose row was emptied after the job was added.
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


def progress(connection: Connection[Any], id: int) -> dict[str, TierProgress]:
    """By tier: how many jobs were added and have ended, and their cost so far."""
    return {row["tier"]: row for row in typed_rows(connection, TierProgress, PROGRESS, {"id": id})}


def queued_pairs(connection: Connection[Any], id: int) -> set[tuple[str, int]]:
    """The (tier, number) pairs that have a job."""
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
    """Queue these examples, by number, for a tier, under the evaluation's lock. Leaves out removed
    examples and those that have a job.
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
    parameters = {"id": id, "numbers": None if numbers is None else list(numbers)}
    return typed_rows(connection, EvaluationAnswer, ANSWERS, parameters)


def left_over(connection: Connection[Any], most: int) -> list[UUID]:
    """Ended jobs of examples that were removed meanwhile, locked in this transaction."""
    return [id for (id,) in connection.execute(LEFT_OVER, (most,))]
