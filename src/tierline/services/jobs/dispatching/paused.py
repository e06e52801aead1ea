"""Leaves the jobs of paused batches out of a choice.

Most of them are held, so that no choice reads them: see `storage.batches.pauses`. A choice meets
the others: those of a batch that was paused just now, and jobs that come back or are added later.
"""

from collections.abc import Sequence
from typing import Any

from psycopg import Connection

from tierline.storage.batches import pauses
from tierline.storage.jobs.hints import Due


def without_paused(connection: Connection[Any], due: Sequence[Due]) -> Sequence[Due]:
    """`due` without the jobs of paused batches, which are held from now on."""
    batch_of = {job.job_id: job.batch_id for job in due if job.batch_id is not None}
    if not batch_of:
        return due
    paused = pauses.paused_among(connection, set(batch_of.values()))
    if not paused:
        return due
    jobs = {job_id: batch for job_id, batch in batch_of.items() if batch in paused}
    with connection.transaction():  # nobody resumes the batches until the jobs are held
        pauses.hold_due(connection, jobs)
    return [job for job in due if job.batch_id not in paused]
