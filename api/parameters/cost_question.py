"""The query parameters of a feature's economics: a volume, and assumptions."""

from decimal import Decimal
from typing import Annotated

from fastapi import Depends, Query

from tierline.base.errors import InvalidInput, Problem
from tierline.economics.costs import CostQuestion
from tierline.economics.scenarios import Machine, Volume

NUMBER = r"^[0-9]{1,12}(\.[0-9]{1,12})?$"


def _number(description: str) -> object:
    return Query(pattern=NUMBER, description=description)


def cost_question(
    requests_per_day: Annotated[
        str | None, _number("with this, and `peak_per_s`, the answer has `costs`")
    ] = None,
    peak_per_s: Annotated[str | None, _number("requests per second at the peak")] = None,
    revenue_usd_per_month: Annotated[
        str | None, _number("revenue of the product with the feature")
    ] = None,
    machine_usd_per_hour: Annotated[str | None, _number("price of a server of your own")] = None,
    machine_requests_per_s: Annotated[
        str | None, _number("requests per second that it answers, measured")
    ] = None,
    input_tokens: Annotated[
        str | None, _number("per attempt, assumed for a tier with few attempts")
    ] = None,
    output_tokens: Annotated[str | None, _number("output tokens, likewise")] = None,
    escalation_rate: Annotated[str | None, _number("assumed, 0 to 1; default: as measured")] = None,
) -> CostQuestion | None:
    """The question, or None if nothing is asked. Raises InvalidInput."""
    texts = {
        "requests_per_day": requests_per_day,
        "peak_per_s": peak_per_s,
        "revenue_usd_per_month": revenue_usd_per_month,
        "machine_usd_per_hour": machine_usd_per_hour,
        "machine_requests_per_s": machine_requests_per_s,
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "escalation_rate": escalation_rate,
    }
    values = {name: Decimal(text) for name, text in texts.items() if text is not None}
    if not values:
        return None
    rate = values.pop("escalation_rate", None)
    problems = [
        Problem("must be above 0", f"/{name}") for name, value in values.items() if value <= 0
    ]
    problems += [
        Problem("is missing: costs are calculated for a volume", f"/{name}")
        for name in ("requests_per_day", "peak_per_s")
        if name not in values
    ]
    if ("machine_usd_per_hour" in values) != ("machine_requests_per_s" in values):
        problems.append(Problem("a server of your own needs both", "/machine_usd_per_hour"))
    if rate is not None and rate > 1:
        problems.append(Problem("must lie between 0 and 1", "/escalation_rate"))
    if problems:
        raise InvalidInput(problems)
    machine = None
    if "machine_usd_per_hour" in values:
        machine = Machine(values["machine_usd_per_hour"], values["machine_requests_per_s"])
    return CostQuestion(
        volume=Volume(values["requests_per_day"], values["peak_per_s"]),
        machine=machine,
        revenue_usd=values.get("revenue_usd_per_month"),
        input_tokens=values.get("input_tokens"),
        output_tokens=values.get("output_tokens"),
        escalation_rate=rate,
    )


AskedCosts = Annotated[CostQuestion | None, Depends(cost_question)]
