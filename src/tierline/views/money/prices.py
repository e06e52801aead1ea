"""The JSON of prices."""

from datetime import date

from pydantic import Field

from tierline.views.view import AnyObject, Page, TextId, Time, View


class Price(View):
    """A price that the operator set, from a given time on."""

    id: TextId
    model: str = Field(description="provider:model")
    service_tier: str = Field(validation_alias="terms", description="empty: the standard")
    since: Time
    in_force: bool
    price: AnyObject | None = Field(description="USD per million tokens; null: withdrawn")
    note: str
    created_at: Time


class PriceEdition(View):
    """The edition of the public list prices in use."""

    source: str
    version: str
    compiled_on: date


class PriceList(Page[Price]):
    """The operator's own prices, and the public ones that apply otherwise."""

    edition: PriceEdition = Field(alias="list")
