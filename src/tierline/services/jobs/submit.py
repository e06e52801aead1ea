"""Submitting a job: its input is checked against the feature, and one statement writes all rows.

Nothing is published: the row is the outbox. `submission` parses the caller's request.
"""

import asyncio
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg_pool import AsyncConnectionPool

from tierline.base.errors import (
    Conflict,
    InvalidInput,
    LimitReached,
    NotFound,
    Problem,
)
from tierline.base.ids import new_id
from tierline.base.json_text import JSON, short
from tierline.checks.schema import SchemaCheck, schema_check
from tierline.features import Feature
from tierline.routing.first_tier import Decision, JobOrigin, default_tier, first_tier, varies
from tierline.rules.jobs import TERMINAL, Status
from tierline.rules.queues import lane
from tierline.services.jobs.backlog import Backlogs
from tierline.services.jobs.submission import Submission, input_problems, near
from tierline.services.money.budgets import refuse_spent
from tierline.storage.db.async_pool import again
from tierline.storage.features import features
from tierline.storage.features.features import CurrentVersion
from tierline.storage.jobs import job_reads, submissions
from tierline.storage.jobs.submissions import NewJob
from tierline.storage.money.budgets import Holder, hard_ones_async
from tierline.views.jobs import JobRow, new_job_row

MAX_KEY = 255


@dataclass(frozen=True)
class Submitted:
    """The job that a submission created or, by its key, repeats."""

    job_id: UUID
    row: JobRow
    replayed: bool = False  # its key was used before, and this is the earlier job

    @property
    def ended(self) -> bool:
        return self.row["status"] in TERMINAL


class UnknownFeature(InvalidInput):
    """The feature was never applied."""


class KeyReused(InvalidInput):
    """The Idempotency-Key was used with another payload."""


class OtherVersion(InvalidInput):
    """Another version of the feature is current than the one that the caller wants."""


async def _input_problems(check: SchemaCheck, input: JSON) -> list[Problem]:
    if check.slow:
        return await asyncio.to_thread(input_problems, check, input)
    return input_problems(check, input)


@dataclass(frozen=True)
class _Current:
    """A feature's current version, with what each of its jobs needs."""

    version: CurrentVersion
    check: SchemaCheck  # of the input
    decision: Decision  # the first tier of its jobs, unless that varies
    place: int  # of that tier, among those that call a model
    varies: bool

    @property
    def id(self) -> int:
        return self.version.id

    @classmethod
    def of(cls, version: CurrentVersion) -> "_Current":
        feature = version.feature
        decision = default_tier(feature)
        place = feature.place(decision.tier_index)
        return cls(version, schema_check(feature.input_schema), decision, place, varies(feature))


