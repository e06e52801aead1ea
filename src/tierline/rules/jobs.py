"""The life of a job: its states, and the one function that decides every transition.

    queued ──claimed──► in_progress ──passed──────────────► completed
      ▲  │                  │  │ └───last tier failed──────► failed
      │  │                  │  └─────cancel asked before───► cancelled
      │  └─cancel, expiry   └────────deadline went by──────► expired
      └──── next tier, retry, lease lost ──┘

Pure: nothing here reads a clock or a database. Only the result of this function is written to
`status`.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal

from tierline.base.errors import Conflict
from tierline.rules.retries import MOST_MAYBE_BILLED, Retry
from tierline.rules.verdicts import CHECK_FAILURES, Verdict


class Status(StrEnum):
    QUEUED = "queued"  # waits for a worker, or for run_after
    IN_PROGRESS = "in_progress"  # a worker holds it by a lease
    COMPLETED = "completed"  # its answer is the output
    FAILED = "failed"  # no allowed tier gave an answer that may be served
    CANCELLED = "cancelled"  # its caller cancelled it in time
    EXPIRED = "expired"  # its deadline passed first


TERMINAL = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED, Status.EXPIRED})

QUARANTINE_AFTER = 2
"""Lost leases before a job runs alone in quarantine. One loss may be chance; after two, the job
itself may be the cause.
"""


@dataclass(frozen=True)
class Blocked:
    """Why the job may not go to a later tier."""

    verdict: Verdict  # budget, plan, latency
    reason: str


@dataclass(frozen=True)
class Route:
    """Where a job may go after an attempt, and how often and how long it may try."""

    tiers: tuple[int, ...]  # indexes of the feature's tiers that it may go to, in order
    skipped: tuple[str, ...] = ()  # why other later tiers are not asked, for people to read
    blocked: Blocked | None = None  # why an answer that failed a check goes to no later tier
    on_blocked: Literal["fail", "return_unverified"] = "fail"
    retries: int = 3  # tries after provider failures on one tier before the job moves on
    hold_s: float = 86_400.0  # how long a held job waits before it fails
    # how long it is held for a provider that is down before the next tier is asked
    outage_s: float = 60.0

    def after(self, tier_index: int) -> int | None:
        """The next tier that the job may go to, or None."""
        return next((index for index in self.tiers if index > tier_index), None)


@dataclass(frozen=True)
class JobState:
    """The part of a job's state that a decision needs."""

    status: Status
    tier_index: int
    failures: int = 0  # provider failures on this tier
    losses: int = 0  # leases lost
    maybe_billed: int = 0  # calls on this tier without an answer that may have been billed
    held_s: float = 0.0  # how long it has been held so far
    cancel_requested: bool = False
    deadline_passed: bool = False
    earlier_answer: bool = False  # an earlier tier gave a readable answer that failed a check

    @property
    def quarantined(self) -> bool:
        return self.losses >= QUARANTINE_AFTER


@dataclass(frozen=True)
class Claimed:
    """A worker claimed the job."""


@dataclass(frozen=True)
class Passed:
    """The attempt's answer passed every check."""


@dataclass(frozen=True)
class CheckFailed:
    """The answer failed a check, or the tier was skipped."""

    verdict: Verdict
    reason: str
    # whether the answer could be parsed; only then can it be served unverified
    understood: bool = True


@dataclass(frozen=True)
class ProviderFailed:
    """There is no answer. The provider failed, timed out or asked for a later retry, or the account
    may not pay for the call.
    """

    verdict: Verdict  # timeout, rate_limited, provider_error, budget, plan
    reason: str
    retry: Retry = Retry.AGAIN
    maybe_billed: int = 0  # the attempt's calls without an answer that may have been billed
    wait_s: float = 0.0  # wait before the next try: the provider's Retry-After, or our back-off


@dataclass(frozen=True)
class FeatureFailed:
    """The feature itself is at fault, for example by a rule that errors. No other tier can help."""

    reason: str


