"""Which price applies to a call: the feature's own, else the operator's, else the list price."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from tierline.base.model_ref import ModelRef
from tierline.base.settings import settings
from tierline.pricing.listed import STANDARD, is_listed, listed
from tierline.pricing.price import FREE, Price

_PLAIN = frozenset(
    {"", "auto", "default", "standard"}
)  # what providers report for a call without a service tier


_OWN_MACHINE = frozenset({"local", "micro"})

VERTEX = "aiplatform.googleapis.com"


@dataclass(frozen=True)
class Seller:
    """Whose list prices apply to a provider's calls, and at which address."""

    name: str  # as in list_prices.json
    host: str


SELLERS: Mapping[str, Seller] = {
    "anthropic": Seller("anthropic", "api.anthropic.com"),
    "gemini": Seller("google", "generativelanguage.googleapis.com"),
    "mistral": Seller("mistral", "api.mistral.ai"),
    "openai": Seller("openai", "api.openai.com"),
    "vertex": Seller("google", VERTEX),
}
"""By provider. A price applies at the seller's own address only. Another server at the same setting
has its own prices, and a regional address may have a surcharge."""


@dataclass(frozen=True)
class PricedCall:
    """The facts about a call that its price depends on."""

    at: datetime  # aware
    # as the provider reported it: default, flex, priority, batch, …
    service_tier: str | None = None
    answered: str | None = None  # the exact id that answered, if known

    @property
    def terms(self) -> str:
        tier = (self.service_tier or "").lower()
        return STANDARD if tier in _PLAIN else tier


OwnPrices = Mapping[tuple[str, str], Sequence[tuple[datetime, Price | None]]]
"""(provider:model, terms) → the operator's prices, newest first.

None: withdrawn from that time on.
"""

NO_OWN: OwnPrices = {}


def price_of(
    ref: ModelRef,
    call: PricedCall,
    override: Mapping[str, Price] | None = None,
    own: OwnPrices = NO_OWN,
) -> Price | None:
    """The price in force for exactly this model and call; None if unknown.

    A price in the feature's tier applies to the standard terms only. The others apply to the terms
    that they name.
    """
    name, terms = str(ref), call.terms
    if terms == STANDARD and override and name in override:
        return override[name]
    for since, price in own.get((name, terms), ()):
        if since <= call.at:
            if price is not None:
                return price
            break
    if ref.provider in _OWN_MACHINE:
        return FREE
    if not at_sellers(ref.provider):
        return None
    seller = SELLERS[ref.provider]
    if call.answered and is_listed(seller.name, call.answered):
        # The seller bills the model that answered, which may differ from the requested one.
        return listed(seller.name, call.answered, call.at, terms)
    return listed(seller.name, ref.model, call.at, terms)


def list_price(ref: ModelRef, at: datetime) -> Price | None:
    """The seller's public price, wherever the model is served; None if it has none."""
    seller = SELLERS.get(ref.provider)
    return None if seller is None else listed(seller.name, ref.model, at)


def host_of(provider: str) -> str | None:
    """The host that the provider's calls go to; None if the settings name none."""
    current = settings()
    base_url: str | None = getattr(current, f"{provider}_base_url", None)
    if base_url is not None:
        return urlsplit(base_url).hostname
    if provider == "vertex":
        location = getattr(current, "google_cloud_location", "global")
        return VERTEX if location == "global" else f"{location}-{VERTEX}"
    return None


def at_sellers(provider: str) -> bool:
    """Whether the provider's calls go to the seller's own global address."""
    seller = SELLERS.get(provider)
    return seller is not None and host_of(provider) == seller.host
