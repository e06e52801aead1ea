"""Jobs and batches as a caller may see them: every route that answers with one goes through here.

A key that may submit and not read is told how its jobs stand, and nothing that somebody wrote or a
model answered: not by a wait, a repeated submission, a retry or a cancellation either.
"""

from api.keys import Caller
from tierline.rules.batches import Progress
from tierline.views.batches import Batch, StoredBatch, batch_view
from tierline.views.jobs import Job, JobRow, job_view


def job_for(caller: Caller, row: JobRow) -> Job:
    """A job as the caller may see it."""
    return job_view(row, content=caller.may("read"))


def batch_for(caller: Caller, row: StoredBatch, progress: Progress | None = None) -> Batch:
    """A batch as the caller may see it; with counts and cost when they were taken."""
    return batch_view(row, progress, content=caller.may("read"))
