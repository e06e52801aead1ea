"""Reviews: answers that people are asked to label. Each requested label has a row.

A row is open until somebody labels its job. Whoever looks at an answer holds its row for a while,
so that two people do not label the same answer; a second row of a job wants a second person.
Lock order: the job, then its reviews.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import Connection

from tierline.storage.db.rows import typed_row, typed_rows

MOST_COMPARED = 10_000  # answers that two people labelled, the newest

# A label that came another way, by a release that has no reviews, closes the first row too.
_OPEN = """
r.account_id = %(account)s AND r.key_id IS NULL
    AND (%(feature)s::text IS NULL OR r.feature = %(feature)s)
    AND (r.place > 1 OR NOT EXISTS (SELECT FROM feedback f WHERE f.job_id = r.job_id))
"""
_HELD = "r.held_until > clock_timestamp()"

_ASK = """
INSERT INTO reviews (account_id, feature, job_id, place, source)
SELECT j.account_id, v.name, j.id, place, %(source)s
FROM unnest(%(ids)s::uuid[], %(labels)s::int[]) requested (id, labels)
JOIN jobs j ON j.id = requested.id
JOIN feature_versions v ON v.id = j.feature_version_id
CROSS JOIN generate_series(1, 2) place
WHERE place <= requested.labels
ORDER BY array_position(%(ids)s::uuid[], j.id), place
ON CONFLICT (job_id, place) DO NOTHING
"""

# Requested by a release that has no reviews.
_REQUESTED_BEFORE = """
INSERT INTO reviews (account_id, feature, job_id, place, source)
SELECT DISTINCT ON (o.job_id) j.account_id, o.feature, o.job_id, 1, 'sample'
FROM outcomes o JOIN jobs j ON j.id = o.job_id
WHERE o.label_asked_at IS NOT NULL AND o.label_used_by IS NULL AND o.feature = %s
    AND j.output_removed_at IS NULL
    AND NOT EXISTS (SELECT FROM feedback f WHERE f.job_id = o.job_id)
ON CONFLICT (job_id, place) DO NOTHING
"""

_PAGE = f"""
SELECT r.id, r.job_id, r.feature, r.place, r.source, r.asked_at, coalesce({_HELD}, false) AS held
FROM reviews r WHERE {_OPEN} AND r.id > %(after)s
ORDER BY r.id LIMIT %(limit)s
"""

# The answer that this person holds comes first, so that a page opened again shows the same one.
_TAKE = f"""
UPDATE reviews SET held_by = %(key)s,
    held_until = clock_timestamp() + make_interval(secs => %(hold_s)s)
