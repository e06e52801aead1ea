"""Before a paid run: what it is likely to cost, and the cap at which the demo stops itself."""

from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_UP, Decimal

from examples.demo.rows import Row
from tierline.features import Feature, ModelRef
from tierline.features.prompts import answer_messages
from tierline.pricing import PricedCall, price_of

CHARACTERS_A_TOKEN = 3.0  # on the safe side: English has about 4, numbers and tables fewer
REASONING = 800  # tokens that a reasoning model may think before a short answer; billed as output
CAP_TIMES = 3


@dataclass(frozen=True)
class Budget:
    """Should every job escalate and each answer take its whole max_tokens. Money in USD."""

    tokens_in: int
    tokens_out: int
    likely: Decimal | None  # None: nobody knows the model's price
    cap: Decimal | None  # the demo cancels what is left once this much is booked


def budget(rows: list[Row], features: dict[str, Feature], model: str, now: datetime) -> Budget:
    """The estimate for sending every row to `model`."""
    tokens_in = tokens_out = 0
    for row in rows:
        feature = features[row.feature]
        tier = feature.tiers[-1]
        messages = answer_messages(feature, tier, row.input)
        tokens_in += round(sum(len(one.content) for one in messages) / CHARACTERS_A_TOKEN) + 200
        tokens_out += tier.max_tokens + REASONING
    price = price_of(ModelRef.parse(model), PricedCall(now))
    if price is None:
        return Budget(tokens_in, tokens_out, None, None)
    million = Decimal(1_000_000)
    cost = (tokens_in * price.input_usd_per_mtok + tokens_out * price.output_usd_per_mtok) / million
    likely = cost.quantize(Decimal("0.01"), ROUND_UP)
    return Budget(tokens_in, tokens_out, likely, likely * CAP_TIMES)
