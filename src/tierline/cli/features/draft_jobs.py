"""Runs a draft on many inputs as jobs on the queues, a few at a time, each to its end."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from tierline.base.errors import LimitReached, TierlineError
from tierline.base.json_text import JSON
from tierline.cli.features.drafts import submit
from tierline.cli.shared.bar import Bar
from tierline.cli.shared.client import Client
from tierline.rules.jobs import TERMINAL

AT_ONCE = 16  # jobs in the queues: enough for all threads, few enough to cancel
POLL_S = 0.3
FULL_S = 1.0  # pause if the account's backlog is full and no Retry-After is given


@dataclass(frozen=True)
class DraftJob:
    """One input's job as it was last seen."""

    job: JSON
    took_s: float
    ended: bool  # False: it took too long and was cancelled


def run_all(
    api: Client,
    draft: JSON,
    inputs: Sequence[JSON],
    within_s: float,
    title: str,
    wrong: Callable[[int, JSON], bool],
) -> list[DraftJob]:
    """Run a job for each input, in order, with a progress bar. Jobs that have not ended after
    `within_s` are cancelled. `wrong` is called for each ended job, with the index of its input; the
    bar shows how often it was true.
    """
    waiting = list(enumerate(inputs))
    running: dict[int, tuple[JSON, float]] = {}
    ended: dict[int, DraftJob] = {}
    ends_at = time.monotonic() + within_s
    bad = 0
    try:
        with Bar(len(waiting), title) as bar:
            while waiting or running:
                _submit_some(api, draft, waiting, running)
                for index, (job, since) in list(running.items()):
                    current = api.get(f"/v1/jobs/{job['id']}")
                    if current["status"] in TERMINAL:
                        del running[index]
                        ended[index] = DraftJob(current, time.monotonic() - since, ended=True)
                        bad += wrong(index, current)
                        bar.show(len(ended), bad)
                if time.monotonic() > ends_at:
                    break
                if running:
                    time.sleep(POLL_S)
    finally:
        _cancel(api, [job for job, _ in running.values()])
    for index, (job, since) in running.items():
        current = api.get(f"/v1/jobs/{job['id']}")
        ended[index] = DraftJob(current, time.monotonic() - since, ended=False)
    return [ended[index] for index in sorted(ended)]


def _submit_some(
    api: Client,
    draft: JSON,
    waiting: list[tuple[int, JSON]],
    running: dict[int, tuple[JSON, float]],
) -> None:
    """Submit jobs up to AT_ONCE, as far as the account's backlog has room."""
    while waiting and len(running) < AT_ONCE:
        index, input = waiting[0]
        try:
            running[index] = (submit(api, draft, input), time.monotonic())
        except LimitReached as full:
            if not running:
                time.sleep(full.retry_after_s or FULL_S)
            return
        del waiting[0]


def _cancel(api: Client, jobs: Sequence[JSON]) -> None:
    """Cancel jobs to save their cost. Errors are ignored, because the first error is the one to
    report.
    """
    for job in jobs:
        with suppress(TierlineError):
            api.post(f"/v1/jobs/{job['id']}/cancel")
