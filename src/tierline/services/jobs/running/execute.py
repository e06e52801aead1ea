"""One attempt at a job in a worker's thread: claim it, ask its tier, check the answer, settle it.

`services.steering.tier_path` decides which tier is called and which may come next.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
import structlog
from psycopg import Connection
from psycopg_pool import ConnectionPool, PoolTimeout

from tierline.base.ids import new_id
from tierline.base.settings import Settings
from tierline.checks import RuleBroken
from tierline.features.stored import UnreadableFeature
from tierline.providers.types import CallFailed
from tierline.routing.before_call import Skip
from tierline.rules.jobs import Transition
from tierline.services.calls.admission import Admission
from tierline.services.calls.answer import Answered, Answering
from tierline.services.calls.attempt import Attempt
from tierline.services.calls.calls import CallBook
from tierline.services.calls.embedding import Embedding
from tierline.services.calls.longest_attempt import longest_attempt_s
from tierline.services.calls.trace import Trace
from tierline.services.evidence.evaluation.judge import PairRemoved, judge_pair
from tierline.services.features.versions import FeatureVersions
from tierline.services.jobs.running.attempt_end import (
    AttemptEnd,
    answered_with,
    call_failed,
    crashed,
    feature_failed,
    input_removed,
    skipped,
)
from tierline.services.jobs.running.recover import cancel_withdrawn, give_back
from tierline.services.jobs.running.settle import settle
from tierline.services.jobs.running.together import Together
from tierline.services.jobs.running.worker import Leases, WakeUps
from tierline.services.steering import micro
from tierline.services.steering.tier_path import Ask, TierPath
from tierline.storage.db.repeat import PASSING, GaveUp, repeat
from tierline.storage.jobs import claims
from tierline.storage.jobs.claim_together import ClaimRequest, claim_together
from tierline.storage.jobs.claims import Claim
from tierline.storage.jobs.finish_together import Finish, finish_one, finish_together

log = structlog.get_logger(__name__)

GIVEN_BACK_S = 10.0  # how long a job whose feature this release cannot read may not be claimed
CLAIM_PATIENCE_S = 10.0  # after this, a hint that cannot be claimed is left to the dispatcher
AT_ONCE = 1
"""Statements of a process that claim at the same time, and as many that finish. Threads that want
to do so meanwhile do it together in the next one: more at once would only wait for the interpreter
and for Postgres."""
MOST_TOGETHER = 8  # claims or finishes in one statement
GATHER_S = 0.008
"""How long a claim or a finish of a backfill's job waits for others, which one statement then
does together. Nobody waits for a backfill's job as for an interactive one."""
MOST_GATHERED = 16


class _FirstTry(NamedTuple):
    """What one try at a claim found."""

    claim: Claim | None
    sure: bool = False  # without a claim: the job cannot be claimed, and another try is no use


