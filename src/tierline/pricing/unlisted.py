"""Models that nobody is known to sell: neither the catalogue nor the public price list has the id.

New models come out every month, so this is a warning and never a refusal.
"""

from collections.abc import Iterator

from tierline.base.model_ref import ModelRef
from tierline.base.yaml_lines import Document
from tierline.catalogue import find, sold_ids
from tierline.features.model import Feature
from tierline.features.parsing.reading import close_to
from tierline.pricing.in_force import NO_OWN, SELLERS, OwnPrices, at_sellers
from tierline.pricing.listed import is_listed, listed_ids

_OWN = "ft:"  # a fine-tuned model of one's own


def unlisted_models(
    feature: Feature, document: Document, own: OwnPrices = NO_OWN
) -> Iterator[tuple[int, str]]:
    """The line of each such model in the feature's file, and what to tell.

    A model with a price of the operator's, in the file or in `own`, is known to the operator.
    """
    priced = {model for model, _ in own}
    for number, tier in enumerate(feature.tiers):
        for place, model in enumerate(tier.models):
            if model.requested_class is None and str(model) not in {*tier.prices, *priced}:
                warning = unlisted(model)
                if warning is not None:
                    line = document.line(("tiers", number, "models", place))
                    yield line, f"tier {tier.name}: {warning}"


def unlisted(model: ModelRef) -> str | None:
    """What to tell of a model that nobody is known to sell; None if it is known, or is called at
    another address than its seller's.
    """
    seller = SELLERS.get(model.provider)
    if seller is None or not at_sellers(model.provider) or model.model.startswith(_OWN):
        return None
    if find(model.provider, model.model) is not None or is_listed(seller.name, model.model):
        return None
    ids = sold_ids(model.provider) | listed_ids(seller.name)
    close = close_to(model.model.lower(), ids, most=1, cutoff=0.6)
    nearest = f"; the nearest is {model.provider}:{close[0]}" if close else ""
    return (
        f"{model} is in no catalogue and no price list of {model.provider}{nearest}. If the "
        "provider has it, go on; if another server of yours does, set "
        f"{model.provider.upper()}_BASE_URL"
    )
