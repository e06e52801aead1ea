"""Submitting a job: its input is checked against the feature, and one statement writes all rows.

Nothing is published: the row is the outbox. `submission` parses the caller's request.
"""

from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg_pool import AsyncConnectionPool

from tierline.base.errors import Conflict, InvalidInput, LimitReached, NotFound
from tierline.base.ids import new_id
from tierline.base.json_text import JSON
from tierline.rules.jobs import TERMINAL, Status
from tierline.services.jobs.submitting.backlog import Backlogs
from tierline.services.jobs.submitting.current_versions import Current, CurrentVersions
from tierline.services.jobs.submitting.new_jobs import Submitted, new_job, submitted
from tierline.services.jobs.submitting.replays import earlier_job, payload_hash
from tierline.services.jobs.submitting.submission import Submission
from tierline.services.money.budgets import refuse_spent
from tierline.storage.db.async_pool import again
from tierline.storage.features import features
from tierline.storage.features.features import CurrentVersion
from tierline.storage.jobs import job_reads
from tierline.storage.jobs.submissions import NewJob
from tierline.storage.money.budgets import Holder, hard_ones_async

_STALE = object()  # the version that a job was written for is not current


class Submitter:
    """Accepts jobs. One per process: it caches the current version of each feature."""

    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self.pool = pool
        self.backlogs = Backlogs(pool)
        self.versions = CurrentVersions(pool)

    async def submit(
        self,
        account_id: int,
        submission: Submission,
        key: str | None = None,
        *,
        account: str = "",
        most_queued: int | None = None,
        capped: bool = False,
        only_version: int | None = None,
    ) -> Submitted:
        """Write the job, or return the one that `key` stands for. `account` is the account's name.

        Raises UnknownFeature, InvalidInput if the input does not match, OtherVersion if
        `only_version` is not the feature's current one, KeyReused, and LimitReached
        if the account has `most_queued` jobs queued or a hard budget is spent. `capped` says that
        the account has a hard budget. A key that was used before returns its job even then. If the
        database stays away, its error is raised; a repeat with the same key shows whether the job
        was written.
        """
        hashed = payload_hash(submission) if key is not None else None
        job_id = new_id()
        while True:
            current = await self.versions.read(submission.feature)
            try:
                if only_version is not None and current is not None:
                    current.refuse_other(only_version)
                if not await self.versions.fits(submission, current):
                    continue
                assert current is not None, "only an input of a known version fits"
                new = new_job(job_id, account_id, account, submission, current, key, hashed)
                if capped:
                    await self.refuse_spent(Holder(account_id, submission.user, submission.session))
                created_at = await self._write(new, most_queued)
            except (InvalidInput, LimitReached):
                earlier = await earlier_job(self.pool, account_id, key, hashed)
                if earlier is None:
                    raise
                return earlier
            if created_at is _STALE:
                self.versions.forget(submission.feature)
                continue
            if isinstance(created_at, datetime):
                return submitted(new, current, created_at)
            earlier = await earlier_job(self.pool, account_id, key, hashed)
            if earlier is not None:
                return earlier if earlier.job_id != job_id else replace(earlier, replayed=False)

    async def current(self, name: str, *, fresh: bool = False) -> CurrentVersion:
        """The version that a new job gets; `fresh`: not from the cache. Raises UnknownFeature."""
        if fresh:
            self.versions.forget(name)
        current = await self.versions.read(name)
        if current is None:
            raise await self.versions.unknown(name)
        return current.version

    async def submit_draft(
        self, account_id: int, draft_id: int, input: JSON, *, most_queued: int | None = None
    ) -> Submitted:
        """Write a job of a draft. Raises NotFound; InvalidInput and LimitReached as `submit`."""
        version = await again(self.pool, lambda c: features.draft_version_async(c, draft_id))
        if version is None:
            raise NotFound(f"there is no draft {draft_id}")
        current = Current.of(version)
        problems = await current.input_problems(input)
        if problems:
            raise InvalidInput(problems)
        submission = Submission(version.feature.name, input)
        new = replace(
            new_job(new_id(), account_id, "", submission, current, None, None), draft=True
        )
        created_at = await self._write(new, most_queued)
        return submitted(new, current, created_at)

    async def retry(
        self,
        account_id: int,
        job_id: UUID,
        key: str | None = None,
        *,
        account: str = "",
        most_queued: int | None = None,
        capped: bool = False,
    ) -> Submitted:
        """Submit a new job with the same request.

        Raises NotFound, and Conflict unless the job failed, expired or was cancelled and its input
        is still stored. Otherwise raises as `submit`.
        """
        row = await again(self.pool, lambda c: job_reads.request_of(c, account_id, job_id))
        if row is None:
            raise NotFound(f"there is no job {job_id}")
        status = Status(row["status"])
        if status not in TERMINAL or status is Status.COMPLETED:
            raise Conflict(
                f"the job is {status}; only a failed, expired or cancelled job can be retried"
            )
        if row["draft"]:
            raise Conflict(
                "the job ran a draft: a feature file that was tried and not applied. Such a job "
                "cannot be retried: run 'tierline features test FILE' again, or apply the file "
                "and submit a new job"
            )
        if row["input_removed_at"] is not None:
            raise Conflict("the job's input was removed: submit a new job with the input")
        return await self.submit(
            account_id,
            Submission.of(row),
            key,
            account=account,
            most_queued=most_queued,
            capped=capped,
        )

    async def refuse_spent(self, holder: Holder) -> None:
        """Raises LimitReached if a hard budget of the holder is spent."""
        refuse_spent(await again(self.pool, lambda c: hard_ones_async(c, holder)))

    async def _write(self, new: NewJob, most_queued: int | None) -> Any:
        """The time of writing; _STALE if the version is not current; None if the key is taken."""
        try:
            result = await self.backlogs.insert(new, most_queued)
        except psycopg.errors.UniqueViolation:
            # The job's own id: an earlier try was committed, but its reply was lost.
            row = await again(
                self.pool, lambda c: job_reads.job_row_async(c, new.account_id, new.job_id)
            )
            assert row is not None, "an id that is taken has a row"
            return row["created_at"]
        return _STALE if result.stale else result.created_at
