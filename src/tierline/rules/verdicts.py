"""The verdict that every attempt ends with: the field's words for how an answer fared."""

from enum import StrEnum


class Verdict(StrEnum):
    PASSED = "passed"  # every check held
    MALFORMED = "malformed"  # not JSON, and no local repair makes it so
    SCHEMA = "schema"  # JSON, but not what the output schema asks for
    RULE = "rule"  # a rule of the feature does not hold
    UNGROUNDED = "ungrounded"  # a value that does not stand in the input
    UNCHECKED = "unchecked"  # there was too much to check: nobody knows whether it is right
    LOW_CONFIDENCE = "low_confidence"  # right in form, but the model is not sure enough
    REFUSED = "refused"  # the model declined, or a content filter did
    TRUNCATED = "truncated"  # the answer hit max_tokens
    TIMEOUT = "timeout"  # no whole answer inside timeout_s
    RATE_LIMITED = "rate_limited"  # the provider asked us to come back later
    PROVIDER_ERROR = "provider_error"  # the provider failed, or could not be reached
    TOO_COMPLEX = "too_complex"  # it was not asked, since it would likely fail
    BUDGET = "budget"  # a budget does not hold the call, or its price is unknown under one
    PLAN = "plan"  # the account's plan does not reach to this tier
    LATENCY = "latency"  # no later tier would answer inside the feature's latency target
    FEATURE_ERROR = "feature_error"  # the feature is at fault: a rule that errors, for one
    WORKER_LOST = "worker_lost"  # the worker died, or its lease was lost
    SUPERSEDED = "superseded"  # the job ended, or went on, without this attempt


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
"""Verdicts on the answer, where another tier may do better; the others speak of the road."""

WRONG = CHECK_FAILURES - {Verdict.LOW_CONFIDENCE, Verdict.UNCHECKED}
"""Those that say that the answer is wrong; after the two others it may be right."""
