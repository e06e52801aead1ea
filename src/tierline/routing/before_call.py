"""Whether a tier is called at all: by the account's plan, the complexity router, the micro model.

Pure. Each rule returns why the tier is skipped, or None. `first_tier` chooses the first tier of a
job; `later_tiers` chooses the tier that a job escalates to.
"""

from dataclasses import dataclass

from tierline.features import Feature, Tier
from tierline.routing.first_tier import Decision
from tierline.routing.later_tiers import LaterTiers
from tierline.routing.learned.trained import Prediction
from tierline.rules.verdicts import Verdict


@dataclass(frozen=True)
class Skip:
    """Why a tier is not called."""

    verdict: Verdict  # of the attempt: plan, too_complex, low_confidence
    reason: str
    decision: Decision | None = None  # for the decision log; None: the earlier decision stays


def no_later_tier(plan: str) -> str:
    """Why an account on that plan gets no later tier, for people."""
    return f"the account's plan {plan} allows only the first tier"


def refused_by_plan(tier_index: int, first_tier_plan: str | None) -> Skip | None:
    """Refuses later tiers to an account whose plan includes only the first tier.

    `first_tier_plan` is the name of that plan; None: the account's plan includes all tiers.
    """
    if first_tier_plan is None or tier_index == 0:
        return None
    return Skip(Verdict.PLAN, no_later_tier(first_tier_plan))


def is_routed(feature: Feature, tier: Tier) -> bool:
    """Whether a complexity router decides about the tier: only about the first of several."""
    allowed = feature.allowed_tiers()
    return feature.complexity is not None and len(allowed) > 1 and tier is allowed[0]


def is_too_complex(prediction: Prediction, max_risk: float) -> bool:
    """Whether the tier is likely to fail."""
    return prediction.risk > max_risk


def predicted_to_fail(
    feature: Feature, prediction: Prediction, max_risk: float, later: LaterTiers
) -> Skip | None:
    """Skips a tier that is likely to fail, unless no later tier may be called instead."""
    if later.next is None or not is_too_complex(prediction, max_risk):
        return None
    by = prediction.by
    expects = f"the {by} expect it to fail" if by == "rules" else f"{by} expects it to fail"
    reason = f"{expects} at a risk of {prediction.risk:.2f}, and {max_risk:g} is allowed"
    decision = Decision(
        policy="complexity",
        choice=feature.tiers[later.next].name,
        tier_index=later.next,
        reason=reason,
        signals={**prediction.signals, "risk": prediction.risk, "by": by},
        threshold=max_risk,
    )
    return Skip(Verdict.TOO_COMPLEX, reason, decision)


def not_trained(feature: Feature, reason: str, later: LaterTiers) -> Skip:
    """Skips a micro tier without a usable model, whatever tiers come after it."""
    decision = None
    if later.next is not None:
        decision = Decision("micro", feature.tiers[later.next].name, later.next, reason)
    return Skip(Verdict.LOW_CONFIDENCE, reason, decision)
