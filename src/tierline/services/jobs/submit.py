"""Submitting a job: reading what was asked, checking the input, and writing it all at once.

The door gives a parsed JSON value and gets a job back. Nothing is published: the row is the outbox.
"""

import asyncio
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from heapq import nsmallest
from typing import Any
from uuid import UUID

import psycopg
from psycopg_pool import AsyncConnectionPool

from tierline.base.errors import (
    MOST_PROBLEMS,
    Conflict,
    InvalidInput,
    LimitReached,
    NotFound,
    Problem,
)
from tierline.base.ids import new_id
from tierline.base.json_text import JSON, short
from tierline.base.settings import settings
from tierline.checks.schema import Path, SchemaCheck, schema_check
from tierline.features import Feature
from tierline.features.reading import MOST_HINTS, close_to
from tierline.routing.first_tier import Decision, JobOrigin, default_tier, first_tier, varies
from tierline.rules.jobs import TERMINAL, Status
from tierline.rules.queues import lane
from tierline.services.jobs.backlog import Backlogs
from tierline.services.money.budgets import refuse_spent
from tierline.storage.db.async_pool import again
from tierline.storage.features import features
from tierline.storage.features.features import CurrentVersion
from tierline.storage.jobs import job_reads, submissions
from tierline.storage.jobs.submissions import NewJob
from tierline.storage.money.budgets import Holder, hard_ones_async
from tierline.views.jobs import JOB_FIELDS, MAX_DEADLINE_S, MAX_NAME, JobRow, new_job_row
from tierline.webhooks.addresses import check_url

MAX_METADATA_BYTES = 16 * 1024  # metadata is the caller's note, not a second input
MAX_KEY = 255


@dataclass(frozen=True)
class Submission:
    """What a caller asked for, read and found fit in form; the input is not yet checked."""

    feature: str
    input: JSON
    metadata: JSON | None = None
    webhook_url: str | None = None
    user: str | None = None
    session: str | None = None
    deadline_s: float | None = None


@dataclass(frozen=True)
class Submitted:
    """The job that a submission stands for."""

    job_id: UUID
    row: JobRow
    replayed: bool = False  # its key was known: this is the earlier job

    @property
    def ended(self) -> bool:
        return self.row["status"] in TERMINAL


class UnknownFeature(InvalidInput):
    """The feature was never applied."""


class KeyReused(InvalidInput):
    """The Idempotency-Key stands for another payload."""


def read_asked(body: JSON) -> Submission:
    """What `body` asks for. Raises InvalidInput with every problem of form."""
    if not isinstance(body, dict):
        raise InvalidInput([Problem("a job is a JSON object")])
    problems = []
    for name in ("feature", "input"):
        if name not in body:
            problems.append(Problem("is required and missing", f"/{name}"))
    if "feature" in body and not isinstance(body["feature"], str):
        problems.append(Problem("must be the name of a feature", "/feature"))
    problems.extend(_optional_problems(body))
    unknown = body.keys() - set(JOB_FIELDS)
    if problems or unknown:
        # What is wrong with a job's own fields comes first: others may be thousands.
        named = nsmallest(MOST_PROBLEMS - len(problems), unknown)
        problems += [
            Problem(
                "is not a field of a job" + (_near(name, JOB_FIELDS) if place < MOST_HINTS else ""),
                pointer((name,)),
            )
            for place, name in enumerate(named)
        ]
        problems.sort(key=lambda problem: problem.path)
        raise InvalidInput(problems, left_out=len(unknown) - len(named))
    deadline_s = body.get("deadline_s")
    return Submission(
        feature=body["feature"],
        input=body["input"],
        metadata=body.get("metadata"),
        webhook_url=body.get("webhook_url"),
        user=body.get("user"),
        session=body.get("session"),
        deadline_s=None if deadline_s is None else float(deadline_s),
    )


def _optional_problems(body: Mapping[str, JSON]) -> Iterable[Problem]:
    metadata = body.get("metadata")
    if metadata is not None:
        if not isinstance(metadata, dict):
            yield Problem("must be an object", "/metadata")
        elif len(json.dumps(metadata, ensure_ascii=False).encode()) > MAX_METADATA_BYTES:
            yield Problem(f"is larger than {MAX_METADATA_BYTES:,} bytes", "/metadata")
    for name in ("user", "session"):
        text = body.get(name)
        if text is not None and not (isinstance(text, str) and 0 < len(text) <= MAX_NAME):
            yield Problem(f"must be a text of 1 to {MAX_NAME} characters", f"/{name}")
    url = body.get("webhook_url")
    if url is not None:
        if not isinstance(url, str):
            yield Problem("must be a URL", "/webhook_url")
        else:
            try:
                check_url(url, settings().webhook_reach)
            except InvalidInput as refused:
                yield from refused.problems
    deadline_s = body.get("deadline_s")
    if deadline_s is not None and not (
        isinstance(deadline_s, int | float)
        and not isinstance(deadline_s, bool)
        and 0 < deadline_s <= MAX_DEADLINE_S
    ):
        yield Problem(
            f"must be a number of seconds, over 0 and at most {MAX_DEADLINE_S:,.0f}", "/deadline_s"
        )