@dataclass
class Executor:
    """What the threads of one worker process share."""

    pool: ConnectionPool[Any]
    settings: Settings
    queues: tuple[str, ...]
    worker: str  # its name, shown to people
    leases: Leases
    wake_ups: WakeUps
    stopping: Callable[[], bool]  # true once the process may no longer wait
    embedding: Embedding = field(default_factory=Embedding)
    admission: Admission = field(init=False)
    tier_path: TierPath = field(init=False)
    _answering: Answering = field(default_factory=Answering)
    versions: FeatureVersions = field(init=False)
    _claims: Together[ClaimRequest, "_FirstTry"] = field(init=False)
    _finishes: Together[Finish, bool] = field(init=False)
    _backfill_claims: Together[ClaimRequest, "_FirstTry"] = field(init=False)
    _backfill_finishes: Together[Finish, bool] = field(init=False)

    def __post_init__(self) -> None:
        self.admission = Admission(self.pool, self.settings)
        self.tier_path = TierPath(self.pool, self.settings, self.embedding, self._keep_on)
        self.versions = FeatureVersions(self.pool)
        self._claims = Together(self._claim_these, AT_ONCE, MOST_TOGETHER)
        self._finishes = Together(self._finish_these, AT_ONCE, MOST_TOGETHER)
        self._backfill_claims = Together(self._claim_these, 1, MOST_GATHERED, GATHER_S)
        self._backfill_finishes = Together(self._finish_these, 1, MOST_GATHERED, GATHER_S)

    def run(self, job_id: UUID, *, backfill: bool = False) -> None:
        """Run one attempt at the job, if it can be claimed. A superfluous hint has no effect.

        `backfill`: the hint came from a backfill lane.
        """
        token = new_id()  # it has the time of the claim, see `late_costs`
        with self.leases.hold(token, job_id):
            claim = self._claim(job_id, token, backfill=backfill)
            if claim is None:
                if cancel_withdrawn(self.pool, job_id):
                    self.wake_ups.done(job_id)
                return
            with structlog.contextvars.bound_contextvars(job_id=str(job_id), attempt=claim.attempt):
                try:
                    self._attempt(claim)
                except GaveUp:
                    log.warning("attempt_left", reason="the database was away until the stop")

    def _claim(self, job_id: UUID, token: UUID, *, backfill: bool) -> Claim | None:
        first = (self._backfill_claims if backfill else self._claims)((job_id, token))
        if first.claim is not None or first.sure:
            return first.claim
        return self._claim_alone(job_id, token)

    def _claim_these(self, requests: Sequence[ClaimRequest]) -> list["_FirstTry"]:
        """One try at the claims of several threads. Each repeats alone what failed."""
        try:
            with self.pool.connection() as connection:
                queues = list(self.queues)
                if len(requests) == 1:
                    ((job_id, token),) = requests
                    claim = claims.claim(connection, job_id, token, queues, self.worker)
                    return [_FirstTry(claim, sure=True)]
                by_token = claim_together(connection, requests, queues, self.worker)
                return [_FirstTry(by_token.get(token)) for _, token in requests]
        except (*PASSING, psycopg.IntegrityError):
            return [_FirstTry(None) for _ in requests]

    def _finish_these(self, finishes: Sequence[Finish]) -> list[bool]:
        """One try at the finishes of several threads. False: its thread tries again alone."""
        try:
            with self.pool.connection() as connection:
                if len(finishes) == 1:
                    return [finish_one(connection, finishes[0])]
                done = finish_together(connection, finishes)
        except (psycopg.Error, PoolTimeout, ValueError):
            return [False for _ in finishes]
        return [one["token"] in done for one in finishes]

    def _claim_alone(self, job_id: UUID, token: UUID) -> Claim | None:
        """Claim a job after a try that failed, or that left it out because its row was locked."""
        give_up = time.monotonic() + CLAIM_PATIENCE_S

        def statement(connection: Connection[Any]) -> Claim | None:
            # An earlier claim whose reply was lost may still be running; this waits for its lock.
            claim = claims.claim(connection, job_id, token, list(self.queues), self.worker)
            return claim or claims.claimed(connection, job_id, token)

        try:
            return repeat(
                self.pool,
                statement,
                keep_on=lambda: time.monotonic() < give_up and not self.stopping(),
            )
        except GaveUp:
            log.warning("claim_given_up", job_id=str(job_id))
            return None
        except psycopg.IntegrityError as error:
            # A later release wrote the version, and it names no first call for this tier.
            log.error("claim_refused", job_id=str(job_id), error=type(error).__name__)
            return None

    def _attempt(self, claim: Claim) -> None:
        try:
            feature = self.versions.of(claim.feature_version_id, self._keep_on)
        except UnreadableFeature:
            self._give_back(claim)
            return
        attempt = Attempt(claim, feature)
        self.leases.until(claim.token, longest_attempt_s(feature, attempt.tier))
        trace = Trace() if claim.draft else None
        book = CallBook(self.pool, claim, attempt.tier, self.admission, self._keep_on, trace)
        end = self._ask_and_check(attempt, book)
        if trace is not None:
            end = replace(end, ended=replace(end.ended, trace=trace.calls))
        route = self.tier_path.later_tiers(attempt, end.outcome)
        transition = settle(
            self.pool,
            attempt,
            end,
            route,
            book.unsettled,
            keep_on=self._keep_on,
            finishes=self._backfill_finishes if claim.backfill else self._finishes,
        )
        if transition is not None:
            self._report(attempt, end, transition)

    def _ask_and_check(self, attempt: Attempt, book: CallBook) -> AttemptEnd:
        """Make the calls and check the answer. Returns an end in every case; raises only GaveUp."""
        if attempt.claim.shadow and attempt.claim.input is None:
            return input_removed(attempt)
        try:
            ask = self.tier_path.before_call(attempt)
            if isinstance(ask, Skip):
                return skipped(attempt, ask)
            answered = self._ask(attempt, book, ask)
            answered, outcome = self.tier_path.after_answer(attempt, answered, book.answerers)
        except CallFailed as failure:
            return call_failed(attempt, failure, book.maybe_billed, self.settings)
        except (RuleBroken, PairRemoved) as broken:
            return feature_failed(attempt, broken)
        except GaveUp:
            raise
        except Exception as error:
            return crashed(attempt, error, book.maybe_billed, self.settings)
        return answered_with(attempt, answered, outcome)

    def _ask(self, attempt: Attempt, book: CallBook, ask: Ask) -> Answered:
        feature, input = attempt.feature, attempt.claim.input
        if attempt.claim.judges:
            return judge_pair(self.pool, book, feature, attempt.claim, self._keep_on)
        if ask.micro is not None:
            return micro.answer(ask.micro, book, feature, input)
        return self._answering.answer(book, feature, attempt.tier, input, attempt.prior)

    def _report(self, attempt: Attempt, end: AttemptEnd, transition: Transition) -> None:
        """Log how the attempt ended, and wake the callers that wait for the job."""
        log.info(
            "attempt_ended",
            tier=attempt.tier.name,
            verdict=str(end.ended.verdict),
            status=str(transition.job.status),
            latency_s=round(end.ended.latency_s, 4),
        )
        if transition.terminal:
            self.wake_ups.done(attempt.claim.job_id)
        else:
            self.wake_ups.ready()

    def _give_back(self, claim: Claim) -> None:
        """Return the job to the queue for a worker of the release that wrote its version."""
        repeat(
            self.pool,
            lambda connection: give_back(connection, claim.job_id, claim.token, GIVEN_BACK_S),
            keep_on=self._keep_on,
        )

    def _keep_on(self) -> bool:
        return not self.stopping()
