"""Claims of several jobs in one statement, which costs less than a statement for each.

Each job is claimed under a token of its own, or not at all. A job whose row is locked is left out,
so that none waits for another one. If one of them cannot be claimed because of an error, none is.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import dict_row

from tierline.rules.jobs import Status
from tierline.storage.db.homes import at_home
from tierline.storage.jobs.claims import CLAIM_TEMPLATE, Claim, read_claim

# The requests are read by the jobs' ids, whatever way the planner joins them: a plan that was made
# while the table was nearly empty would read all of it later.
CLAIM_THESE = CLAIM_TEMPLATE.substitute(
    these="""jobs.id = ANY(ARRAY(
        SELECT id FROM jobs WHERE part < 2 AND id = ANY(%(job_ids)s) AND status = 'queued'
        FOR UPDATE SKIP LOCKED))""",
    fence="(%(tokens)s::uuid[])[array_position(%(job_ids)s::uuid[], jobs.id)]",
    theirs="r.job_id = ANY(%(job_ids)s)",
)

ClaimRequest = tuple[UUID, UUID]
"""A job, and the token of its claim."""


def claim_together(
    connection: Connection[Any], requests: Iterable[ClaimRequest], queues: list[str], worker: str
) -> dict[UUID, Claim]:
    """The claims by token, of the jobs that wait in one of `queues`, are due, and are not locked.
    If a job is requested under several tokens, one of them gets it.

    After a cut connection, read the result of each with `claims.claimed`.
    """
    claims: dict[UUID, Claim] = {}

    def statement_of(one: ClaimRequest) -> str:
        return at_home(connection, CLAIM_THESE, one[0])

    for statement, group in groupby(sorted(requests), key=statement_of):
        claims |= _claim(connection, statement, list(group), queues, worker)
    return claims


def _claim(
    connection: Connection[Any],
    statement: str,
    requests: Sequence[ClaimRequest],
    queues: list[str],
    worker: str,
) -> dict[UUID, Claim]:
    """Those of one partition."""
    parameters = {
        "job_ids": [job_id for job_id, _ in requests],
        "tokens": [token for _, token in requests],
        "queues": queues,
        "worker": worker,
        "in_progress": Status.IN_PROGRESS,
    }
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(statement, parameters, prepare=True).fetchall()
        return {row["token"]: read_claim(connection, row) for row in rows}
