"""Labels of outcomes: which answers may be chosen for one, and which labels were used."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from psycopg import Connection

from tierline.base.json_text import JSON
from tierline.storage.db.rows import typed_rows
from tierline.storage.evidence.labels import OUTCOME_WITH_LABEL
from tierline.storage.evidence.outcomes import MOST_OUTCOMES, AnswerOutcome, parameters_of


@dataclass(frozen=True)
class LabelledOutcome:
    """An answer of a calibrated tier that was drawn for a label, with the job's last feedback."""

    seq: int
    job_id: UUID
    attempt: int
    signals: Mapping[str, float]
    inclusion: float  # the probability with which it was drawn
    served: bool
    fits_scores: bool | None  # scores are fitted on it; None: not stored, so the job decides
    vector: bytes | None  # its input's embedding
    output: JSON
    expected: JSON
    has_expected: bool
    correct: bool | None  # about `served_output`; None: not given
    served_output: JSON  # what the caller got
    has_served_output: bool


@dataclass(frozen=True)
class InputWithLabel:
    """The input of an outcome that was drawn for a label."""

    job_id: UUID
    input_digest: bytes
    fits_scores: bool | None  # scores are fitted on it; None: not stored, so the job decides
    label_used_by: int | None  # calibration; None: none has used the label yet


@dataclass(frozen=True)
class UnlabelledOutcome:
    """An outcome that may be chosen for a label."""

    job_id: UUID
    attempt: int
    inclusion: float  # the probability with which it was drawn
    input: JSON
    output: JSON


@dataclass(frozen=True)
class EndedToLabel:
    """A job of a feature that records no outcomes, which may be chosen for a label."""

    job_id: UUID
    has_feedback: bool


@dataclass(frozen=True)
class EndedJob:
    """The same with its content."""

    job_id: UUID
    feature_version_id: int
    input: JSON
    output: JSON  # of the tier, or what was served if the tier has no answer that counts
    attempt: int | None  # on the tier, if its answer passed its checks and is no outcome
    served: bool | None  # whether that answer was served
    confidence: float | None
    repaired: bool | None
    has_feedback: bool


@dataclass(frozen=True)
class AnsweredCall:
    """The model that was called, and the exact one that answered."""

    job_id: UUID
    attempt: int
    model: str
    answered_model: str


class OutcomeKey(Protocol):
    """What names an outcome."""

    @property
    def job_id(self) -> UUID: ...

    @property
    def attempt(self) -> int: ...


def labelled(connection: Connection[Any], recipe: str, fingerprint: str) -> list[LabelledOutcome]:
    """The unused outcomes that were drawn for a label, the oldest first."""
    return typed_rows(
        connection,
        LabelledOutcome,
        f"""
        SELECT o.seq, o.job_id, o.attempt, o.signals, o.inclusion, o.served, o.fits_scores,
            o.vector, own.output, latest.expected, latest.expected IS NOT NULL AS has_expected,
            latest.correct, later.output AS served_output,
            later.job_id IS NOT NULL AS has_served_output
        {OUTCOME_WITH_LABEL}
        WHERE o.recipe = %s AND o.fingerprint = %s AND o.label_asked_at IS NOT NULL
            AND o.label_used_by IS NULL AND o.drawn
        ORDER BY o.seq
        """,
        (recipe, fingerprint),
    )


def inputs_with_label(connection: Connection[Any], recipe: str) -> list[InputWithLabel]:
    """The inputs of the recipe's outcomes that were drawn for a label, used or not; without those
    that were removed.
    """
    return typed_rows(
        connection,
        InputWithLabel,
        "SELECT job_id, input_digest, fits_scores, label_used_by FROM outcomes"
        " WHERE recipe = %s AND drawn AND label_asked_at IS NOT NULL"
        " AND input_digest IS NOT NULL",
        (recipe,),
    )


def to_label(
    connection: Connection[Any], recipe: str, fingerprint: str, account_id: int | None
) -> list[UnlabelledOutcome]:
    """The drawn outcomes that may still be chosen for a label, with their inputs; of one account's
    jobs or of all.
    """
    return typed_rows(
        connection,
        UnlabelledOutcome,
        """
        SELECT o.job_id, o.attempt, o.inclusion, r.input, own.output
        FROM outcomes o
        JOIN job_requests r ON r.job_id = o.job_id
        JOIN answers own ON own.job_id = o.job_id AND own.attempt = o.attempt
        JOIN jobs j ON j.id = o.job_id AND j.completed_at IS NOT NULL
        WHERE o.recipe = %(recipe)s AND o.fingerprint = %(fingerprint)s AND o.drawn
            AND o.label_asked_at IS NULL AND o.repeated IS NOT TRUE AND r.input IS NOT NULL
            AND j.output_removed_at IS NULL
            AND (%(account)s::bigint IS NULL OR j.account_id = %(account)s)
        ORDER BY o.seq DESC LIMIT %(most)s
        """,
        {
            "recipe": recipe,
            "fingerprint": fingerprint,
            "account": account_id,
            "most": MOST_OUTCOMES,
        },
    )


