"""The tasks: each takes an id, calls the service that does the work, and returns nothing.

Flower shows their names. An exception leaves a task without its text, which may contain content.
"""

from collections.abc import Callable
from functools import wraps
from uuid import UUID

import structlog

from tierline.rules.queues import BACKFILLS
from tierline.services.webhooks.deliver import deliver
from workers.app import app
from workers.hints import BULK_ACTION_STEP, EVALUATION_STEP
from workers.process import worker
from workers.take import queue_here

log = structlog.get_logger(__name__)


class TaskFailed(Exception):
    """Names the kind of error and nothing else about it."""


def _without_content(task: Callable[..., None]) -> Callable[..., None]:
    @wraps(task)
    def run(*arguments: str) -> None:
        try:
            task(*arguments)
        except Exception as error:
            log.error("task_failed", error=type(error).__name__)
            raise TaskFailed(type(error).__name__) from None

    return run


def _answer(job_id: str) -> None:
    worker().executor.run(UUID(job_id), backfill=queue_here() in BACKFILLS)


for _name in ("slm.answer", "deeper-analysis.answer", "quarantine.answer"):
    app.task(name=_name)(_without_content(_answer))


@app.task(name="webhooks.deliver")
@_without_content
def deliver_webhook(delivery_id: str) -> None:
    """Make one try at a delivery."""
    here = worker()
    deliver(here.pool, UUID(delivery_id), here.heartbeat)
    here.notifier.ready()


@app.task(name=EVALUATION_STEP)
@_without_content
def step_evaluation(evaluation_id: str) -> None:
    """Make the next step of an evaluation."""
    here = worker()
    if here.maintenance.step_evaluation(int(evaluation_id)):
        here.notifier.ready()


@app.task(name=BULK_ACTION_STEP)
@_without_content
def step_bulk(bulk_action_id: str) -> None:
    """Make the next step of a bulk action."""
    here = worker()
    if here.maintenance.step_bulk(UUID(bulk_action_id)):
        here.notifier.ready()


@app.task(name="maintenance.sweep")
@_without_content
def maintenance_sweep() -> None:
    """Remove what is no longer needed."""
    worker().maintenance.sweep()
