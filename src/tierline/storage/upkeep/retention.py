"""Removes the content of jobs. The jobs, their verdicts and costs stay.

Content is the input, every answer, anything that may quote them (reasons, error texts, labels) and
the bodies of webhooks. Removal locks the jobs' rows, and never touches jobs that have not ended.
Several processes may remove at once; each takes jobs that no other holds.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog
from psycopg import Connection

from tierline.features import Retention
from tierline.features.stored import read_retention
from tierline.storage.evidence import reviews

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Policy:
    """How long one feature keeps content. Its current version decides for all of its versions."""

    feature: str
    retention: Retention
    version_ids: tuple[int, ...]


@dataclass(frozen=True)
class What:
    """The kinds of content to remove."""

    inputs: bool
    outputs: bool


# A feature that was never applied has drafts only: the one tried last decides.
DECIDING = """
    (SELECT name, version_id FROM features
    UNION ALL
    (SELECT DISTINCT ON (d.name) d.name, d.id FROM feature_versions d
     WHERE NOT EXISTS (SELECT FROM features applied WHERE applied.name = d.name)
     ORDER BY d.name, d.applied_at DESC)) f
"""

POLICIES = f"""
SELECT f.name, v.document -> 'retention', array_agg(every.id ORDER BY every.id)
FROM {DECIDING}
JOIN feature_versions v ON v.id = f.version_id
JOIN feature_versions every ON every.name = f.name
WHERE v.document ? 'retention'
GROUP BY f.name, v.document -> 'retention' ORDER BY f.name
"""

LOCK = """
SELECT id FROM jobs
WHERE id = ANY(%s) AND completed_at IS NOT NULL
    AND (%s AND input_removed_at IS NULL OR %s AND output_removed_at IS NULL)
ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
"""

# Only the verdict before the colon stays of a reason.
JOBS = """
UPDATE jobs j SET
    passed_by = false,
    input_removed_at = CASE WHEN %(inputs)s
        THEN coalesce(input_removed_at, clock_timestamp()) ELSE input_removed_at END,
    output_removed_at = CASE WHEN %(outputs)s
        THEN coalesce(output_removed_at, clock_timestamp()) ELSE output_removed_at END,
    escalation_reason = split_part(escalation_reason, ':', 1),
    error_message = CASE WHEN error_message IS NOT NULL THEN coalesce(
        (SELECT verdict FROM attempts a WHERE a.job_id = j.id AND a.number = j.attempts),
        error_code) END
WHERE id = ANY(%(ids)s)
"""

ATTEMPTS = """
UPDATE attempts SET reason = NULL,
    routing = CASE WHEN routing ->> 'reason' LIKE 'escalated: %%' THEN jsonb_set(
        routing::jsonb, '{reason}',
        to_jsonb('escalated: ' || split_part(routing ->> 'reason', ': ', 2)))::json
    ELSE routing END
WHERE job_id = ANY(%(ids)s)
"""

# A webhook under way is still sent with its body.
DELIVERIES = """
UPDATE deliveries SET
    body = CASE WHEN status = 'pending' THEN body END, drop_body = status = 'pending'
