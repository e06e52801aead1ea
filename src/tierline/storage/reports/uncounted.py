"""The rows that are not rolled up yet, which a report reads beside the sums.

A report reads `sums_state`, the sums and these rows in one snapshot (`snapshot`), so that each is
in exactly one of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from psycopg import Connection
from psycopg.pq import TransactionStatus

from tierline.storage.db.homes import Span, at_homes, at_parents, read_at_homes
from tierline.storage.db.rows import typed_rows
from tierline.storage.db.snapshot import look_up, one_snapshot, read_much
from tierline.storage.reports.counted import Counted, counted

Kind = TypeVar("Kind")

# Attempts that no roll-up has counted. Those from before attempts had numbers are read by the
# statements themselves, each with its own index (`_HISTORY`).
ATTEMPTS = """
uncounted AS MATERIALIZED (
    SELECT job_id, number FROM @attempts WHERE seq >= %(rolled_to)s
    UNION
    SELECT job_id, attempt FROM sums_pending WHERE attempt > 0
)"""

_ANY = "SELECT EXISTS (SELECT FROM @attempts WHERE seq >= %s)"

# The rest of the attempts from before they had numbers: `{a}` the attempt, `{j}` its job.
OLD_ATTEMPT = "{a}.seq IS NULL AND {a}.job_id >= %(history_from)s"
OLD_JOB = """
{j}.id >= %(history_from)s AND {j}.completed_at IS NOT NULL
    AND ({j}.completed_at < %(since_migration)s OR EXISTS (
        SELECT FROM attempts o WHERE o.job_id = {j}.id AND o.seq IS NULL))"""


@contextmanager
def snapshot(connection: Connection[Any]) -> Iterator[Counted]:
    """One snapshot for all that a report reads, and how far the sums go in it. Within a transaction
    it is that one's.
    """
    if connection.info.transaction_status is not TransactionStatus.IDLE:
        yield counted(connection)
        return
    with one_snapshot(connection, read_only=True):
        look_up(connection)
        progress = counted(connection)
        if progress.history_from is not None:
            read_much(connection)
        yield progress


def in_sums(connection: Connection[Any], progress: Counted) -> bool:
    """Whether everything is in the sums, but jobs that wait."""
    if progress.history_from is not None or progress.pending:
        return False
    statement = at_homes(connection, _ANY, progress.tail)
    row = connection.execute(statement, (progress.rolled_to,)).fetchone()
    return row == (False,)


def uncounted_rows(
    connection: Connection[Any],
    kind: type[Kind],
    statement: str,
    parameters: Mapping[str, Any],
    progress: Counted,
    edges: Sequence[Span] = (),
) -> list[Kind]:
    """The rows of a statement that reads, beside the sums, what is not counted and the jobs of
    `edges`: on their partitions.
    """

    def read(named: str) -> list[Kind]:
        return typed_rows(connection, kind, named, parameters)

    if progress.history_from is not None:
        return read(at_parents(statement))
    return read_at_homes(connection, statement, [progress.tail, *edges], read)