def problems_of(check: SchemaCheck, input: JSON) -> list[Problem]:
    """What keeps `input` from fitting; paths begin with /input."""
    return [
        Problem(fault.message, pointer(("input", *fault.path))) for fault in check.faults(input)
    ]


async def _looked_at(check: SchemaCheck, input: JSON) -> list[Problem]:
    if check.slow:
        return await asyncio.to_thread(problems_of, check, input)
    return problems_of(check, input)


def pointer(path: Path) -> str:
    """A path as a JSON pointer (RFC 6901)."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)


@dataclass(frozen=True)
class _Known:
    """A feature's current version, with what every job of it needs."""

    version: CurrentVersion
    check: SchemaCheck  # of the input
    decision: Decision  # where its jobs begin, unless it varies

    @property
    def id(self) -> int:
        return self.version.id


class Submitter:
    """Takes jobs in. One per process: it remembers the current version of each feature.

    What it remembers may be stale; the statement that writes a job says so, and then it looks
    again.
    """

    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self._pool = pool
        self._backlogs = Backlogs(pool)
        self._current: dict[str, _Known] = {}

    async def submit(
        self,
        account_id: int,
        asked: Submission,
        key: str | None = None,
        *,
        account: str = "",
        most_queued: int | None = None,
        capped: bool = False,
    ) -> Submitted:
        """Write the job, or find the one that `key` stands for. `account` is the account's name.

        Raises UnknownFeature, InvalidInput for an input that does not fit, KeyReused, and
        LimitReached when `most_queued` jobs of the account wait already, or a hard budget is spent;
        `capped` says whether the account has any. A key that is known is answered all the same.
        When the database stays away its error is raised; then the job may have been written or not,
        and the same key finds out.
        """
        payload_hash = _hash(asked) if key is not None else None
        job_id = new_id()
        while True:
            current = await self._version(asked.feature)
            try:
                if not await self._fits(asked, current):
                    continue
                assert current is not None, "what fits is known"
                new = _new_job(job_id, account_id, account, asked, current, key, payload_hash)
                if capped:
                    await self._refuse_spent(Holder(account_id, asked.user, asked.session))
                created_at = await self._write(new, most_queued)
            except (InvalidInput, LimitReached):
                earlier = await self._replay(account_id, key, payload_hash)
                if earlier is None:
                    raise
                return earlier
            if created_at is _STALE:
                self._current.pop(asked.feature, None)
                continue
            if isinstance(created_at, datetime):
                return Submitted(job_id, _fresh_row(new, current.version, created_at))
            earlier = await self._replay(account_id, key, payload_hash)
            if earlier is not None:
                return earlier if earlier.job_id != job_id else replace(earlier, replayed=False)

    async def _fits(self, asked: Submission, current: _Known | None) -> bool:
        """Whether the input fits the version; False: another version is current by now.

        Raises UnknownFeature, InvalidInput.
        """
        problems = [] if current is None else await _looked_at(current.check, asked.input)
        if current is not None and not problems:
            return True
        if not await self._look_again(asked.feature, current):
            return False
        if current is None:
            raise await self._unknown(asked.feature)
        raise InvalidInput(problems)

    async def submit_draft(
        self, account_id: int, draft_id: int, input: JSON, *, most_queued: int | None = None
    ) -> Submitted:
        """Write a job of a draft. Raises NotFound, InvalidInput and LimitReached as `submit`."""
        version = await again(self._pool, lambda c: features.draft_version_async(c, draft_id))
        if version is None:
            raise NotFound(f"there is no draft {draft_id}")
        feature = version.feature
        known = _Known(version, schema_check(feature.input_schema), default_tier(feature))
        problems = await _looked_at(known.check, input)
        if problems:
            raise InvalidInput(problems)
        asked = Submission(feature.name, input)
        new = replace(_new_job(new_id(), account_id, "", asked, known, None, None), draft=True)
        created_at = await self._write(new, most_queued)
        return Submitted(new.job_id, _fresh_row(new, version, created_at))

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
        """A new job that asks the same, as `submit` takes it.

        Raises NotFound; Conflict unless it ended unanswered and its input is still there.
        """
        row = await again(self._pool, lambda c: job_reads.request_of(c, account_id, job_id))
        if row is None:
            raise NotFound(f"there is no job {job_id}")
        status = Status(row["status"])
        if status not in TERMINAL or status is Status.COMPLETED:
            raise Conflict(
                f"the job is {status}: only one that failed, expired or was cancelled is retried"
            )
        if row["draft"]:
            raise Conflict("the job tried a draft: try it again")
        if row["input_removed_at"] is not None:
            raise Conflict("the job's input was removed: submit it anew")
        asked = Submission(
            feature=row["feature"],
            input=row["input"],
            metadata=row["metadata"],
            webhook_url=row["webhook_url"],
            user=row["user_key"],
            session=row["session_key"],
            deadline_s=row["deadline_s"],
        )
        return await self.submit(
            account_id, asked, key, account=account, most_queued=most_queued, capped=capped
        )

    async def _refuse_spent(self, holder: Holder) -> None:
        refuse_spent(await again(self._pool, lambda c: hard_ones_async(c, holder)))

    async def _version(self, name: str) -> _Known | None:
        known = self._current.get(name)
        if known is not None:
            return known
        version = await again(self._pool, lambda c: features.current_version_async(c, name))
        if version is None:
            return None
        feature = version.feature
        known = _Known(version, schema_check(feature.input_schema), default_tier(feature))
        self._current[name] = known
        return known

    async def _look_again(self, name: str, refused_by: _Known | None) -> bool:
        """Whether a refusal stands: the version that refused is the current one."""
        self._current.pop(name, None)
        now = await self._version(name)
        return (now and now.id) == (refused_by and refused_by.id)

    async def _unknown(self, name: str) -> UnknownFeature:
        known = await again(self._pool, features.names_async)
        if not known:
            return UnknownFeature([Problem("no feature is applied yet", "/feature")])
        message = f"there is no feature {short(name)}{_near(name, known)}"
        return UnknownFeature([Problem(message, "/feature")])

    async def _write(self, new: NewJob, most_queued: int | None) -> Any:
        """When it was written, _STALE, or None when the key is taken."""
        try:
            taken = await self._backlogs.insert(new, most_queued)
        except psycopg.errors.UniqueViolation:
            # Its own id: the try before was committed, and its answer was lost.
            row = await again(
                self._pool, lambda c: job_reads.job_row_async(c, new.account_id, new.job_id)
            )
            assert row is not None, "an id that is taken has a row"
            return row["created_at"]
        return _STALE if taken.stale else taken.created_at

    async def _replay(
        self, account_id: int, key: str | None, payload_hash: bytes | None
    ) -> Submitted | None:
        """The job that the key stands for; None: there is none. Raises KeyReused."""
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


