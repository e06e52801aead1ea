"""Promotions of a feature: the evaluation that its routing is based on, and why that ended.

They are written under the lock of applications (`features.hold_applications`), in the transaction
that writes the version. At most one per feature is in force.
"""

from datetime import datetime, timedelta
from typing import Any

from psycopg import Connection

from tierline.base.ids import database_now, first_id_of
from tierline.storage.db.homes import read_at_homes, up_to_now
from tierline.storage.db.rows import typed_row, typed_rows
from tierline.storage.reports.floors import floor
from tierline.views.evidence.evaluations import PromotionRow

MOST_COMPARED = 20_000  # the newest; so many tell shares apart that differ by half a percent

# Jobs since then that both the promoted tier and the last tier answered.
COMPARED = """
SELECT count(*), count(*) FILTER (WHERE differs) FROM (
    SELECT o.differs FROM @outcomes o
    WHERE o.feature = %(feature)s AND o.recipe = %(recipe)s AND o.created_at >= %(since)s
        AND o.drawn AND o.differs IS NOT NULL AND NOT o.repeated
    ORDER BY o.seq DESC LIMIT %(most)s
) newest
"""

# The models that recently answered calls to that model, read by job ids, whose index is fast.
ANSWERED = """
SELECT DISTINCT model FROM (
    SELECT c.answered_model AS model
    FROM jobs j JOIN feature_versions v ON v.id = j.feature_version_id
    JOIN calls c ON c.job_id = j.id
    WHERE v.name = %(feature)s AND v.version >= %(version)s AND j.id >= %(floor)s
        AND c.booked_at >= %(since)s AND c.model = %(model)s AND c.answered_model IS NOT NULL
    ORDER BY j.id DESC LIMIT 50
) lately
"""

# The recent users of the feature, by the same index.
USERS = """
SELECT DISTINCT account_id FROM (
    SELECT j.account_id FROM jobs j JOIN feature_versions v ON v.id = j.feature_version_id
    WHERE v.name = %(feature)s AND v.version > 0 AND j.id >= %(floor)s
    ORDER BY j.id DESC LIMIT 1000
) lately
"""

LATELY = timedelta(hours=1)


def add_promotion(
    connection: Connection[Any],
    *,
    feature: str,
    tier: str,
    evaluation_id: int,
    rung: str,
    share: float,
    version: int,
    most_differing: float,
) -> PromotionRow:
    """Put it in force; the previous one must be ended first."""
    row = typed_row(
        connection,
        PromotionRow,
        "INSERT INTO promotions"
        " (feature, tier, evaluation_id, rung, share, version, most_differing)"
        " VALUES (%(feature)s, %(tier)s, %(evaluation_id)s, %(rung)s, %(share)s, %(version)s,"
        " %(most_differing)s) RETURNING *",
        {
            "feature": feature,
            "tier": tier,
            "evaluation_id": evaluation_id,
            "rung": rung,
            "share": share,
            "version": version,
            "most_differing": most_differing,
        },
    )
    assert row is not None, "an INSERT of one row returns it"
    return row


def in_force(connection: Connection[Any], feature: str) -> PromotionRow | None:
    """The feature's promotion in force; None if its routing is not based on an evaluation."""
    return typed_row(
        connection,
        PromotionRow,
        "SELECT * FROM promotions WHERE feature = %(feature)s AND ended_at IS NULL",
        {"feature": feature},
    )


def all_in_force(connection: Connection[Any]) -> list[PromotionRow]:
    """Every feature's."""
    statement = "SELECT * FROM promotions WHERE ended_at IS NULL ORDER BY id"
    return typed_rows(connection, PromotionRow, statement)


def list_promotions(
    connection: Connection[Any], feature: str, most: int = 100
) -> list[PromotionRow]:
    """A feature's, the newest first."""
    return typed_rows(
        connection,
        PromotionRow,
        "SELECT * FROM promotions WHERE feature = %(feature)s ORDER BY id DESC LIMIT %(most)s",
        {"feature": feature, "most": most},
    )


def end_promotion(
    connection: Connection[Any],
    id: int,
    reason: str,
    demoted_to: int | None = None,
    *,
    refuted: bool = False,
) -> PromotionRow | None:
    """End it; None if another process ended it first. `refuted`: its evaluation no longer holds."""
    return typed_row(
        connection,
        PromotionRow,
        "UPDATE promotions SET ended_at = clock_timestamp(), ended_reason = %(reason)s,"
        " demoted_to = %(version)s, refuted = %(refuted)s"
        " WHERE id = %(id)s AND ended_at IS NULL RETURNING *",
        {"id": id, "reason": reason, "version": demoted_to, "refuted": refuted},
    )


def refuted_since(connection: Connection[Any], feature: str, since: datetime) -> str | None:
    """What refuted the evidence of a promotion of the feature since then; None: nothing did."""
    row = connection.execute(
        "SELECT ended_reason FROM promotions WHERE feature = %s AND refuted AND ended_at > %s"
        " ORDER BY id DESC LIMIT 1",
        (feature, since),
    ).fetchone()
    return None if row is None else row[0]


def compared_since(
    connection: Connection[Any], feature: str, recipe: str, since: datetime
) -> tuple[int, int]:
    """(samples, differing ones) among the newest jobs that both the first tier and the last one
    answered, at most MOST_COMPARED.
    """
    parameters = {"feature": feature, "recipe": recipe, "since": since, "most": MOST_COMPARED}
    (counts,) = read_at_homes(
        connection,
        COMPARED,
        [up_to_now(floor(connection, since))],
        lambda statement: connection.execute(statement, parameters).fetchall(),
    )
    return counts[0], counts[1]


def answered_by(
    connection: Connection[Any], feature: str, version: int, model: str, since: datetime
) -> set[str]:
    """The exact models that recently answered for `model` (provider:model), in that version or a
    later one.
    """
    floor = first_id_of(database_now(), LATELY)
    rows = connection.execute(
        ANSWERED,
        {
            "feature": feature,
            "version": version,
            "model": model,
            "since": since,
            "floor": floor,
        },
    )
    return {exact for (exact,) in rows}


def users(connection: Connection[Any], feature: str) -> set[int]:
    """The accounts that used the feature recently."""
    floor = first_id_of(database_now(), LATELY)
    return {id for (id,) in connection.execute(USERS, {"feature": feature, "floor": floor})}
