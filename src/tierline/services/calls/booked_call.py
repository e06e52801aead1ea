"""One call whose row is committed: what it may cost, and how it is settled."""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

from tierline.base.usage import Usage
from tierline.features import ModelRef, Tier
from tierline.pricing import OwnPrices, Price, PricedCall, cost_usd, price_of
from tierline.providers import Completion
from tierline.storage.jobs.finishes import Settlement

NOT_REPORTED = Usage(input_tokens=None, output_tokens=None)


@dataclass(frozen=True)
class BookedCall:
    """A call that is about to be sent, or under way."""

    number: int  # within the attempt
    purpose: str
    model: ModelRef
    asked_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    started_s: float = field(default_factory=time.monotonic)

    def elapsed_s(self) -> float:
        return time.monotonic() - self.started_s

    def price(
        self, tier: Tier, own: OwnPrices, service_tier: str | None, answered_by: str | None = None
    ) -> Price | None:
        """The model's price at the time of the call; None: unknown. `own`: the operator's."""
        terms = PricedCall(self.asked_at, service_tier, answered_by)
        return price_of(self.model, terms, tier.prices, own)

    def answered(
        self, completion: Completion, latency_s: float, tier: Tier, own: OwnPrices
    ) -> Settlement:
        usage = completion.usage or NOT_REPORTED
        # A provider that does not name the service tier gave the requested one.
        service_tier = completion.service_tier or tier.service_tier
        price = self.price(tier, own, service_tier, completion.model)
        return Settlement(
            number=self.number,
            purpose=self.purpose,
            model=str(self.model),
            latency_s=latency_s,
            answered_model=completion.model,
            **vars(usage),
            cost_usd=cost_usd(completion.usage, price, latency_s),
            provider_request_id=completion.provider_request_id,
            service_tier=completion.service_tier,
        )

    def failed(self, latency_s: float, cost: Decimal | None, error: str) -> Settlement:
        """`cost`: in USD; None: unknown."""
        return Settlement(
            number=self.number,
            purpose=self.purpose,
            model=str(self.model),
            latency_s=latency_s,
            cost_usd=cost,
            error=error,
        )