WHERE job_id = ANY(%(ids)s) AND body IS NOT NULL
"""

# The answers of a job's shadow and judge are removed with the job's own. One locked by another
# transaction is being removed already, because only removal locks jobs that have ended.
SHADOWS = """
WITH shadow AS (
    SELECT s.id FROM jobs s
    WHERE s.id IN (
            SELECT shadow_job_id FROM outcomes WHERE job_id = ANY(%(ids)s)
            UNION ALL SELECT judge_job_id FROM outcomes WHERE job_id = ANY(%(ids)s))
        AND s.completed_at IS NOT NULL AND s.output_removed_at IS NULL
    FOR NO KEY UPDATE SKIP LOCKED
), removed AS (
    DELETE FROM answers WHERE job_id IN (SELECT id FROM shadow)
)
UPDATE jobs SET input_removed_at = clock_timestamp(), output_removed_at = clock_timestamp()
WHERE id IN (SELECT id FROM shadow)
"""

# A row without input or label is useless, so both are removed.
DATASETS = """
UPDATE dataset_rows SET input = NULL, expected = NULL
WHERE job_id = ANY(%(ids)s) AND input IS NOT NULL
"""

# An evaluated example is in jobs of its own. Those that have not ended yet are removed later: see
# storage.evaluations.left_over.
EVALUATED = """
SELECT j.id FROM dataset_rows d
JOIN evaluations e ON e.dataset_id = d.dataset_id
JOIN (
    SELECT evaluation_id, number, job_id FROM evaluation_answers
    UNION ALL SELECT evaluation_id, number, job_id FROM evaluation_judgements
) a ON a.evaluation_id = e.id AND a.number = d.number
JOIN jobs j ON j.id = a.job_id
WHERE d.job_id = ANY(%(ids)s) AND j.completed_at IS NOT NULL AND j.input_removed_at IS NULL
FOR NO KEY UPDATE OF j SKIP LOCKED
"""

FORGOTTEN_PROBLEM = '[{"path": "", "message": "removed"}]'


def policies(connection: Connection[Any]) -> list[Policy]:
    """The policies that current versions of features set. A policy that this release cannot read is
    left to the sweep of the later release that wrote it.
    """
    set_policies = []
    for name, document, version_ids in connection.execute(POLICIES):
        retention = read_retention(document)
        if retention is None:
            log.error("retention_not_known", feature=name)
        else:
            set_policies.append(Policy(name, retention, tuple(version_ids)))
    return set_policies


def of_batch(
    connection: Connection[Any], batch_id: UUID, after: int, most: int
) -> list[tuple[int, UUID]]:
    """The next jobs of a batch that still have content, by row; from behind `after`, not locked."""
    rows = connection.execute(
        "SELECT batch_row, id FROM jobs WHERE batch_id = %s AND batch_row > %s"
        " AND (input_removed_at IS NULL OR output_removed_at IS NULL) ORDER BY batch_row LIMIT %s",
        (batch_id, after, most),
    )
    return [(batch_row, job_id) for batch_row, job_id in rows]


def keeps_labelled(connection: Connection[Any], job_id: UUID) -> bool:
    """Whether the job's feature, as it is now, keeps what somebody gave feedback on."""
    row = connection.execute(
        "SELECT coalesce((now.document -> 'retention' ->> 'keep_labelled')::bool, false)"
        " FROM jobs j JOIN feature_versions ran ON ran.id = j.feature_version_id"
        f" JOIN {DECIDING} ON f.name = ran.name"
        " JOIN feature_versions now ON now.id = f.version_id"
        " WHERE j.id = %s",
        (job_id,),
    ).fetchone()
    return row is not None and row[0]


def lock_ended(connection: Connection[Any], job_ids: Sequence[UUID], what: What) -> list[UUID]:
    """Those of the jobs that have ended, still have such content, and are nobody else's to change.

    Jobs that another holds are left out: whoever removes content comes by again.
    """
    rows = connection.execute(LOCK, (list(job_ids), what.inputs, what.outputs))
    return [job_id for (job_id,) in rows]


def labelled(connection: Connection[Any], job_ids: Collection[UUID]) -> set[UUID]:
    """Those with feedback. Under their locks, so that nobody gives feedback meanwhile."""
    rows = connection.execute(
        "SELECT DISTINCT job_id FROM feedback WHERE job_id = ANY(%s)", (list(job_ids),)
    )
    return {job_id for (job_id,) in rows}


def pass_by(connection: Connection[Any], job_ids: Collection[UUID]) -> None:
    """Record that labelled jobs, locked in this transaction, are kept: they are not due again."""
    connection.execute("UPDATE jobs SET passed_by = true WHERE id = ANY(%s)", (list(job_ids),))


def look_again(connection: Connection[Any], version_ids: Collection[int], most: int) -> list[UUID]:
    """Make kept jobs due again, for a feature that no longer keeps labelled jobs.

    Returns them, at most `most`; locked jobs are left out.
    """
    rows = connection.execute(
        "UPDATE jobs SET passed_by = false WHERE id IN ("
        "SELECT id FROM jobs"
        " WHERE feature_version_id = ANY(%s) AND completed_at IS NOT NULL AND passed_by"
        " LIMIT %s FOR NO KEY UPDATE SKIP LOCKED) RETURNING id",
        (list(version_ids), most),
    )
    return [job_id for (job_id,) in rows]


