"""How long an attempt may take before its lease is given up, whatever its worker says."""

from tierline.features import Feature, Tier
from tierline.services.calls.calls import MOST_WAIT_S
from tierline.services.calls.custom_checks import longest_s

SLACK_S = 30.0  # beyond its calls


def longest_attempt_s(feature: Feature, tier: Tier) -> float:
    """Seconds: each call of the attempt, to each of the tier's models, until its timeout; the
    operator's own checks of each answer, until theirs; and the waits between calls.
    """
    confidence = feature.confidence_of(tier)
    with_reask = 2 if tier.reask else 1
    if tier.join_steps:
        calls = 0
    elif confidence is not None:
        calls = (
            confidence.samples or 2
        ) + confidence.verify  # 2: a label's score, and its baseline
    else:
        calls = with_reask
    checks_s = max(1, calls) * longest_s(feature.checks)
    checks_s += with_reask * sum(longest_s(step.checks) for step in tier.steps)
    calls += with_reask * len(tier.steps)
    waits_s = MOST_WAIT_S if calls > 1 else 0.0
    return calls * len(tier.models) * tier.timeout_s + checks_s + waits_s + SLACK_S
