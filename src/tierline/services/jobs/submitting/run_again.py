"""Running a job's request again as a new job, in the transaction of whoever asks for many.

`Submitter.retry` does it for one job, on the API's event loop.
"""

from dataclasses import replace
from typing import Any
from uuid import UUID

from psycopg import Connection

from tierline.base.ids import new_id
from tierline.base.json_text import JSON
from tierline.base.settings import settings
from tierline.features import Feature
from tierline.rules.bulk_actions import NotDone
from tierline.rules.queues import lane
from tierline.services.jobs.submitting.backlog import EXACT_UP_TO, FULL_S, full
from tierline.services.jobs.submitting.current_versions import Current
from tierline.services.jobs.submitting.new_jobs import new_job
from tierline.services.jobs.submitting.submission import Submission, input_problems
from tierline.services.money.budgets import refuse_spent
from tierline.storage.accounts.accounts import account_name, limits_of
from tierline.storage.features import features
from tierline.storage.jobs.backlogs import count_queued_alone
from tierline.storage.jobs.job_reads import RequestRow
from tierline.storage.jobs.submissions import NewJob, insert_job_now
from tierline.storage.money.budgets import Holder, hard_ones


class RunAgain:
    """Makes new jobs of one account, on the backfill lanes. One for a short series of jobs: it
    keeps the current versions, and how many jobs the account may still queue.
    """

    def __init__(self, connection: Connection[Any], account_id: int) -> None:
        self._connection = connection
        self._account_id = account_id
        self._account: str | None = None
        self._current: dict[str, Current] = {}
        self._limit = limits_of(connection, account_id).over(settings().limits).max_queued_jobs
        self._room: int | None = None  # jobs that may be queued; None: not counted yet

    def submit(self, request: RequestRow, signals: dict[str, JSON]) -> UUID:
        """A new job with this request. `signals`: kept with the decision where it begins.

        Raises NotDone if the request does not fit the feature's current version; LimitReached if
        the account has its maximum of jobs queued or a hard budget is spent.
        """
        return self._submit(request, None, signals)

    def submit_deeper(self, request: RequestRow, tier: str, signals: dict[str, JSON]) -> UUID:
        """The same, for a job that begins on the tier behind `tier`. Raises NotDone if there is
        none.
        """
        return self._submit(request, tier, signals)

    def _submit(self, request: RequestRow, behind: str | None, signals: dict[str, JSON]) -> UUID:
        submission = Submission.of(request)
        while True:
            current = self._version(submission.feature)
            problems = input_problems(current.check, submission.input)
            if problems:
                raise NotDone("invalid_input", "the input does not match the feature as it is now")
            new = self._new(submission, current, behind, signals)
            self._refuse_full(Holder(self._account_id, submission.user, submission.session))
            result = insert_job_now(self._connection, new)
            if not result.stale:
                if self._room is not None:
                    self._room -= 1
                return new.job_id
            del self._current[submission.feature]

    def _new(
        self,
        submission: Submission,
        current: Current,
        behind: str | None,
        signals: dict[str, JSON],
    ) -> NewJob:
        if self._account is None:
            self._account = account_name(self._connection, self._account_id)
        new = new_job(new_id(), self._account_id, self._account, submission, current, None, None)
        feature = current.version.feature
        tier_index = new.tier_index if behind is None else _tier_behind(feature, behind)
        decided = new.decision if isinstance(new.decision, dict) else current.decision.to_dict()
        if behind is not None:
            decided = {"policy": "asked", "reason": f"asked for deeper analysis than by {behind}"}
        tier = feature.tiers[tier_index].name
        return replace(
            new,
            tier=tier,
            tier_index=tier_index,
            queue=lane(feature.place(tier_index), backfill=True),
            decision={
                **decided,
                "choice": tier,
                "signals": {**(decided.get("signals") or {}), **signals},
            },
        )

    def _version(self, name: str) -> Current:
        if name not in self._current:
            version = features.current_version(self._connection, name)
            if version is None:
                raise NotDone("unknown_feature", "the feature is not applied")
            self._current[name] = Current.of(version)
        return self._current[name]

    def _refuse_full(self, holder: Holder) -> None:
        # Up to EXACT_UP_TO a limit is exact, so each job is counted and written under the lock.
        if self._limit is not None and (self._room is None or self._limit <= EXACT_UP_TO):
            queued = count_queued_alone(self._connection, self._account_id, self._limit)
            self._room = self._limit - queued
        if self._room is not None and self._room <= 0:
            assert self._limit is not None, "there is room without a limit"
            raise full(self._limit, FULL_S)
        refuse_spent(hard_ones(self._connection, holder))


def _tier_behind(feature: Feature, tier: str) -> int:
    """The index of the first tier behind this one. Raises NotDone."""
    allowed = [feature.tiers.index(one) for one in feature.allowed_tiers()]
    names = [one.name for one in feature.tiers]
    if tier not in names:
        raise NotDone("tier_removed", "the feature has no longer the tier that ended the job")
    later = [index for index in allowed if index > names.index(tier)]
    if not later:
        raise NotDone("no_later_tier", "the job ended on the last tier")
    return later[0]
