"""Jobs, their events and batches as a caller may see them. Every route that returns one uses this
module.

A key that may submit but not read sees only its jobs' state. It sees no text that a person or a
model wrote, not even in the answer to a wait, a repeated submission, a retry or a cancellation.
"""

from api.access.keys import Caller
from tierline.rules.batches import Progress
from tierline.rules.job_events import JobEvent
from tierline.views.batches.batches import Batch, StoredBatch, batch_view
from tierline.views.jobs.events import EventRow, StreamedEvent, streamed
from tierline.views.jobs.jobs import Job, JobRow, job_view


def job_for(caller: Caller, row: JobRow) -> Job:
    """A job as the caller may see it."""
    return job_view(row, content=caller.may("read"))


def event_for(
    caller: Caller, row: EventRow, event: JobEvent, job: JobRow | None = None
) -> StreamedEvent:
    """An event of a job as the caller may see it. `job`: the job, in the last event of a stream of
    its own."""
    shown = None if job is None else job_for(caller, job)
    return streamed(row, event, content=caller.may("read"), job=shown)


def batch_for(caller: Caller, row: StoredBatch, progress: Progress | None = None) -> Batch:
    """A batch as the caller may see it, with counts and costs if they are given."""
    return batch_view(row, progress, content=caller.may("read"))
