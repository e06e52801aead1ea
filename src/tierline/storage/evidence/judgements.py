"""Outcomes that a judge compares: which are due, the judge's jobs, and their results."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import Connection

from tierline.base.json_text import JSON
from tierline.rules.jobs import Status
from tierline.storage.db.rows import typed_row, typed_rows
from tierline.storage.evidence.labels import OUTCOME_WITH_LABEL
from tierline.storage.evidence.shadows import OutcomeKey

AGAIN_S = 300.0  # wait until an outcome is judged again, if its judge gave no usable answer
MOST_TRIES = 3

_SAID = """
CASE WHEN json_typeof(w.output -> 'same') = 'boolean' THEN (w.output ->> 'same')::boolean END
"""

# An outcome's answer and its reference: the answer that shadows.OPEN compares it with.
_PAIR = """
JOIN jobs r ON r.id = coalesce(o.shadow_job_id, CASE WHEN NOT o.served THEN o.job_id END)
JOIN job_requests q ON q.job_id = o.job_id
LEFT JOIN answers own ON own.job_id = o.job_id AND own.attempt = o.attempt
LEFT JOIN answers later ON later.job_id = r.id AND later.attempt = r.answer_attempt
"""

DUE = f"""
SELECT o.job_id, o.attempt, o.feature, o.judge, o.shadow_job_id, j.feature_version_id, q.input,
    own.output, own.job_id IS NOT NULL AS has_output, later.output AS reference,
    later.job_id IS NOT NULL AND NOT r.unverified AS has_reference,
    r.blocked_reason IS NOT NULL AS blocked, a.tier AS reference_tier
FROM outcomes o
JOIN jobs j ON j.id = o.job_id
{_PAIR}
LEFT JOIN attempts a ON a.job_id = r.id AND a.number = r.answer_attempt
WHERE o.judge IS NOT NULL AND o.judged_at IS NULL AND o.drawn AND NOT o.shadow_due
    AND o.judge_job_id IS NULL AND r.completed_at IS NOT NULL
    AND (o.judge_due_at IS NULL OR o.judge_due_at < clock_timestamp())
    AND o.feature <> ALL(%(full)s) AND j.feature_version_id <> ALL(%(without)s)
ORDER BY o.seq LIMIT %(most)s FOR UPDATE OF o SKIP LOCKED
"""

# A sweep of release 0.1 may still run. It judges all due outcomes by itself, so `judge_due_at` is
# set far into the future.
QUEUE = """
WITH claimed AS (
    UPDATE outcomes SET judge_job_id = %(id)s, judge_tries = judge_tries + 1,
        judge_due_at = clock_timestamp() + interval '100 years'
    WHERE job_id = %(job_id)s AND attempt = %(attempt)s AND judged_at IS NULL
        AND judge_job_id IS NULL
    RETURNING job_id, attempt
), job AS (
    INSERT INTO jobs (id, account_id, feature_version_id, status, tier, tier_index, queue,
        shadow_of, judged_attempt)
    SELECT %(id)s, j.account_id, %(version_id)s, %(status)s, %(tier)s, %(tier_index)s, %(queue)s,
        j.id, claimed.attempt
    FROM claimed JOIN jobs j ON j.id = claimed.job_id
    RETURNING id
)
INSERT INTO job_requests (job_id, decision) SELECT id, %(decision)s::json FROM job
"""

# Concurrent runs get different rows.
TAKE_IN = f"""
WITH ended AS (
    SELECT o.job_id, o.attempt, {_SAID} AS same
    FROM outcomes o JOIN jobs g ON g.id = o.judge_job_id
    LEFT JOIN answers w ON w.job_id = g.id AND w.attempt = g.answer_attempt
    WHERE o.judge IS NOT NULL AND o.judged_at IS NULL AND o.drawn AND g.completed_at IS NOT NULL
    ORDER BY o.seq LIMIT %(most)s FOR UPDATE OF o SKIP LOCKED
), final AS (
    UPDATE outcomes o SET judged_at = clock_timestamp(), judged_same = ended.same
    FROM ended WHERE o.job_id = ended.job_id AND o.attempt = ended.attempt
        AND (ended.same IS NOT NULL OR o.judge_tries >= %(most_tries)s)
), again AS (
    UPDATE outcomes o SET judge_job_id = NULL,
        judge_due_at = clock_timestamp() + make_interval(secs => %(again_s)s)
    FROM ended WHERE o.job_id = ended.job_id AND o.attempt = ended.attempt
        AND ended.same IS NULL AND o.judge_tries < %(most_tries)s
)
SELECT count(*) FROM ended
"""

PAIR = f"""
SELECT q.input, own.output, later.output AS reference
FROM jobs g JOIN outcomes o ON o.job_id = g.shadow_of AND o.attempt = g.judged_attempt
{_PAIR}
WHERE g.id = %s AND q.input IS NOT NULL AND own.job_id IS NOT NULL AND later.job_id IS NOT NULL
"""

WAITING = """
SELECT feature, count(*) FROM outcomes
WHERE judge IS NOT NULL AND judged_at IS NULL AND drawn AND judge_job_id IS NOT NULL
GROUP BY feature
"""


@dataclass(frozen=True)
class Pair:
    """The two answers that one judge's job compares, and their input."""

    input: JSON
    output: JSON  # the outcome's answer
    reference: JSON


