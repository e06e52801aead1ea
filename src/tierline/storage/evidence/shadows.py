"""What outcomes are compared with: a later tier's answer, from their own job or from a shadow.

A shadow is a job in the backfill lane that answers the same input on the last tier. It does not
belong to the caller: it is in no list, causes no notification, and its answer is removed after the
comparison.
"""

import json
from collections.abc import Collection, Iterable
from decimal import Decimal
from typing import Any, TypedDict
from uuid import UUID

from psycopg import Connection

from tierline.base.json_text import JSON
from tierline.rules.jobs import Status
from tierline.storage.db.rows import typed_rows

SPENDING_LOCK = 0x7E21_0008

# Two processes that compare at once take different outcomes. A served one waits for its shadow. An
# escalated one waits for its own job, or for a shadow if a tier before the last one answered that.
# For a cancelled or expired job the answer is unknown.
OPEN = """
SELECT o.job_id, o.attempt, o.calibration_id, o.served, o.shadow_job_id, o.judge_job_id, r.status,
    j.feature_version_id, own.output, own.job_id IS NOT NULL AS has_output,
    a.tier AS reference_tier, o.judge, o.judged_same,
    later.output AS reference, later.job_id IS NOT NULL AND NOT r.unverified AS has_reference,
    a.model AS reference_by, r.blocked_reason IS NOT NULL AS blocked,
    EXISTS (SELECT FROM outcomes earlier WHERE earlier.fingerprint = o.fingerprint
        AND earlier.input_digest = o.input_digest AND earlier.seq < o.seq) AS repeated
FROM outcomes o
JOIN jobs r ON r.id = coalesce(o.shadow_job_id, CASE WHEN NOT o.served THEN o.job_id END)
JOIN jobs j ON j.id = o.job_id
LEFT JOIN answers own ON own.job_id = o.job_id AND own.attempt = o.attempt
LEFT JOIN answers later ON later.job_id = r.id AND later.attempt = r.answer_attempt
LEFT JOIN attempts a ON a.job_id = r.id AND a.number = r.answer_attempt
WHERE o.drawn AND o.noted_at IS NULL AND NOT o.shadow_due AND r.completed_at IS NOT NULL
    AND (o.judge IS NULL OR o.judged_at IS NOT NULL)
    AND (%(recipe)s::text IS NULL OR o.recipe = %(recipe)s)
    AND j.feature_version_id <> ALL(%(without)s)
ORDER BY o.seq LIMIT %(most)s
FOR UPDATE OF o SKIP LOCKED
"""

NOTE = """
UPDATE outcomes SET noted_at = clock_timestamp(), differs = %(differs)s,
    reference_by = %(reference_by)s, repeated = %(repeated)s
WHERE job_id = %(job_id)s AND attempt = %(attempt)s
"""

DUE = """
SELECT o.job_id, o.attempt, o.feature, j.feature_version_id, length(r.input::text) AS characters,
    o.created_at < clock_timestamp() - interval '1 day' AS stale
FROM outcomes o
JOIN jobs j ON j.id = o.job_id
JOIN job_requests r ON r.job_id = o.job_id
WHERE o.shadow_due AND o.feature <> ALL(%(full)s) AND j.feature_version_id <> ALL(%(without)s)
ORDER BY o.seq LIMIT %(most)s
"""

# One shadow serves all waiting outcomes of a job.
SHADOW = """
WITH waiting AS (
    UPDATE outcomes SET shadow_due = false, shadow_job_id = %(id)s,
        shadowed_at = clock_timestamp(), shadow_at_most_usd = %(at_most_usd)s
    WHERE job_id = %(job_id)s AND shadow_due
    RETURNING job_id
), due AS (
    SELECT DISTINCT job_id FROM waiting
), job AS (
    INSERT INTO jobs
        (id, account_id, feature_version_id, status, tier, tier_index, queue, shadow_of)
    SELECT %(id)s, j.account_id, j.feature_version_id, %(status)s, %(tier)s, %(tier_index)s,
        %(queue)s, j.id
    FROM due JOIN jobs j ON j.id = due.job_id
    RETURNING id
)
INSERT INTO job_requests (job_id, decision) SELECT id, %(decision)s::json FROM job
"""