def remove(
    connection: Connection[Any], job_ids: Collection[UUID], what: What, *, keep_feedback: bool
) -> None:
    """Remove content of jobs that `lock_ended` has locked in this transaction."""
    parameters = {"ids": list(job_ids), "inputs": what.inputs, "outputs": what.outputs}
    connection.execute(JOBS, parameters)
    connection.execute(ATTEMPTS, parameters)
    if what.inputs:
        connection.execute(
            "UPDATE job_requests SET input = NULL WHERE job_id = ANY(%(ids)s)", parameters
        )
        connection.execute(
            "UPDATE outcomes SET input_digest = NULL, vector = NULL WHERE job_id = ANY(%(ids)s)",
            parameters,
        )
        _remove_examples(connection, parameters)
    if not what.outputs:
        # The requests of a draft contain the input.
        connection.execute(
            "UPDATE answers SET trace = NULL"
            " WHERE job_id = ANY(%(ids)s) AND trace IS NOT NULL AND %(inputs)s",
            parameters,
        )
        return
    connection.execute("DELETE FROM answers WHERE job_id = ANY(%(ids)s)", parameters)
    reviews.forget_open(connection, job_ids)
    connection.execute(SHADOWS, parameters)
    _remove_examples(connection, parameters)
    connection.execute(DELIVERIES, parameters)
    if not keep_feedback:
        connection.execute(
            "UPDATE feedback SET expected = NULL, comment = NULL WHERE job_id = ANY(%(ids)s)",
            parameters,
        )


def _remove_examples(connection: Connection[Any], parameters: Mapping[str, Any]) -> None:
    """Remove the jobs' content from datasets, and from evaluations of those."""
    connection.execute(DATASETS, parameters)
    copies = [id for (id,) in connection.execute(EVALUATED, parameters)]
    if copies:
        remove(connection, copies, What(inputs=True, outputs=True), keep_feedback=False)


def drop_bodies(connection: Connection[Any], most: int) -> int:
    """Remove the bodies of webhooks that were under way when their job's output was removed, and
    have ended since. Returns how many, at most `most`."""
    return connection.execute(
        "UPDATE deliveries SET body = NULL, drop_body = false WHERE id IN ("
        "SELECT id FROM deliveries WHERE drop_body AND status <> 'pending'"
        " LIMIT %s FOR UPDATE SKIP LOCKED)",
        (most,),
    ).rowcount


def batches_due(
    connection: Connection[Any], version_ids: Collection[int], older_than_s: float, most: int
) -> list[UUID]:
    """Batches that ended so long ago and still have the problems of their invalid rows."""
    rows = connection.execute(
        "SELECT id FROM batches WHERE feature_version_id = ANY(%s) AND input_removed_at IS NULL"
        " AND completed_at < statement_timestamp() - make_interval(secs => %s)"
        " ORDER BY completed_at LIMIT %s",
        (list(version_ids), older_than_s, most),
    )
    return [batch_id for (batch_id,) in rows]


def forget_problems(
    connection: Connection[Any], batch_id: UUID, after: int, most: int
) -> int | None:
    """Remove the texts of problems of a batch's invalid rows, `most` rows at once, after position
    `after`.

    Returns the last row's position, to continue from; None if no row was left. Safe to repeat:
    removed ones are skipped.
    """
    row = connection.execute(
        "WITH next AS (SELECT batch_row FROM batch_errors WHERE batch_id = %(batch)s"
        " AND batch_row > %(after)s AND problems::text <> %(problem)s::text"
        " ORDER BY batch_row LIMIT %(most)s),"
        " forgotten AS (UPDATE batch_errors SET problems = %(problem)s::text::json"
        " WHERE batch_id = %(batch)s AND batch_row = ANY(ARRAY(SELECT batch_row FROM next)))"
        " SELECT max(batch_row) FROM next",
        {"batch": batch_id, "after": after, "most": most, "problem": FORGOTTEN_PROBLEM},
    ).fetchone()
    return None if row is None else row[0]


def note_forgotten(connection: Connection[Any], batch_id: UUID) -> None:
    """Record that the problems of a batch's invalid rows were removed."""
    connection.execute(
        "UPDATE batches SET input_removed_at = clock_timestamp()"
        " WHERE id = %s AND input_removed_at IS NULL",
        (batch_id,),
    )