@dataclass(frozen=True)
class LeaseLost:
    """The worker's heartbeat stopped."""


@dataclass(frozen=True)
class Released:
    """The worker gave the job back: it had to stop, or it could not read the job's feature."""

    wait_s: float = 0.0  # time until another worker may claim it


@dataclass(frozen=True)
class CancelRequested:
    """The caller cancelled it."""


@dataclass(frozen=True)
class DeadlinePassed:
    """The job's deadline passed."""


Outcome = (
    Claimed
    | Passed
    | CheckFailed
    | ProviderFailed
    | FeatureFailed
    | LeaseLost
    | Released
    | CancelRequested
    | DeadlinePassed
)


@dataclass(frozen=True)
class JobError:
    """Why a job failed, as its caller reads it."""

    code: str
    message: str


@dataclass(frozen=True)
class Transition:
    """The new state, and what is written with it."""

    job: JobState
    wait_s: float = 0.0  # time until it may be claimed
    held: bool = False  # it waits for something outside itself
    error: JobError | None = None
    escalation_reason: str | None = None  # set if this transition goes to a later tier
    serve_answer: bool = False  # the attempt's answer becomes the output
    unverified: bool = False  # the output failed a check, and the feature serves it all the same
    # the output is the earlier tier's answer, because no later tier may be asked
    serve_earlier: bool = False
    blocked: Blocked | None = None  # why no later tier was asked

    @property
    def terminal(self) -> bool:
        return self.job.status in TERMINAL


class IllegalTransition(Conflict):
    """The outcome cannot happen to a job in this state: a bug, or a stale view of the job."""


def next_state(job: JobState, outcome: Outcome, route: Route) -> Transition:
    """The transition of `job` after `outcome`. Raises IllegalTransition if the outcome does not
    apply.

    Precedence for a running job: an answer that passed comes first, since it exists and is paid
    for; then a cancel; then the deadline; then what the outcome itself asks for.
    """
    match job.status, outcome:
        case Status.QUEUED, Claimed():
            return Transition(replace(job, status=Status.IN_PROGRESS))
        case Status.QUEUED, CancelRequested():
            return Transition(replace(job, status=Status.CANCELLED, cancel_requested=True))
        case Status.QUEUED, DeadlinePassed():
            return Transition(replace(job, status=Status.EXPIRED, deadline_passed=True))
        case Status.IN_PROGRESS, CancelRequested():
            return Transition(replace(job, cancel_requested=True))
        case Status.IN_PROGRESS, Passed():
            return Transition(replace(job, status=Status.COMPLETED), serve_answer=True)
        case (
            Status.IN_PROGRESS,
            CheckFailed() | ProviderFailed() | FeatureFailed() | LeaseLost() | Released() as ended,
        ):
            if job.cancel_requested:
                return Transition(replace(job, status=Status.CANCELLED))
            if job.deadline_passed:
                return Transition(replace(job, status=Status.EXPIRED))
            return _after_failure(replace(job, status=Status.QUEUED), ended, route)
    raise IllegalTransition(f"a job that is {job.status} cannot take {type(outcome).__name__}")


def _after_failure(
    queued: JobState,
    outcome: CheckFailed | ProviderFailed | FeatureFailed | LeaseLost | Released,
    route: Route,
) -> Transition:
    match outcome:
        case Released(wait_s):
            return Transition(queued, wait_s=wait_s)
        case LeaseLost():
            if queued.quarantined:
                lost = JobError(
                    "worker_lost", "its worker was lost every time, even when the job ran alone"
                )
                return Transition(replace(queued, status=Status.FAILED), error=lost)
            return Transition(replace(queued, losses=queued.losses + 1))
        case FeatureFailed(reason):
            error = JobError("feature_error", reason)
            return Transition(replace(queued, status=Status.FAILED), error=error)
        case ProviderFailed() if outcome.maybe_billed and not _may_pay_again(queued, outcome):
            return _next_tier(queued, outcome, route)
        case ProviderFailed(retry=Retry.OUTAGE) if (
            queued.held_s >= route.outage_s and route.after(queued.tier_index) is not None
        ):
            return _next_tier(queued, outcome, route)
        case ProviderFailed(retry=Retry.HOLD | Retry.OUTAGE):
            return _held(queued, outcome, route)
        case ProviderFailed(retry=Retry.AGAIN | Retry.ONCE) if _may_try_again(
            queued, outcome, route
        ):
            tried = replace(
                queued,
                failures=queued.failures + 1,
                maybe_billed=queued.maybe_billed + outcome.maybe_billed,
            )
            return Transition(tried, wait_s=outcome.wait_s)
        case ProviderFailed() | CheckFailed():
            return _next_tier(queued, outcome, route)


