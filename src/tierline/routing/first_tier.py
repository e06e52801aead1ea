"""Where a job begins: which tier of its feature is tried first, and why.

Pure and reproducible: a stored decision can be made again from the facts stored with it. What
happens after the first answer is in `rules.jobs.next_state`.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tierline.base.json_text import JSON
from tierline.features import Feature


@dataclass(frozen=True)
class JobOrigin:
    """What is known of a job when it is submitted."""

    account: str  # its name
    key: str  # what groups its caller's jobs: session, user, or the job's own id


@dataclass(frozen=True)
class Decision:
    """One routing decision."""

    policy: str  # the feature's `routing`, or what overrides it: pinned, canary
    choice: str  # the tier's name
    tier_index: int  # in the feature's whole list of tiers, as in jobs.tier_index
    reason: str
    signals: Mapping[str, JSON] = field(default_factory=dict)  # the inputs of the policy
    threshold: float | None = None  # what a signal was compared with

    def to_dict(self) -> dict[str, JSON]:
        """The decision as it is stored with the job."""
        document: dict[str, JSON] = {
            "policy": self.policy,
            "choice": self.choice,
            "reason": self.reason,
            "signals": dict(self.signals),
        }
        if self.threshold is not None:
            document["threshold"] = self.threshold
        return document


def varies(feature: Feature) -> bool:
    """Whether jobs of `feature` may begin on different tiers, so that each decision is stored."""
    return bool(feature.pinned) or feature.canary is not None


def default_tier(feature: Feature) -> Decision:
    """The first tier of a job of `feature`, unless something about the job says otherwise."""
    index = feature.tiers.index(feature.first_tier())
    reason = {
        "slm_first": "the feature's first tier",
        "slm_only": "the only tier that the feature allows",
        "frontier_first": "the feature begins on its last tier",
        "frontier_only": "the feature skips every tier but its last",
    }[feature.routing]
    return Decision(feature.routing, feature.tiers[index].name, index, reason)


def first_tier(feature: Feature, facts: JobOrigin) -> Decision:
    """The job's first tier: its account's pin, then the canary, then the feature's first tier."""
    signals: dict[str, JSON] = {}
    if feature.pinned:
        signals["account"] = facts.account
    if feature.canary is not None:
        signals["drawn"] = share_of(feature.name, facts.key)
    return by_signals(feature, signals)


def by_signals(feature: Feature, signals: Mapping[str, JSON]) -> Decision:
    """The decision for these signals. The signals of a stored decision give the same decision."""
    pin = feature.pinned.get(signals.get("account", ""))
    if pin is not None:
        index = _index(feature, pin)
        return Decision("pinned", pin, index, f"the account is pinned to {pin}", signals)
    default = default_tier(feature)
    canary = feature.canary
    if canary is None:
        return replace(default, signals=signals)
    if signals["drawn"] < canary.share:
        index = _index(feature, canary.tier)
        reason = f"sampled for the canary, which takes {canary.share:.2%} of the traffic"
        return Decision("canary", canary.tier, index, reason, signals, canary.share)
    return replace(default, signals=signals, threshold=canary.share)


def share_of(feature: str, key: str) -> float:
    """A number from 0 to 1 that is the same for the same key, so that a canary is sticky.

    The feature's name is part of it, so that a caller in one feature's canary is not in all.
    """
    digest = hashlib.sha256(f"{feature}\0{key}".encode()).digest()
    return int.from_bytes(digest[:6]) / 2**48


def _index(feature: Feature, tier: str) -> int:
    return feature.tiers.index(feature.tier(tier))
