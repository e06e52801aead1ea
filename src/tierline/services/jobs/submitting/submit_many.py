"""Submitting several jobs in one call, which writes all of them or none."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import psycopg

from tierline.base.errors import InvalidInput, LimitReached, Problem
from tierline.base.ids import new_id
from tierline.services.jobs.submitting.current_versions import Current
from tierline.services.jobs.submitting.new_jobs import Submitted, new_job, submitted
from tierline.services.jobs.submitting.replays import earlier_ids, earlier_job, payload_hash_of_all
from tierline.services.jobs.submitting.submission import Submission
from tierline.services.jobs.submitting.submit import Submitter
from tierline.storage.db.async_pool import again
from tierline.storage.jobs import job_reads
from tierline.storage.jobs.submissions import NewJob
from tierline.storage.money.budgets import Holder


async def submit_all(
    submitter: Submitter,
    account_id: int,
    submissions: Sequence[Submission],
    key: str | None = None,
    *,
    account: str = "",
    most_queued: int | None = None,
    capped: bool = False,
) -> list[Submitted]:
    """Write all of these jobs in one transaction, or none. Or return those that `key` stands for.

    Raises as `Submitter.submit`; the paths of problems begin with `/jobs/` and the job's place.
    """
    if most_queued is not None and len(submissions) > most_queued:
        detail = f"the account may have {most_queued:,} jobs queued (max_queued_jobs)"
        raise InvalidInput([Problem(detail, "/jobs")])
    hashed = payload_hash_of_all(submissions) if key is not None else None
    # A caller's key has no space in it, so these are nobody's own.
    keys = [None if key is None else f"{key} {place}" for place in range(len(submissions))]
    ids = [new_id() for _ in submissions]
    while True:
        try:
            currents = await _all_fit(submitter, submissions)
            if currents is None:
                continue
            news = [
                new_job(job_id, account_id, account, one, current, own_key, hashed)
                for job_id, one, current, own_key in zip(
                    ids, submissions, currents, keys, strict=True
                )
            ]
            if capped:
                for user, session in {(one.user, one.session) for one in submissions}:
                    await submitter.refuse_spent(Holder(account_id, user, session))
            written = await _write_all(submitter, news, currents, most_queued)
        except (InvalidInput, LimitReached):
            earlier = await _replay_all(submitter, account_id, keys, hashed)
            if earlier is None:
                raise
            return earlier
        if written is not None:
            return written
        earlier = await _replay_all(submitter, account_id, keys, hashed)
        if earlier is not None:
            replayed = earlier[0].job_id != ids[0]
            return [replace(one, replayed=replayed) for one in earlier]


async def _all_fit(submitter: Submitter, submissions: Sequence[Submission]) -> list[Current] | None:
    """The version of each, which its input matches. None: another one is current by now.

    Raises InvalidInput with the problems of all.
    """
    currents: list[Current] = []
    problems: list[Problem] = []
    for place, one in enumerate(submissions):
        current = await submitter.versions.read(one.feature)
        try:
            if not await submitter.versions.fits(one, current):
                return None
        except InvalidInput as refused:
            problems += [
                replace(problem, path=f"/jobs/{place}{problem.path}")
                for problem in refused.problems
            ]
        if current is not None:
            currents.append(current)
    if problems:
        raise InvalidInput(problems)
    return currents


async def _write_all(
    submitter: Submitter,
    news: Sequence[NewJob],
    currents: Sequence[Current],
    most_queued: int | None,
) -> list[Submitted] | None:
    """The jobs, once written. None: a version is not current, or the key is taken."""
    try:
        results = await submitter.backlogs.insert_all(news, most_queued)
    except psycopg.errors.UniqueViolation:
        # The jobs' own ids: an earlier try was committed, but its reply was lost.
        return await _read_all(submitter, news[0].account_id, [new.job_id for new in news])
    for new, one in zip(news, results, strict=True):
        if one.stale:
            submitter.versions.forget(new.feature)
    times = [one.created_at for one in results if one.created_at is not None]
    if len(times) < len(news):
        return None
    return [
        submitted(new, current, created_at)
        for new, current, created_at in zip(news, currents, times, strict=True)
    ]


async def _replay_all(
    submitter: Submitter, account_id: int, keys: Sequence[str | None], hashed: bytes | None
) -> list[Submitted] | None:
    """The jobs that the keys of one call stand for, or None. Raises KeyReused."""
    first = await earlier_job(submitter.pool, account_id, keys[0], hashed)
    if first is None:
        return None
    ids = await earlier_ids(submitter.pool, account_id, [key or "" for key in keys])
    jobs = await _read_all(submitter, account_id, ids)
    return [replace(one, replayed=True) for one in jobs]


async def _read_all(submitter: Submitter, account_id: int, ids: Sequence[UUID]) -> list[Submitted]:
    rows = await again(
        submitter.pool, lambda c: job_reads.account_job_rows_async(c, account_id, ids)
    )
    return [Submitted(row["id"], row) for row in rows]
