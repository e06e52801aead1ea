"""Feedback: what somebody knows of a job's answer, kept as labels for everything that learns."""

import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import Connection

from tierline.checks.schema import schema_check
from tierline.errors import Conflict, InvalidInput, NotFound, Problem
from tierline.jobs import TERMINAL
from tierline.json_text import JSON
from tierline.services.submit import pointer
from tierline.storage import job_reads
from tierline.storage.features import stored_version

MAX_COMMENT = 4000


@dataclass(frozen=True)
class Said:
    """What was said of an answer; None: nothing of that."""

    correct: bool | None = None
    expected: JSON | None = None
    comment: str | None = None


def give_feedback(
    connection: Connection[Any], account_id: int, job_id: UUID, said: Said
) -> dict[str, Any]:
    """Keep it. Raises NotFound; InvalidInput for what cannot be; Conflict while the job goes on and
    once its output was removed.

    `expected` has to fit the output schema of the version that the job ran: a label that no answer
    could ever equal would only mislead.
    """
    row = job_reads.job_row(connection, job_id)
    if row is None or row["account_id"] != account_id:
        raise NotFound(f"there is no job {job_id}")
    if row["status"] not in TERMINAL:
        raise Conflict(f"the job is {row['status']}: feedback is about an answer")
    if row["output_removed_at"] is not None:
        raise _removed()
    if said.correct is None and said.expected is None:
        raise InvalidInput([Problem("say `correct`, `expected` or both")])
    if said.expected is not None:
        version = stored_version(connection, row["feature"], row["feature_version"])
        assert version is not None, "versions are never removed"
        faults = schema_check(version.document["output"]).faults(said.expected)
        if faults:
            raise InvalidInput(
                [Problem(fault.message, pointer(("expected", *fault.path))) for fault in faults]
            )
    kept = job_reads.add_feedback(
        connection,
        account_id,
        job_id,
        said.correct,
        None if said.expected is None else json.dumps(said.expected, ensure_ascii=False),
        said.comment,
    )
    if kept is None:
        raise _removed()  # since it was read above
    return kept


def _removed() -> Conflict:
    return Conflict("the job's output was removed: feedback is about an answer")