class Submitter:
    """Accepts jobs. One per process: it caches the current version of each feature.

    The cached version may be stale. The statement that writes a job notices that, and the version
    is read again.
    """

    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self._pool = pool
        self._backlogs = Backlogs(pool)
        self._current: dict[str, _Current] = {}

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
        payload_hash = _hash(submission) if key is not None else None
        job_id = new_id()
        while True:
            current = await self._version(submission.feature)
            try:
                if only_version is not None and current is not None:
                    _refuse_other(current, only_version)
                if not await self._fits(submission, current):
                    continue
                assert current is not None, "only an input of a known version fits"
                new = _new_job(job_id, account_id, account, submission, current, key, payload_hash)
                if capped:
                    await self._refuse_spent(
                        Holder(account_id, submission.user, submission.session)
                    )
                created_at = await self._write(new, most_queued)
            except (InvalidInput, LimitReached):
                earlier = await self._replay(account_id, key, payload_hash)
                if earlier is None:
                    raise
                return earlier
            if created_at is _STALE:
                self._current.pop(submission.feature, None)
                continue
            if isinstance(created_at, datetime):
                return Submitted(job_id, _fresh_row(new, current, created_at))
            earlier = await self._replay(account_id, key, payload_hash)
            if earlier is not None:
                return earlier if earlier.job_id != job_id else replace(earlier, replayed=False)

    async def current(self, name: str, *, fresh: bool = False) -> CurrentVersion:
        """The version that a new job gets; `fresh`: not from the cache. Raises UnknownFeature."""
        if fresh:
            self._current.pop(name, None)
        current = await self._version(name)
        if current is None:
            raise await self._unknown(name)
        return current.version

    async def submit_all(
        self,
        account_id: int,
        submissions: Sequence[Submission],
        key: str | None = None,
        *,
        account: str = "",
        most_queued: int | None = None,
        capped: bool = False,
    ) -> list[Submitted]:
        """Write all of these jobs in one transaction, or none. Or return those that `key` stands
        for.

        Raises as `submit`; the paths of problems begin with `/jobs/` and the job's place.
        """
        if most_queued is not None and len(submissions) > most_queued:
            detail = f"the account may have {most_queued:,} jobs queued (max_queued_jobs)"
            raise InvalidInput([Problem(detail, "/jobs")])
        payload_hash = _hash_of_all(submissions) if key is not None else None
        # A caller's key has no space in it, so these are nobody's own.
        keys = [None if key is None else f"{key} {place}" for place in range(len(submissions))]
        ids = [new_id() for _ in submissions]
        while True:
            try:
                currents = await self._all_fit(submissions)
                if currents is None:
                    continue
                news = [
                    _new_job(job_id, account_id, account, one, current, own_key, payload_hash)
                    for job_id, one, current, own_key in zip(
                        ids, submissions, currents, keys, strict=True
                    )
                ]
                if capped:
                    for user, session in {(one.user, one.session) for one in submissions}:
                        await self._refuse_spent(Holder(account_id, user, session))
                written = await self._write_all(news, currents, most_queued)
            except (InvalidInput, LimitReached):
                earlier = await self._replay_all(account_id, keys, payload_hash)
                if earlier is None:
                    raise
                return earlier
            if written is not None:
                return written
            earlier = await self._replay_all(account_id, keys, payload_hash)
            if earlier is not None:
                replayed = earlier[0].job_id != ids[0]
                return [replace(one, replayed=replayed) for one in earlier]

    async def _write_all(
        self, news: Sequence[NewJob], currents: Sequence[_Current], most_queued: int | None
    ) -> list[Submitted] | None:
        """The jobs, once written. None: a version is not current, or the key is taken."""
        try:
            taken = await self._backlogs.insert_all(news, most_queued)
        except psycopg.errors.UniqueViolation:
            # The jobs' own ids: an earlier try was committed, but its reply was lost.
            return await self._read_all(news[0].account_id, [new.job_id for new in news])
        for new, one in zip(news, taken, strict=True):
            if one.stale:
                self._current.pop(new.feature, None)
        times = [one.created_at for one in taken if one.created_at is not None]
        if len(times) < len(news):
            return None
        return [
            Submitted(new.job_id, _fresh_row(new, current, created_at))
            for new, current, created_at in zip(news, currents, times, strict=True)
        ]

    async def _all_fit(self, submissions: Sequence[Submission]) -> list[_Current] | None:
        """The version of each, which its input matches. None: another one is current by now.

        Raises InvalidInput with the problems of all.
        """
        currents: list[_Current] = []
        problems: list[Problem] = []
        for place, one in enumerate(submissions):
            current = await self._version(one.feature)
            try:
                if not await self._fits(one, current):
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

    async def _replay_all(
        self, account_id: int, keys: Sequence[str | None], payload_hash: bytes | None
    ) -> list[Submitted] | None:
        """The jobs that the keys of one call stand for, or None. Raises KeyReused."""
        first = await self._replay(account_id, keys[0], payload_hash)
        if first is None:
            return None
        ids: list[UUID] = []
        for key in keys:
            held = await again(
                self._pool,
                lambda c, key=key or "": submissions.key_holder(c, account_id, key),  # type: ignore[misc]
            )
            if held is not None:
                ids.append(held[0])
        found = await self._read_all(account_id, ids)
        return [replace(one, replayed=True) for one in found]

    async def _read_all(self, account_id: int, ids: Sequence[UUID]) -> list[Submitted]:
        rows = await again(
            self._pool, lambda c: job_reads.account_job_rows_async(c, account_id, ids)
        )
        return [Submitted(row["id"], row) for row in rows]

    async def _fits(self, submission: Submission, current: _Current | None) -> bool:
        """Whether the input matches the version. False: another version is current by now.

        Raises UnknownFeature, InvalidInput.
        """
        problems = [] if current is None else await _input_problems(current.check, submission.input)
        if current is not None and not problems:
            return True
        if not await self._look_again(submission.feature, current):
            return False
        if current is None:
            raise await self._unknown(submission.feature)
        raise InvalidInput(problems)

    async def submit_draft(
        self, account_id: int, draft_id: int, input: JSON, *, most_queued: int | None = None
    ) -> Submitted:
        """Write a job of a draft. Raises NotFound; InvalidInput and LimitReached as `submit`."""
        version = await again(self._pool, lambda c: features.draft_version_async(c, draft_id))
        if version is None:
            raise NotFound(f"there is no draft {draft_id}")
        current = _Current.of(version)
        problems = await _input_problems(current.check, input)
        if problems:
            raise InvalidInput(problems)
        submission = Submission(version.feature.name, input)
        new = replace(
            _new_job(new_id(), account_id, "", submission, current, None, None), draft=True
        )
        created_at = await self._write(new, most_queued)
        return Submitted(new.job_id, _fresh_row(new, current, created_at))

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
        row = await again(self._pool, lambda c: job_reads.request_of(c, account_id, job_id))
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
        submission = Submission(
            feature=row["feature"],
            input=row["input"],
            metadata=row["metadata"],
            webhook_url=row["webhook_url"],
            user=row["user_key"],
            session=row["session_key"],
            deadline_s=row["deadline_s"],
        )
        return await self.submit(
            account_id, submission, key, account=account, most_queued=most_queued, capped=capped
        )

    async def _refuse_spent(self, holder: Holder) -> None:
        refuse_spent(await again(self._pool, lambda c: hard_ones_async(c, holder)))

    async def _version(self, name: str) -> _Current | None:
        cached = self._current.get(name)
        if cached is not None:
            return cached
        version = await again(self._pool, lambda c: features.current_version_async(c, name))
        if version is None:
            return None
        cached = _Current.of(version)
        self._current[name] = cached
        return cached

    async def _look_again(self, name: str, refused_by: _Current | None) -> bool:
        """Whether a refusal is valid: the version that refused is still the current one."""
        self._current.pop(name, None)
        now = await self._version(name)
        return (now and now.id) == (refused_by and refused_by.id)

    async def _unknown(self, name: str) -> UnknownFeature:
        names = await again(self._pool, features.names_async)
        if not names:
            return UnknownFeature([Problem("no feature is applied yet", "/feature")])
        message = f"there is no feature {short(name)}{near(name, names)}"
        return UnknownFeature([Problem(message, "/feature")])

    async def _write(self, new: NewJob, most_queued: int | None) -> Any:
        """The time of writing; _STALE if the version is not current; None if the key is taken."""
        try:
            taken = await self._backlogs.insert(new, most_queued)
        except psycopg.errors.UniqueViolation:
            # The job's own id: an earlier try was committed, but its reply was lost.
            row = await again(
                self._pool, lambda c: job_reads.job_row_async(c, new.account_id, new.job_id)
            )
            assert row is not None, "an id that is taken has a row"
            return row["created_at"]
        return _STALE if taken.stale else taken.created_at

    async def _replay(
        self, account_id: int, key: str | None, payload_hash: bytes | None
    ) -> Submitted | None:
        """The job that the key stands for, or None. Raises KeyReused."""
        if key is None:
            return None
        held = await again(self._pool, lambda c: submissions.key_holder(c, account_id, key))
        if held is None:
            return None
        job_id, hashed = held
        if hashed != payload_hash:
            raise KeyReused([Problem("this Idempotency-Key was used with another payload")])
        row = await again(self._pool, lambda c: job_reads.job_row_async(c, account_id, job_id))
        return None if row is None else Submitted(job_id, row, replayed=True)