# Another outcome of the job may already have a shadow, which serves this one too.
WAIT = """
UPDATE outcomes o SET shadow_job_id = other.id, shadow_due = other.id IS NULL,
    judge_tries = 0, judge_due_at = NULL, judge_job_id = NULL
FROM (SELECT max(shadow_job_id::text)::uuid AS id FROM outcomes WHERE job_id = %(job_id)s) other
WHERE o.job_id = %(job_id)s AND o.attempt = %(attempt)s
"""

SPENT = """
WITH today AS (
    SELECT shadow_job_id AS job_id, at_most_usd FROM (
        SELECT DISTINCT ON (shadow_job_id) shadow_job_id, shadow_at_most_usd AS at_most_usd
        FROM outcomes
        WHERE feature = %(feature)s AND shadow_job_id IS NOT NULL
            AND shadowed_at >= date_trunc('day', clock_timestamp(), 'UTC')
        ORDER BY shadow_job_id, shadowed_at
    ) shadow
    UNION ALL
    SELECT j.id, (r.decision #>> '{signals,at_most_usd}')::numeric
    FROM jobs j LEFT JOIN job_requests r ON r.job_id = j.id
    WHERE j.judged_attempt IS NOT NULL
        AND j.feature_version_id = ANY(ARRAY(
            SELECT id FROM feature_versions WHERE name = %(feature)s))
        AND j.created_at >= date_trunc('day', clock_timestamp(), 'UTC')
)
SELECT coalesce(sum(CASE WHEN j.completed_at IS NULL OR c.unknown
    THEN greatest(today.at_most_usd, c.cost_usd) ELSE c.cost_usd END), 0)
FROM today JOIN jobs j ON j.id = today.job_id
CROSS JOIN LATERAL (
    SELECT coalesce(sum(cost_usd), 0) AS cost_usd,
        coalesce(bool_or(cost_usd IS NULL), false) AS unknown
    FROM calls WHERE job_id = j.id
) c
"""

# A worker of 0.1 records a shadow's calls like those of any job.
NAME_PURPOSE = "UPDATE calls SET purpose = 'shadow' WHERE job_id = ANY(%s) AND purpose <> 'shadow'"

FORGET = """
WITH done AS (
    SELECT s.id FROM jobs s JOIN jobs j ON j.id = s.shadow_of
    WHERE s.id = ANY(%s) AND j.output_removed_at IS NOT NULL
), removed AS (
    DELETE FROM answers WHERE job_id IN (SELECT id FROM done)
)
UPDATE jobs SET input_removed_at = clock_timestamp(), output_removed_at = clock_timestamp()
WHERE id IN (SELECT id FROM done) AND output_removed_at IS NULL
"""


class OutcomeKey(TypedDict):
    """What names an outcome."""

    job_id: UUID
    attempt: int


class OpenOutcome(OutcomeKey):
    """An outcome to compare, with its reference."""

    calibration_id: int | None
    served: bool
    shadow_job_id: UUID | None
    judge_job_id: UUID | None
    status: str  # of the job that gives the reference
    feature_version_id: int
    output: JSON
    has_output: bool
    reference_tier: str | None
    judge: str | None  # the model that compares; None: plain comparison
    judged_same: bool | None
    reference: JSON
    has_reference: bool
    reference_by: str | None  # the model that gave it
    blocked: bool  # no later tier was asked
    repeated: bool  # an earlier outcome has the same input


class Noted(OutcomeKey):
    """The result of a comparison."""

    shadow_job_id: UUID | None
    judge_job_id: UUID | None
    differs: bool | None  # None: it cannot be compared
    reference_by: str | None
    repeated: bool


class DueShadow(OutcomeKey):
    """A served outcome that needs a shadow."""

    feature: str
    feature_version_id: int
    characters: int | None  # of its input; None: removed
    stale: bool  # it has waited for a day


