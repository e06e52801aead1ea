"""One attempt at a job: the claim under way, with the feature and the tier that it is about."""

import time
from dataclasses import dataclass

from tierline.features import Feature, Tier
from tierline.features.prompts import PriorFailure
from tierline.routing.later_tiers import LaterTiers
from tierline.storage.jobs.claims import Claim


@dataclass
class Attempt:
    """What the services that take part in an attempt need to know of it."""

    claim: Claim
    feature: Feature
    later: LaterTiers | None = None  # where the job may go from here, once that is decided

    @property
    def tier(self) -> Tier:
        """The tier whose answer the job waits for."""
        return self.feature.tiers[self.claim.tier_index]

    @property
    def prior(self) -> PriorFailure | None:
        """The earlier tier's answer that failed a check, for the prompt."""
        earlier = self.claim.earlier
        if earlier is None:
            return None
        return PriorFailure(earlier.tier, earlier.verdict, earlier.reason, earlier.text)

    def elapsed_s(self) -> float:
        """Since the job was claimed."""
        return time.monotonic() - self.claim.read_at_s
