"""Jobs and batches as a caller may see them: every route that answers with one goes through here.

A key that may submit and not read is told how its jobs stand, and nothing that somebody wrote or a
model answered: not by a wait, a repeated submission, a retry or a cancellation either.
"""

from api.keys import Caller
from tierline.base.json_text import JSON
from tierline.rules.batches import Progress
from tierline.views import batches as batch_views
from tierline.views import jobs as views
from tierline.views.jobs import Row


def job_for(caller: Caller, row: Row) -> dict[str, JSON]:
    """A job as the caller may see it."""
    return views.job_json(row, content=caller.may("read"))


def batch_for(caller: Caller, row: Row, progress: Progress | None = None) -> dict[str, JSON]:
    """A batch as the caller may see it; with counts and cost when they were taken."""
    return batch_views.batch_json(row, progress, content=caller.may("read"))