def _new_job(
    job_id: UUID,
    account_id: int,
    account: str,
    asked: Submission,
    current: _Known,
    key: str | None,
    payload_hash: bytes | None,
) -> NewJob:
    feature, decision = current.version.feature, current.decision
    if varies(feature):
        sticky = asked.session or asked.user or str(job_id)
        decision = first_tier(feature, JobOrigin(account, sticky))
    return NewJob(
        job_id=job_id,
        account_id=account_id,
        version_id=current.id,
        tier=decision.choice,
        tier_index=decision.tier_index,
        queue=lane(feature.place(decision.tier_index), backfill=False),
        key=key,
        payload_hash=payload_hash,
        decision=decision.to_dict() if varies(feature) else None,
        **vars(asked),
    )


def _fresh_row(new: NewJob, current: CurrentVersion, created_at: datetime) -> JobRow:
    """The row of a job just written, as reading it would give it."""
    return new_job_row(
        new.job_id,
        feature=new.feature,
        feature_version=current.version,
        tier=new.tier,
        place=current.feature.place(new.tier_index),
        own_label=_own_label(current.feature, new.tier),
        metadata=new.metadata,
        user=new.user,
        session=new.session,
        created_at=created_at,
    )


def _own_label(feature: Feature, tier: str) -> str | None:
    labels = feature.status_labels
    return (labels[tier] or "") if tier in labels else None


def _hash(asked: Submission) -> bytes:
    """The same for the same payload, however its objects are ordered."""
    text = json.dumps(vars(asked), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).digest()


def _near(word: str, known: Iterable[str]) -> str:
    choices = sorted(known)
    close = close_to(word, choices, most=3, cutoff=0.5)
    if close:
        return f"; did you mean {', '.join(close)}?"
    return f"; known are {', '.join(choices)}" if len(choices) <= 12 else ""
