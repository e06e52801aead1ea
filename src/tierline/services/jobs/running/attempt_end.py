"""How an attempt ended: the outcome that decides about its job, and what is stored of it.

There is one function for each way: an answer, a skipped tier, a failed call, an error in the
feature, an error in tierline.
"""

from dataclasses import dataclass

import structlog

from tierline.base.logs import frames_of
from tierline.base.settings import Settings
from tierline.checks import RuleBroken
from tierline.providers.types import CallFailed
from tierline.routing.before_call import Skip
from tierline.rules.jobs import CheckFailed, FeatureFailed, Outcome, Passed, ProviderFailed
from tierline.rules.retries import Retry
from tierline.rules.scheduling import backoff_s
from tierline.rules.verdicts import Verdict
from tierline.services.calls.answer import Answered
from tierline.services.calls.attempt import Attempt
from tierline.services.evidence.evaluation.judge import PairRemoved
from tierline.storage.evidence.outcomes import AnswerOutcome
from tierline.storage.jobs.finishes import Ended

log = structlog.get_logger(__name__)

UNDERSTOOD = frozenset(
    {
        Verdict.PASSED,
        Verdict.SCHEMA,
        Verdict.RULE,
        Verdict.UNGROUNDED,
        Verdict.UNCHECKED,
        Verdict.LOW_CONFIDENCE,
    }
)
"""The verdicts of answers that could be parsed, so that there is an output to store."""


@dataclass(frozen=True)
class AttemptEnd:
    """How one attempt ended."""

    outcome: Outcome
    ended: Ended


def answered_with(
    attempt: Attempt, answered: Answered, outcome: AnswerOutcome | None
) -> AttemptEnd:
    """The tier answered. `outcome` is what is stored to compare the answer later, or None."""
    checked = answered.checked
    ended = Ended(
        verdict=checked.verdict,
        reason=checked.reason,
        latency_s=attempt.elapsed_s(),
        model=answered.model,
        text=answered.text,
        output=checked.output,
        understood=checked.verdict in UNDERSTOOD and answered.failed_step is None,
        repaired=checked.repaired,
        confidence=answered.confidence,
        outcome=outcome,
    )
    if checked.verdict is Verdict.PASSED:
        return AttemptEnd(Passed(), ended)
    return AttemptEnd(CheckFailed(checked.verdict, checked.reason or "", ended.understood), ended)


def skipped(attempt: Attempt, skip: Skip) -> AttemptEnd:
    """The tier was skipped."""
    verdict, reason = skip.verdict, skip.reason
    routing = None if skip.decision is None else skip.decision.to_dict()
    ended = Ended(verdict, reason, attempt.elapsed_s(), routing=routing)
    if verdict is Verdict.PLAN:
        return AttemptEnd(ProviderFailed(verdict, reason, Retry.NEVER), ended)
    return AttemptEnd(CheckFailed(verdict, reason, understood=False), ended)


def call_failed(
    attempt: Attempt, failure: CallFailed, maybe_billed: int, settings: Settings
) -> AttemptEnd:
    """All models of the tier failed. `maybe_billed` counts the calls that may have been billed."""
    verdict, reason, wait_s = failure.verdict, failure.reason, failure.retry_after_s
    if wait_s is None:
        number = attempt.claim.attempt
        wait_s = backoff_s(number, settings.retry_base_s, settings.retry_max_s)
    return AttemptEnd(
        ProviderFailed(verdict, reason, failure.retry, maybe_billed, wait_s),
        Ended(verdict, reason, attempt.elapsed_s()),
    )


def feature_failed(attempt: Attempt, broken: RuleBroken | PairRemoved) -> AttemptEnd:
    """A rule of the feature raised an error, or the answers that a judge compares were removed."""
    reason = broken.message
    return AttemptEnd(
        FeatureFailed(reason), Ended(Verdict.FEATURE_ERROR, reason, attempt.elapsed_s())
    )


def input_removed(attempt: Attempt) -> AttemptEnd:
    """The job is a shadow, and the input of the job that it repeats was removed."""
    reason = "the input of the job that this shadow repeats was removed"
    return AttemptEnd(
        FeatureFailed(reason), Ended(Verdict.FEATURE_ERROR, reason, attempt.elapsed_s())
    )


def crashed(
    attempt: Attempt, error: Exception, maybe_billed: int, settings: Settings
) -> AttemptEnd:
    """tierline itself failed. The log has the stack; the caller reads only that it is our error."""
    kind = type(error).__name__
    log.error("attempt_crashed", error=kind, at=frames_of(error))
    verdict, reason = Verdict.PROVIDER_ERROR, f"internal error ({kind})"
    return AttemptEnd(
        ProviderFailed(verdict, reason, maybe_billed=maybe_billed, wait_s=settings.retry_base_s),
        Ended(verdict, reason, attempt.elapsed_s()),
    )