# {columns}, {which}: of the jobs alone, or with their content.
_ENDED = """
SELECT {columns}
FROM jobs j
JOIN feature_versions v ON v.id = j.feature_version_id
JOIN job_requests r ON r.job_id = j.id
LEFT JOIN LATERAL (
    SELECT w.output FROM attempts a
    JOIN answers w ON w.job_id = a.job_id AND w.attempt = a.number
    WHERE a.job_id = j.id AND a.verdict = 'passed'
    ORDER BY a.number DESC LIMIT 1
) served ON true
LEFT JOIN LATERAL (
    SELECT a.number, a.verdict, a.confidence, a.repaired, w.output FROM attempts a
    JOIN answers w ON w.job_id = a.job_id AND w.attempt = a.number
    WHERE a.job_id = j.id AND a.tier = %(tier)s
        AND a.verdict IN ('passed', 'low_confidence') AND w.output IS NOT NULL
        AND NOT EXISTS (SELECT FROM outcomes o
            WHERE o.job_id = a.job_id AND o.attempt = a.number)
    ORDER BY a.number DESC LIMIT 1
) own ON true
WHERE v.name = %(feature)s AND v.version > 0
    AND j.completed_at IS NOT NULL AND j.output_removed_at IS NULL
    AND j.shadow_of IS NULL AND r.input IS NOT NULL AND {which}
    AND (own.number IS NOT NULL OR (j.status = 'completed' AND served.output IS NOT NULL
        AND NOT EXISTS (SELECT FROM feedback f WHERE f.job_id = j.id)))
"""

_HAS_FEEDBACK = "EXISTS (SELECT FROM feedback f WHERE f.job_id = j.id) AS has_feedback"

ENDED_TO_LABEL = (
    _ENDED.format(
        columns=f"j.id AS job_id, {_HAS_FEEDBACK}",
        which="(%(account)s::bigint IS NULL OR j.account_id = %(account)s)"
        " AND NOT (%(only_new)s AND EXISTS (SELECT FROM reviews r WHERE r.job_id = j.id))",
    )
    + "ORDER BY j.id DESC LIMIT %(most)s"
)

ENDED_JOBS = _ENDED.format(
    columns=f"""j.id AS job_id, j.feature_version_id, r.input,
    CASE WHEN own.number IS NULL THEN served.output ELSE own.output END AS output,
    own.number AS attempt, own.verdict = 'passed' AS served, own.confidence, own.repaired,
    {_HAS_FEEDBACK}""",
    which="j.id = ANY(%(ids)s)",
)


def ended_to_label(
    connection: Connection[Any],
    feature: str,
    tier: str,
    account_id: int | None,
    *,
    only_new: bool = False,
) -> list[EndedToLabel]:
    """The feature's ended jobs that may be chosen for a label, the newest ones; of one account or
    of all. `only_new`: without those that people are already asked to label.

    A job with feedback is among them if that tier's answer passed its checks and is no outcome:
    without it, the answers that somebody complained about would be missing.
    """
    return typed_rows(
        connection,
        EndedToLabel,
        ENDED_TO_LABEL,
        {
            "feature": feature,
            "tier": tier,
            "account": account_id,
            "most": MOST_OUTCOMES,
            "only_new": only_new,
        },
    )


def ended_jobs(
    connection: Connection[Any], feature: str, tier: str, jobs: Sequence[UUID]
) -> list[EndedJob]:
    """Those of these jobs that may still be chosen for a label, with their content."""
    parameters = {"feature": feature, "tier": tier, "ids": list(jobs)}
    return typed_rows(connection, EndedJob, ENDED_JOBS, parameters)


def answered_calls(
    connection: Connection[Any], jobs: Sequence[UUID], tier: str
) -> list[AnsweredCall]:
    """The calls that gave an answer in those jobs' attempts on the tier."""
    return typed_rows(
        connection,
        AnsweredCall,
        """
        SELECT DISTINCT c.job_id, c.attempt, c.model, c.answered_model FROM calls c
        JOIN attempts a ON a.job_id = c.job_id AND a.number = c.attempt AND a.tier = %s
        WHERE c.job_id = ANY(%s) AND c.error IS NULL AND c.answered_model IS NOT NULL
        """,
        (tier, list(jobs)),
    )


def add_for_labels(
    connection: Connection[Any], made: Sequence[tuple[OutcomeKey, AnswerOutcome]]
) -> None:
    """Add outcomes whose labels are requested. An outcome that exists stays as it is, and of equal
    inputs only the first counts. No model is called for them, so they count as compared.
    """
    with connection.cursor() as cursor:
        cursor.executemany(
            """
            INSERT INTO outcomes (job_id, attempt, feature, recipe, fingerprint, models, signals,
                served, inclusion, drawn, input_digest, fits_scores, noted_at, label_asked_at,
                for_label)
            SELECT %(job_id)s, %(attempt)s, %(o_feature)s, %(o_recipe)s, %(o_fingerprint)s,
                %(o_models)s, %(o_signals)s::json, %(o_served)s, %(o_inclusion)s, %(o_drawn)s,
                %(o_input_digest)s::bytea, %(o_fits_scores)s, clock_timestamp(),
                clock_timestamp(), true
            WHERE NOT EXISTS (SELECT FROM outcomes o WHERE o.fingerprint = %(o_fingerprint)s
                AND o.input_digest = %(o_input_digest)s::bytea)
            ON CONFLICT (job_id, attempt) DO NOTHING
            """,
            [
                {"job_id": key.job_id, "attempt": key.attempt, **parameters_of(outcome)}
                for key, outcome in made
            ],
        )


def ask_for_labels(connection: Connection[Any], outcomes: Sequence[OutcomeKey]) -> None:
    """Record that a label is requested for them. Those already marked stay as they are."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "UPDATE outcomes SET label_asked_at = coalesce(label_asked_at, clock_timestamp())"
            " WHERE job_id = %s AND attempt = %s",
            [(outcome.job_id, outcome.attempt) for outcome in outcomes],
        )


def use_labels(
    connection: Connection[Any], outcomes: Sequence[OutcomeKey], calibration_id: int
) -> None:
    """Record that a calibration used their labels."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "UPDATE outcomes SET label_used_by = %s WHERE job_id = %s AND attempt = %s",
            [(calibration_id, outcome.job_id, outcome.attempt) for outcome in outcomes],
        )
