"""The verdict that every attempt ends with."""

from enum import StrEnum


class Verdict(StrEnum):
    PASSED = "passed"  # every check passed
    MALFORMED = "malformed"  # not JSON, even after local repair
    SCHEMA = "schema"  # JSON, but it does not match the output schema
    RULE = "rule"  # a rule of the feature failed
    UNGROUNDED = "ungrounded"  # a value is not in the input
    UNCHECKED = "unchecked"  # there was too much to check, so it is unknown whether it is right
    LOW_CONFIDENCE = "low_confidence"  # the form is right, but the confidence is too low
    REFUSED = "refused"  # the model or a content filter refused
    TRUNCATED = "truncated"  # the answer hit max_tokens
    TIMEOUT = "timeout"  # no complete answer within timeout_s
    RATE_LIMITED = "rate_limited"  # the provider asked for a later retry
    PROVIDER_ERROR = "provider_error"  # the provider failed, or could not be reached
    TOO_COMPLEX = "too_complex"  # skipped, because it would likely fail
    BUDGET = "budget"  # a budget does not cover the call, or the price is unknown under a budget
    PLAN = "plan"  # the account's plan does not include this tier
    LATENCY = "latency"  # no later tier would answer within the feature's latency target
    FEATURE_ERROR = "feature_error"  # the feature is at fault, for example a rule that errors
    WORKER_LOST = "worker_lost"  # the worker died, or its lease was lost
    SUPERSEDED = "superseded"  # the job ended or went on without this attempt


CHECK_FAILURES = frozenset(
    {
        Verdict.MALFORMED,
        Verdict.SCHEMA,
        Verdict.RULE,
        Verdict.UNGROUNDED,
        Verdict.UNCHECKED,
        Verdict.LOW_CONFIDENCE,
        Verdict.REFUSED,
        Verdict.TRUNCATED,
    }
)
"""Verdicts on the answer, where another tier may do better. The others are about how it was
obtained.
"""

WRONG = CHECK_FAILURES - {Verdict.LOW_CONFIDENCE, Verdict.UNCHECKED}
"""Those that say that the answer is wrong. After the two others it may be right."""