class DueJudgement(OutcomeKey):
    """An outcome that a judge must compare."""

    feature: str
    judge: str  # the model that compares
    shadow_job_id: UUID | None
    feature_version_id: int
    input: JSON
    output: JSON
    has_output: bool
    reference: JSON
    has_reference: bool
    blocked: bool  # no later tier was asked
    reference_tier: str | None


def waiting(connection: Connection[Any]) -> dict[str, int]:
    """Feature → how many of its outcomes have a judge's job whose result is not recorded yet."""
    return dict(connection.execute(WAITING).fetchall())


def due(
    connection: Connection[Any], most: int, full: Collection[str], without: Collection[int]
) -> list[DueJudgement]:
    """Up to `most` outcomes to judge, locked in this transaction. Outcomes of the features `full`
    and of the feature versions `without` are excluded.
    """
    parameters = {"most": most, "full": list(full), "without": list(without)}
    return typed_rows(connection, DueJudgement, DUE, parameters)


def queue(
    connection: Connection[Any],
    outcome: OutcomeKey,
    *,
    id: UUID,
    version_id: int,
    tier: str,
    tier_index: int,
    queue: str,
    decision: JSON,
) -> None:
    """Add the job `id` that asks the outcome's judge. The caller must hold the outcome's lock."""
    connection.execute(
        QUEUE,
        {
            "job_id": outcome["job_id"],
            "attempt": outcome["attempt"],
            "id": id,
            "version_id": version_id,
            "status": Status.QUEUED,
            "tier": tier,
            "tier_index": tier_index,
            "queue": queue,
            "decision": json.dumps(decision),
        },
    )


def pair(connection: Connection[Any], job_id: UUID) -> Pair | None:
    """What a judge's job compares. None if a part of it was removed."""
    return typed_row(connection, Pair, PAIR, (job_id,))


def take_in(connection: Connection[Any], most: int) -> int:
    """Record the results of up to `most` ended judge's jobs. Returns how many ended jobs it read.

    If a judge gave no usable answer, its outcome is due again after AGAIN_S, up to MOST_TRIES
    times.
    """
    parameters = {"most": most, "most_tries": MOST_TRIES, "again_s": AGAIN_S}
    row = connection.execute(TAKE_IN, parameters).fetchone()
    return 0 if row is None else int(row[0])


def judged(connection: Connection[Any], outcome: OutcomeKey, same: bool | None) -> None:
    """Record a result that is known without a judge's job. The outcome is not judged again."""
    connection.execute(
        "UPDATE outcomes SET judged_at = clock_timestamp(), judged_same = %s"
        " WHERE job_id = %s AND attempt = %s AND judged_at IS NULL",
        (same, outcome["job_id"], outcome["attempt"]),
    )


@dataclass(frozen=True)
class JudgedOutcome:
    """An outcome whose answer a judge held to be the same as its reference, with the job's last
    feedback.
    """

    job_id: UUID
    inclusion: float  # the probability with which it was drawn
    output: JSON
    expected: JSON
    has_expected: bool
    correct: bool | None  # about `served_output`; None: not given
    served_output: JSON  # what the caller got
    has_served_output: bool


def judged_same(connection: Connection[Any], recipe: str, fingerprint: str) -> list[JudgedOutcome]:
    """The outcomes that a judge held to be the same as their reference, and that were drawn for a
    label. Each with its newest feedback, if it has any.
    """
    return typed_rows(
        connection,
        JudgedOutcome,
        f"""
        SELECT o.job_id, o.inclusion, own.output, latest.expected,
            latest.expected IS NOT NULL AS has_expected, latest.correct,
            later.output AS served_output, later.job_id IS NOT NULL AS has_served_output
        {OUTCOME_WITH_LABEL}
        WHERE o.recipe = %s AND o.fingerprint = %s AND o.drawn AND o.judged_same
            AND o.label_asked_at IS NOT NULL
        """,
        (recipe, fingerprint),
    )
