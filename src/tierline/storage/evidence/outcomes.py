"""Outcomes: the answers of calibrated tiers that are kept for comparison or for a label
(`outcome_labels`).

The statement that ends an attempt (`finishes.FINISH`) writes an outcome. `shadows` compares it
later.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import Connection

from tierline.base.json_text import JSON
from tierline.storage.db.rows import typed_rows

MOST_OUTCOMES = 50_000  # of one calibration, the newest; more would change nothing


@dataclass(frozen=True)
class AnswerOutcome:
    """An answer that is kept to compare it with the last tier's: its row in `outcomes`."""

    feature: str
    recipe: str
    fingerprint: str
    models: str
    signals: Mapping[str, float]
    served: bool  # whether it was served; else it was escalated
    inclusion: float  # the probability with which it is drawn
    drawn: bool  # for a reference: a later tier's answer, which an escalated job gets anyway
    input_digest: bytes
    fits_scores: bool  # scores are fitted on it, and no promise is tested on it; by the input
    calibration_id: int | None = None  # None: there was none, so it escalated
    score: float | None = None
    judge: str | None = None  # the model that compares it, where no rule can
    vector: bytes | None = None  # its input's embedding, if it is drawn and can be computed here


@dataclass(frozen=True)
class OutcomeGroup:
    """The outcomes of one fingerprint, which a calibration may use together."""

    fingerprint: str
    models: str  # that answered
    drawn: int
    fresh: int  # of the drawn: used by no calibration
    attempts: int  # calibrations so far
    last_seq: int  # of the last outcome that a calibration used


@dataclass(frozen=True)
class ComparedOutcome:
    """An answer of a calibrated tier, compared with its reference."""

    seq: int
    job_id: UUID
    attempt: int
    signals: Mapping[str, float]
    inclusion: float  # the probability with which it was drawn
    served: bool
    differs: bool
    reference_by: str | None  # the model that gave the reference; None: a person
    fits_scores: bool | None  # scores are fitted on it; None: not stored, so the job decides
    vector: bytes | None  # its input's embedding
    output: JSON  # None: removed since


def groups(connection: Connection[Any], recipe: str) -> list[OutcomeGroup]:
    """The recipe's outcomes by fingerprint, the one with most new outcomes first."""
    return typed_rows(
        connection,
        OutcomeGroup,
        """
        SELECT o.fingerprint, o.models, count(*) AS drawn,
            count(*) FILTER (WHERE o.seq > used.last_seq) AS fresh, used.attempts, used.last_seq
        FROM outcomes o CROSS JOIN LATERAL (
            SELECT coalesce(max(c.last_seq) FILTER (WHERE c.reference = 'model'), 0)
                AS last_seq, count(*) AS attempts
            FROM calibrations c WHERE c.fingerprint = o.fingerprint
        ) used
        WHERE o.recipe = %s AND o.drawn
        GROUP BY o.fingerprint, o.models, used.attempts, used.last_seq
        ORDER BY fresh DESC, max(o.seq) DESC
        """,
        (recipe,),
    )


def compared(
    connection: Connection[Any], recipe: str, fingerprint: str, after: int
) -> list[ComparedOutcome]:
    """The compared outcomes with `seq` above `after`, the oldest first.

    Of jobs with the same input only the first counts.
    """
    newest_first = typed_rows(
        connection,
        ComparedOutcome,
        """
        SELECT o.seq, o.job_id, o.attempt, o.signals, o.inclusion, o.served, o.differs,
            o.reference_by, o.fits_scores, o.vector, a.output
        FROM outcomes o
        LEFT JOIN answers a ON a.job_id = o.job_id AND a.attempt = o.attempt
        WHERE o.recipe = %(recipe)s AND o.fingerprint = %(fingerprint)s AND o.drawn
            AND o.differs IS NOT NULL AND NOT o.repeated AND o.seq > %(after)s
        ORDER BY o.seq DESC LIMIT %(most)s
        """,
        {
            "recipe": recipe,
            "fingerprint": fingerprint,
            "after": after,
            "most": MOST_OUTCOMES,
        },
    )
    return newest_first[::-1]


def parameters_of(outcome: AnswerOutcome | None) -> dict[str, JSON]:
    """The parameters for `finishes.FINISH`; empty without an outcome."""
    if outcome is None:
        return {}
    parameters = {f"o_{name}": value for name, value in vars(outcome).items()}
    return {**parameters, "o_signals": json.dumps(dict(outcome.signals))}
