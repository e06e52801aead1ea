"""The JSON of models, as features can name them."""

from datetime import date

from pydantic import Field

from tierline.views.view import AnyObject, View


class Model(View):
    """A model that a feature can name: its facts and its state."""

    model: str | None = Field(description="provider:model; null: nobody sells it")
    family: str | None = Field(description="null: not in the catalogue")
    model_class: str | None = Field(
        serialization_alias="class", description="micro, small, mid or frontier"
    )
    features: list[str]
    configured: bool | None
    missing: str | None = Field(description="what must be set first")
    region: str | None = Field(description="where it runs; null: anywhere")
    price: AnyObject | None = Field(description="USD per million tokens; null: unpriced")
    id: str | None = Field(description="the exact id behind an alias")
    aliases: list[str]
    lifecycle: str | None = Field(description="sold, retires, retires soon or retired")
    released: date | None
    retires: date | None
    not_before: date | None
    successor: str | None = Field(description="the model that replaces it")
    context_tokens: int | None
    output_tokens: int | None
    structured_output: bool | None = Field(description="null: unknown")
    logprobs: bool | None
    temperature: bool | None
    reasoning: bool | None
    sources: AnyObject = Field(description="by fact: url, and the day it was read")
    self_hosted: AnyObject = Field(description="by server: the id there")
    nearest: str | None = Field(description="the closest model that is sold")
    circuit_open: str | None = Field(description="why its circuit is open; null: it is closed")
    left_alone: str | None = Field(
        deprecated=True, description="circuit_open as version 0.1 named it"
    )
    note: str | None


class Models(View):
    """Models: those in use first, then the catalogue."""

    data: list[Model]