_STALE = object()
_hashed_text = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def _refuse_other(current: _Current, wanted: int) -> None:
    if current.version.version != wanted:
        told = f"version {wanted} is not current: version {current.version.version} is"
        raise OtherVersion([Problem(told, "/feature")])


def _new_job(
    job_id: UUID,
    account_id: int,
    account: str,
    submission: Submission,
    current: _Current,
    key: str | None,
    payload_hash: bytes | None,
) -> NewJob:
    decision, place = current.decision, current.place
    if current.varies:
        feature = current.version.feature
        sticky = submission.session or submission.user or str(job_id)
        decision = first_tier(feature, JobOrigin(account, sticky))
        place = feature.place(decision.tier_index)
    return NewJob(
        job_id=job_id,
        account_id=account_id,
        version_id=current.id,
        tier=decision.choice,
        tier_index=decision.tier_index,
        queue=lane(place, backfill=False),
        key=key,
        payload_hash=payload_hash,
        decision=decision.to_dict() if current.varies else None,
        **vars(submission),
    )


def _fresh_row(new: NewJob, current: _Current, created_at: datetime) -> JobRow:
    """The row of a job just written, the same as if it were read from the database."""
    feature = current.version.feature
    default = new.tier_index == current.decision.tier_index
    return new_job_row(
        new.job_id,
        feature=new.feature,
        feature_version=current.version.version,
        tier=new.tier,
        place=current.place if default else feature.place(new.tier_index),
        own_label=_own_label(feature, new.tier),
        metadata=new.metadata,
        user=new.user,
        session=new.session,
        created_at=created_at,
    )


def _own_label(feature: Feature, tier: str) -> str | None:
    labels = feature.status_labels
    return (labels[tier] or "") if tier in labels else None


def _hash_of_all(submissions: Sequence[Submission]) -> bytes:
    return hashlib.sha256(b"".join(_hash(one) for one in submissions)).digest()


def _hash(submission: Submission) -> bytes:
    """A hash of the payload that does not depend on the order of keys."""
    return hashlib.sha256(_hashed_text(vars(submission)).encode()).digest()