WHERE id = (
    SELECT r.id FROM reviews r WHERE {_OPEN}
        AND (r.held_by = %(key)s OR NOT coalesce({_HELD}, false))
        AND NOT %(key)s = ANY(r.skipped_by)
        AND NOT EXISTS (
            SELECT FROM reviews own WHERE own.job_id = r.job_id AND own.key_id = %(key)s)
    ORDER BY (r.held_by = %(key)s AND {_HELD}) IS TRUE DESC, r.id
    LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING id, job_id, feature, place, source, asked_at, true AS held
"""

_OPEN_COUNTS = f"""
SELECT r.feature, count(*) AS open, count(*) FILTER (
    WHERE NOT %(key)s = ANY(r.skipped_by) AND NOT EXISTS (
        SELECT FROM reviews own WHERE own.job_id = r.job_id AND own.key_id = %(key)s)
) AS for_me
FROM reviews r WHERE {_OPEN} GROUP BY r.feature ORDER BY r.feature
"""

_BOTH = """
SELECT a.key_id AS first_key, a.is_right AS first_right, b.key_id AS second_key,
    b.is_right AS second_right
FROM reviews b JOIN reviews a ON a.job_id = b.job_id AND a.place = 1
WHERE b.account_id = %s AND b.feature = %s AND b.place = 2 AND b.key_id IS NOT NULL
    AND a.is_right IS NOT NULL AND b.is_right IS NOT NULL
ORDER BY b.id DESC LIMIT %s
"""

# Of outcomes that no calibration has used yet.
_REQUESTED = """
SELECT count(*) AS requested, count(*) FILTER (
    WHERE EXISTS (SELECT FROM feedback f WHERE f.job_id = o.job_id)) AS labelled
FROM outcomes o
WHERE o.recipe = %s AND o.fingerprint = %s AND o.label_asked_at IS NOT NULL
    AND o.label_used_by IS NULL AND o.drawn
"""


@dataclass(frozen=True)
class OpenReview:
    """A requested label that nobody has given yet."""

    id: int
    job_id: UUID
    feature: str
    place: int  # 2: another person is to label the same answer
    source: str  # sample: drawn at random; filter: chosen
    asked_at: datetime
    held: bool  # a person looks at it now


@dataclass(frozen=True)
class ReviewOfJob:
    """A row of one job, locked."""

    id: int
    place: int
    key_id: int | None  # who labelled it


@dataclass(frozen=True)
class OpenCount:
    """How many labels of a feature are requested."""

    feature: str
    open: int
    for_me: int  # of those, what this person may be asked


@dataclass(frozen=True)
class TwiceLabelled:
    """The labels that two people gave one answer."""

    first_key: int
    first_right: bool
    second_key: int
    second_right: bool


@dataclass(frozen=True)
class LabelRequests:
    """The outcomes that people were asked to label for a promise."""

    requested: int
    labelled: int


def ask(
    connection: Connection[Any], jobs: Sequence[UUID], twice: Collection[UUID], source: str
) -> int:
    """Ask for a label of these jobs, and for a second one of those in `twice`. Returns how many
    rows are new. Safe to repeat.
    """
    labels = [2 if job_id in twice else 1 for job_id in jobs]
    parameters = {"ids": list(jobs), "labels": labels, "source": source}
    return connection.execute(_ASK, parameters).rowcount


def ask_for_earlier(connection: Connection[Any], feature: str) -> int:
    """Ask for the labels that a process of an earlier release drew. Safe to repeat."""
    return connection.execute(_REQUESTED_BEFORE, (feature,)).rowcount


def open_page(
    connection: Connection[Any], account_id: int, feature: str | None, after: int, limit: int
) -> list[OpenReview]:
    """The account's open rows with an `id` above `after`, the oldest first."""
    parameters = {"account": account_id, "feature": feature, "after": after, "limit": limit}
    return typed_rows(connection, OpenReview, _PAGE, parameters)


def take(
    connection: Connection[Any], account_id: int, feature: str | None, key_id: int, hold_s: float
) -> OpenReview | None:
    """Hold the next open row for the owner of this key; None: there is none. Two at once get
    different rows.
    """
    parameters = {"account": account_id, "feature": feature, "key": key_id, "hold_s": hold_s}
    return typed_row(connection, OpenReview, _TAKE, parameters)


def lock_of_job(connection: Connection[Any], job_id: UUID) -> list[ReviewOfJob]:
    """The job's rows in order, locked to the end of the transaction."""
    return typed_rows(
        connection,
        ReviewOfJob,
        "SELECT id, place, key_id FROM reviews WHERE job_id = %s ORDER BY place FOR UPDATE",
        (job_id,),
    )


def close(
    connection: Connection[Any], id: int, key_id: int, is_right: bool | None, feedback_id: int
) -> None:
    """Record who labelled a row that is locked here."""
    connection.execute(
        "UPDATE reviews SET key_id = %s, is_right = %s, feedback_id = %s,"
        " labelled_at = clock_timestamp(), held_by = NULL, held_until = NULL WHERE id = %s",
        (key_id, is_right, feedback_id, id),
    )


def skip(connection: Connection[Any], account_id: int, job_id: UUID, key_id: int) -> int:
    """Leave the job's open rows to others. Safe to repeat. Returns how many rows there are."""
    return connection.execute(
        "UPDATE reviews SET skipped_by = CASE WHEN %(key)s = ANY(skipped_by) THEN skipped_by"
        " ELSE skipped_by || %(key)s::bigint END,"
        " held_by = nullif(held_by, %(key)s),"
        " held_until = CASE WHEN held_by = %(key)s THEN NULL ELSE held_until END"
        " WHERE account_id = %(account)s AND job_id = %(job)s AND key_id IS NULL",
        {"key": key_id, "account": account_id, "job": job_id},
    ).rowcount


def forget_skips(connection: Connection[Any], account_id: int, feature: str, key_id: int) -> int:
    """Ask this person again for what it left to others. Returns how many rows."""
    return connection.execute(
        "UPDATE reviews SET skipped_by = array_remove(skipped_by, %(key)s::bigint)"
        " WHERE account_id = %(account)s AND feature = %(feature)s AND key_id IS NULL"
        " AND %(key)s = ANY(skipped_by)",
        {"key": key_id, "account": account_id, "feature": feature},
    ).rowcount


def forget_open(connection: Connection[Any], job_ids: Collection[UUID]) -> None:
    """Ask no more for these jobs, whose content is removed."""
    connection.execute(
        "DELETE FROM reviews WHERE job_id = ANY(%s) AND key_id IS NULL", (list(job_ids),)
    )


def open_counts(connection: Connection[Any], account_id: int, key_id: int) -> list[OpenCount]:
    """The account's open rows by feature."""
    parameters = {"account": account_id, "feature": None, "key": key_id}
    return typed_rows(connection, OpenCount, _OPEN_COUNTS, parameters)


def twice_labelled(
    connection: Connection[Any], account_id: int, feature: str
) -> list[TwiceLabelled]:
    """The newest answers that two people labelled."""
    return typed_rows(connection, TwiceLabelled, _BOTH, (account_id, feature, MOST_COMPARED))


def label_requests(connection: Connection[Any], recipe: str, fingerprint: str) -> LabelRequests:
    """The outcomes of this fingerprint that were drawn for a label and that no calibration used."""
    row = typed_row(connection, LabelRequests, _REQUESTED, (recipe, fingerprint))
    assert row is not None, "count(*) gives one row"
    return row
