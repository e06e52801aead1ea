"""/v1/features/{name}/report, …/economics, …/status and …/outcomes: what routing saves."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from api.access.auth import Operator, readable
from api.document.openapi import returns
from api.http.bodies import Time, answer, aware
from api.http.problems import documented
from api.parameters.cost_question import AskedCosts
from api.parameters.cursors import read_cursor, write_cursor
from api.parameters.numbers import ASCII_DIGITS
from api.state import LateReport, Shared
from tierline.services.reports.economics import economics_of
from tierline.services.reports.report import outcomes_page, report
from tierline.services.reports.status import status_of
from tierline.services.reports.usage import day_of
from tierline.views.reports import reports

router = APIRouter(tags=["routing"])

DEFAULT_DAYS = 30
MOST_OUTCOMES = 1_000  # per page

Name = Annotated[str, Path(max_length=63)]
Since = Annotated[
    Time | None,
    Query(
        alias="from",
        description="time of submission; default: the beginning of the UTC day, 30 days"
        " before `to`",
    ),
]
Until = Annotated[Time | None, Query(alias="to", description="exclusive; default: now")]


@router.get(
    "/v1/features/{name}/report",
    summary="Report what a feature's routing saved",
    responses={
        200: returns("For jobs submitted in the window, of every account", reports.Report),
        **documented(401, 403, 404, 422, 503),
    },
)
def get_report(
    name: Name, _: Operator, connection: LateReport, since: Since = None, until: Until = None
) -> Response:
    """Real costs compared with those of the last tier alone, escalations by reason, and how much of
    the compared answers differs.
    """
    begin, end = _window(since, until)
    return answer(report(connection, name, begin, end))


@router.get(
    "/v1/features/{name}/economics",
    summary="Report what a feature's jobs cost, and would cost at a given volume",
    responses={
        200: returns("For jobs submitted in the window, of every account", reports.Economics),
        **documented(401, 403, 404, 409, 422, 503),
    },
)
def get_economics(
    name: Name,
    _: Operator,
    connection: LateReport,
    question: AskedCosts,
    since: Since = None,
    until: Until = None,
) -> Response:
    """Means and standard deviations by tier and by job, and the share that escalated. With a volume
    also the cost of each way to run the feature, with 95% intervals, the break-even points, and
    what would save most. 409 for a tier without a price.
    """
    begin, end = _window(since, until)
    return answer(economics_of(connection, name, begin, end, question))


@router.get(
    "/v1/features/{name}/status",
    summary="Show a feature's stage and its next step",
    responses={
        200: returns("Its stage, from every account's jobs", reports.FeatureStatus),
        **documented(401, 403, 404, 422, 503),
    },
)
def get_status(name: Name, _: Operator, connection: LateReport) -> Response:
    """The stages go from a prototype on the frontier to a proven small model. With costs and
    savings of this month (UTC).
    """
    return answer(status_of(connection, name))


@router.get(
    "/v1/features/{name}/outcomes",
    summary="List compared outcomes of a feature's first tier, the newest first",
    responses={
        200: returns(
            "A page of every account's outcomes, with the inputs of the caller's own",
            reports.OutcomePage,
        ),
        **documented(401, 403, 404, 422, 503),
    },
)
def list_outcomes(
    name: Name,
    caller: Operator,
    state: Shared,
    connection: LateReport,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, Query(ge=1, le=MOST_OUTCOMES), ASCII_DIGITS] = 200,
    cursor: Annotated[str | None, Query(description="next_cursor of the page before")] = None,
) -> Response:
    """Each has its signals, its score, both answers' costs, and whether the answers differ."""
    begin, end = _window(since, until)
    rows, before = outcomes_page(
        connection, name, begin, end, read_cursor(cursor), limit, readable(state, caller)
    )
    return answer(reports.OutcomePage.of(rows, None if before is None else write_cursor(before)))


def _window(since: datetime | None, until: datetime | None) -> tuple[datetime, datetime | None]:
    end = aware(until)
    begin = day_of(end or datetime.now(UTC)) - timedelta(days=DEFAULT_DAYS)
    return aware(since) or begin, end
