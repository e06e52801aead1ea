"""Where a job begins: which tier of its feature is tried first, and why.

Pure. What happens after the first answer is `tierline.jobs.next_state`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tierline.features import Feature
from tierline.json_text import JSON


@dataclass(frozen=True)
class Decision:
    """One routing decision, as it is kept."""

    policy: str  # the feature's `routing`
    choice: str  # the tier's name
    tier_index: int  # in the feature's whole list of tiers, as in jobs.tier_index
    reason: str
    signals: Mapping[str, JSON] = field(default_factory=dict)  # what the policy looked at


def first_tier(feature: Feature) -> Decision:
    """The tier that a new job of `feature` waits for."""
    index = feature.tiers.index(feature.allowed_tiers()[0])
    reason = {
        "slm_first": "the feature's first tier",
        "slm_only": "the only tier that the feature allows",
        "frontier_only": "the feature skips every tier but its last",
    }[feature.routing]
    return Decision(feature.routing, feature.tiers[index].name, index, reason)