def open_outcomes(
    connection: Connection[Any],
    most: int,
    recipe: str | None = None,
    without: Collection[int] = (),
) -> list[OpenOutcome]:
    """Up to `most` outcomes whose reference exists or will never exist, locked in the transaction;
    without those of the feature versions `without`.
    """
    parameters = {"most": most, "recipe": recipe, "without": list(without)}
    return typed_rows(connection, OpenOutcome, OPEN, parameters)


def note(connection: Connection[Any], rows: Iterable[Noted]) -> None:
    """Store the result of each comparison.

    A shadow's or judge's answer is kept as long as the job's own answers. If those are already
    removed, it is removed here.
    """
    noted = list(rows)
    with connection.cursor() as cursor:
        cursor.executemany(NOTE, [dict(row) for row in noted])
    shadows = [row["shadow_job_id"] for row in noted if row["shadow_job_id"] is not None]
    judges = [row["judge_job_id"] for row in noted if row["judge_job_id"] is not None]
    connection.execute(NAME_PURPOSE, (shadows,))
    connection.execute(FORGET, (shadows + judges,))


def wait_for_shadows(connection: Connection[Any], rows: Iterable[OutcomeKey]) -> None:
    """Let outcomes use a shadow's answer as their reference, because the last tier did not answer
    their job. Under their locks, from `open_outcomes` or from the judge's step.
    """
    with connection.cursor() as cursor:
        cursor.executemany(
            WAIT, [{"job_id": row["job_id"], "attempt": row["attempt"]} for row in rows]
        )


def due_shadows(
    connection: Connection[Any], most: int, full: Collection[str], without: Collection[int]
) -> list[DueShadow]:
    """Served outcomes that were drawn and have no shadow yet, the oldest first. Outcomes of the
    features `full` and of the feature versions `without` are excluded.
    """
    parameters = {"most": most, "full": list(full), "without": list(without)}
    return typed_rows(connection, DueShadow, DUE, parameters)


def hold_spending(connection: Connection[Any]) -> bool:
    """Be the only one that makes jobs of shadows and judges until this transaction ends, so that
    what a day has left is spent once; False: another is.
    """
    row = connection.execute("SELECT pg_try_advisory_xact_lock(%s)", (SPENDING_LOCK,)).fetchone()
    return row is not None and bool(row[0])


def spent_on_comparing(connection: Connection[Any], feature: str) -> Decimal:
    """The cost in USD of a feature's shadows and judges of the present UTC day, including reserved
    cost.

    Known costs count as they are. A running shadow or judge, or one with a call of unknown cost,
    counts at its highest possible cost.
    """
    row = connection.execute(SPENT, {"feature": feature}).fetchone()
    assert row is not None, "a sum gives one row"
    return Decimal(row[0])


def add_shadow(
    connection: Connection[Any],
    outcome: OutcomeKey,
    *,
    id: UUID,
    tier: str,
    tier_index: int,
    queue: str,
    decision: JSON,
    at_most_usd: Decimal | None,
) -> bool:
    """Add a shadow for the job's waiting outcomes; False if none waits any more.

    One of several callers writes.
    """
    made = connection.execute(
        SHADOW,
        {
            "job_id": outcome["job_id"],
            "attempt": outcome["attempt"],
            "id": id,
            "status": Status.QUEUED,
            "tier": tier,
            "tier_index": tier_index,
            "queue": queue,
            "decision": json.dumps(decision),
            "at_most_usd": at_most_usd,
        },
    )
    return made.rowcount == 1


def draw_no_more(connection: Connection[Any], outcome: OutcomeKey) -> None:
    """It gets no shadow, and counts as not drawn."""
    connection.execute(
        "UPDATE outcomes SET shadow_due = false, drawn = false"
        " WHERE job_id = %s AND attempt = %s AND shadow_due",
        (outcome["job_id"], outcome["attempt"]),
    )


def watched(connection: Connection[Any], calibration_id: int) -> tuple[int, int]:
    """(samples, errors) among what the calibration served and a shadow answered too."""
    row = connection.execute(
        "SELECT count(*), count(*) FILTER (WHERE differs) FROM outcomes"
        " WHERE calibration_id = %s AND drawn AND served AND differs IS NOT NULL AND NOT repeated",
        (calibration_id,),
    ).fetchone()
    assert row is not None
    return row[0], row[1]
