"""How long an attempt may take before its lease is given up, whatever its worker says."""

from tierline.features import Feature, Tier
from tierline.services.calls.calls import MOST_WAIT_S

SLACK_S = 30.0  # beyond its calls


def longest_attempt_s(feature: Feature, tier: Tier) -> float:
    """Seconds: each call of the attempt, to each of the tier's models, until its timeout; and the
    waits between calls.
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
    calls += with_reask * len(tier.steps)
    waits_s = MOST_WAIT_S if calls > 1 else 0.0
    return calls * len(tier.models) * tier.timeout_s + waits_s + SLACK_S
