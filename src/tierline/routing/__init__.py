"""Which tier a job starts on, and why: pure functions from signals to a decision.

Where a job goes after a failed check is `jobs.next_state`'s business.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tierline.features import Feature


@dataclass(frozen=True)
class Decision:
    """A routing decision, as it is kept with the attempt."""

    policy: str
    tier_index: int  # in the feature's file
    tier: str
    reason: str
    signals: Mapping[str, Any] = field(default_factory=dict)


REASONS = {
    "slm_first": "the first tier answers first",
    "slm_only": "the feature allows its first tier only",
    "frontier_only": "the feature allows its last tier only",
}


def first_tier(feature: Feature) -> Decision:
    """Where a new job of the feature starts."""
    tier = feature.allowed_tiers()[0]
    return Decision(
        policy=feature.routing,
        tier_index=feature.tiers.index(tier),
        tier=tier.name,
        reason=REASONS[feature.routing],
    )
