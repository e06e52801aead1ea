"""/v1/prices: the operator's own prices, and the edition of the public prices in use."""

from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.concurrency import run_in_threadpool

from api.access.auth import Operator, Read
from api.document.openapi import returns, takes
from api.http.bodies import Time, answer, read_json, read_model
from api.http.problems import documented
from api.state import Database, Shared
from tierline.base.json_text import JSON
from tierline.pricing import Price
from tierline.pricing.listed import edition
from tierline.services.money import prices as services
from tierline.services.money.prices import Hour
from tierline.views.money import prices as views

router = APIRouter(tags=["prices"])

Usd = Annotated[Decimal, Field(ge=0, le=1_000_000, allow_inf_nan=False, max_digits=20)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Rates(_Body):
    """USD per million tokens of each kind."""

    input_usd_per_mtok: Usd
    output_usd_per_mtok: Usd
    cached_input_usd_per_mtok: Usd | None = Field(
        default=None, description="default: the price of input"
    )
    cache_write_5m_usd_per_mtok: Usd | None = None
    cache_write_1h_usd_per_mtok: Usd | None = None


class LongContext(Rates):
    """The rates for every token of a call with a longer prompt."""

    above_input_tokens: int = Field(ge=1, le=100_000_000, strict=True)


class TokenPrice(Rates):
    """A price by the token."""

    long_context: list[LongContext] = Field(default=[], max_length=5)


class HourPrice(_Body):
    """A server that is paid by the hour."""

    usd_per_hour: Usd
    tokens_per_s: float | None = Field(
        strict=True,
        default=None,
        gt=0,
        le=1e9,
        description="the tokens that it reads and writes when it is busy",
    )
    measured_hours: float | None = Field(
        strict=True,
        default=None,
        gt=0,
        le=8_760,
        description="measure the throughput from the calls of the last hours",
    )

    @model_validator(mode="after")
    def _one_throughput(self) -> "HourPrice":
        if self.tokens_per_s is not None and self.measured_hours is not None:
            raise ValueError("tokens_per_s and measured_hours exclude each other")
        return self


class NewPrice(_Body):
    """A price of one model, from a given time on."""

    model: str = Field(min_length=3, max_length=200, description="provider:model, exactly")
    service_tier: str = Field(default="", max_length=63, description="empty: the standard")
    since: Time | None = Field(default=None, description="default: ten seconds from now")
    price: TokenPrice | HourPrice | None = Field(description="null withdraws it")
    note: str = Field(default="", max_length=500)


@router.get(
    "/v1/prices",
    summary="List the operator's own prices",
    responses={
        200: returns("By model, the newest first", views.PriceList),
        **documented(401, 403, 422, 503),
    },
)
def list_prices(
    _: Read,
    connection: Database,
    model: Annotated[str | None, Query(max_length=200, pattern="^[^\\x00]*$")] = None,
) -> Response:
    """Own prices take precedence over the public list prices, whose edition is given."""
    version, compiled_on = edition()
    return answer(
        views.PriceList.model_validate(
            {
                "data": services.list_prices(connection, model),
                "next_cursor": None,
                "list": {"source": "genai-prices", "version": version, "compiled_on": compiled_on},
            }
        )
    )


@router.post(
    "/v1/prices",
    status_code=201,
    summary="Set a price",
    responses={
        201: returns("It applies from its time on", views.Price),
        **documented(400, 401, 403, 409, 413, 415, 422, 503),
    },
    openapi_extra=takes(
        NewPrice,
        {
            "model": "openai:small",
            "price": {"input_usd_per_mtok": "0.10", "output_usd_per_mtok": "0.40"},
        },
    ),
)
async def post_price(request: Request, _: Operator, state: Shared) -> Response:
    """For exactly this model in all features. A feature's own price takes precedence."""
    body = read_model(NewPrice, await read_json(request, state.settings.max_json_depth))
    row = await run_in_threadpool(state.with_connection, _set, body)
    return answer(views.Price.model_validate(row), 201)


def _set(connection: Any, body: NewPrice) -> Any:
    price: Price | Hour | None = None
    if isinstance(body.price, HourPrice):
        hour = body.price
        price = Hour(hour.usd_per_hour, hour.tokens_per_s, hour.measured_hours)
    elif body.price is not None:
        price = Price.from_dict(_rates_json(body.price))
    return services.set_price(
        connection,
        body.model,
        price,
        terms=body.service_tier.lower(),
        since=body.since,
        note=body.note,
    )


def _rates_json(rates: Rates) -> dict[str, JSON]:
    """Only the given rates, because a missing rate is not an unknown one."""
    document = {
        name: str(value)
        for name, value in rates.model_dump(exclude_none=True, exclude={"long_context"}).items()
    }
    if isinstance(rates, LongContext):
        return {**document, "above_input_tokens": rates.above_input_tokens}
    if isinstance(rates, TokenPrice) and rates.long_context:
        steps = sorted(rates.long_context, key=lambda step: -step.above_input_tokens)
        return {**document, "long_context": [_rates_json(step) for step in steps]}
    return dict(document)