def _held(queued: JobState, outcome: ProviderFailed, route: Route) -> Transition:
    """Requeue a held job. The wait is not the job's fault, so no try is used up."""
    if queued.held_s < route.hold_s:
        waiting = replace(queued, maybe_billed=queued.maybe_billed + outcome.maybe_billed)
        return Transition(waiting, wait_s=outcome.wait_s, held=True)
    waited = f"{outcome.reason}; it waited for {route.hold_s / 3600:g} h"
    error = JobError(str(outcome.verdict), waited)
    return Transition(replace(queued, status=Status.FAILED), error=error)


def _may_try_again(queued: JobState, outcome: ProviderFailed, route: Route) -> bool:
    return queued.failures + 1 < route.retries and _may_pay_again(queued, outcome)


def _may_pay_again(queued: JobState, outcome: ProviderFailed) -> bool:
    return queued.maybe_billed + outcome.maybe_billed <= MOST_MAYBE_BILLED


def _next_tier(queued: JobState, outcome: CheckFailed | ProviderFailed, route: Route) -> Transition:
    blocked = _blocked(outcome, route)
    following = None if blocked is not None else route.after(queued.tier_index)
    if following is not None:
        skipped = f"; left out: {'; '.join(route.skipped)}" if route.skipped else ""
        return Transition(
            replace(queued, tier_index=following, failures=0, maybe_billed=0),
            escalation_reason=f"{outcome.verdict}: {outcome.reason}{skipped}",
        )
    return _no_later_tier(queued, outcome, route, blocked)


def _no_later_tier(
    queued: JobState, outcome: CheckFailed | ProviderFailed, route: Route, blocked: Blocked | None
) -> Transition:
    """End the job: it fails, or an answer that failed a check is served as unverified."""
    match outcome:
        case CheckFailed(understood=True) if route.on_blocked == "return_unverified":
            served = replace(queued, status=Status.COMPLETED)
            return Transition(served, serve_answer=True, unverified=True, blocked=blocked)
        case ProviderFailed(verdict=Verdict.BUDGET | Verdict.PLAN) if (
            route.on_blocked == "return_unverified" and queued.earlier_answer
        ):
            served = replace(queued, status=Status.COMPLETED)
            return Transition(served, unverified=True, serve_earlier=True, blocked=blocked)
    verdict = outcome.verdict
    if verdict not in CHECK_FAILURES:
        error = JobError(str(verdict), outcome.reason)
    else:
        error = JobError("checks_failed", f"{verdict}: {outcome.reason}")
        if blocked is not None:
            message = f"{error.message}; not escalated: {blocked.reason}"
            error = JobError(str(blocked.verdict), message)
    return Transition(replace(queued, status=Status.FAILED), error=error, blocked=blocked)


def _blocked(outcome: CheckFailed | ProviderFailed, route: Route) -> Blocked | None:
    """Why no later tier may be asked, or None. An account that may not pay for this tier does not
    go to a more expensive one. After other provider failures, the next tier's own call is checked.
    """
    if isinstance(outcome, CheckFailed):
        return route.blocked
    if outcome.verdict in (Verdict.BUDGET, Verdict.PLAN):
        return Blocked(outcome.verdict, outcome.reason)
    return None
