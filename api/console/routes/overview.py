"""The first page: what is wrong now, the queues, and each feature's figures."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from api.console.pages import ConsoleRoute, page
from api.console.session import CONSOLE, Reader
from api.console.views.overview import card_of, wrongs_of
from api.state import LateReport, Shared, State, state_of
from tierline.features.stored import UnreadableFeature
from tierline.services.evidence.calibration.calibrations import calibrations_of
from tierline.services.features.find_feature import current_versions
from tierline.services.money.budgets import list_budgets
from tierline.services.reports.report import report
from tierline.services.reports.status import status_of
from tierline.services.reports.usage import day_of, usage_of

router = APIRouter(include_in_schema=False, route_class=ConsoleRoute)

DAYS = 30
PAGE = 10  # features; each takes several reports


async def _degraded(state: Annotated[State, Depends(state_of)]) -> dict[str, str]:
    return await state.health.degraded()


@router.get(CONSOLE)
def get_overview(
    request: Request,
    caller: Reader,
    state: Shared,
    connection: LateReport,
    degraded: Annotated[dict[str, str], Depends(_degraded)],
    after: str = "",
) -> Response:
    """Features' figures over all accounts are an operator's; others see their account's usage."""
    begin = day_of(datetime.now(UTC)) - timedelta(days=DAYS)
    versions = [one for one in current_versions(connection) if one.name > after]
    versions_shown = versions[:PAGE] if caller.may("operator") else []
    cards, unreadable = [], dict[str, str]()
    for one in versions_shown:
        try:
            card = card_of(
                status_of(connection, one.name),
                report(connection, one.name, begin, None),
                calibrations_of(connection, one.name),
            )
        except UnreadableFeature as error:
            unreadable[one.name] = error.message
        else:
            cards.append(card)
    budgets = list_budgets(connection, caller.confined_to) if caller.may("admin") else []
    threads = state.health.threads
    return page(
        request,
        "overview.html",
        wrong=wrongs_of(degraded | unreadable, budgets, cards),
        queues=[(depth, threads.get(depth.queue, 0)) for depth in state.queues.read(connection)],
        cards=cards,
        operator=caller.may("operator"),
        more=versions_shown[-1].name if versions_shown and len(versions) > PAGE else None,
        usage=usage_of(connection, caller.account_id, begin, None, ["feature", "tier"]),
        days=DAYS,
    )
