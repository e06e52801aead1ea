"""/v1/features/{name}/report and …/outcomes: what routing saved and kept, and on what it stands."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from api.auth import Operator, readable
from api.bodies import Time, answer, aware
from api.cost_question import AskedCosts
from api.cursors import read_cursor, write_cursor
from api.numbers import ASCII_DIGITS
from api.openapi import returns
from api.problems import documented
from api.state import Report, Shared
from tierline.services.reports.economics import economics_of
from tierline.services.reports.report import outcomes_page, report
from tierline.services.reports.status import status_of
from tierline.views import reports

router = APIRouter(tags=["routing"])

DEFAULT_DAYS = 30
MOST_OUTCOMES = 1_000  # of a page

Name = Annotated[str, Path(max_length=63)]
Since = Annotated[
    Time | None,
    Query(alias="from", description="of the submission; 30 days before `to` unless said"),
]
Until = Annotated[Time | None, Query(alias="to", description="not included; now unless said")]


@router.get(
    "/v1/features/{name}/report",
    summary="What a feature's routing saved and kept",
    responses={
        200: returns("Of jobs submitted in the window, of every account", reports.Report),
        **documented(401, 403, 404, 422, 503),
    },
)
def get_report(
    name: Name, _: Operator, connection: Report, since: Since = None, until: Until = None
) -> Response:
    """Real costs beside those of the last tier alone, escalations by reason, and how much of what
    was compared differs.
    """
    begin, end = _window(since, until)
    return answer(reports.Report.exactly(report(connection, name, begin, end)))


@router.get(
    "/v1/features/{name}/economics",
    summary="What a feature's jobs use and cost, and what they would cost at a volume",
    responses={
        200: returns("Of jobs submitted in the window, of every account", reports.Economics),
        **documented(401, 403, 404, 409, 422, 503),
    },
)
def get_economics(
    name: Name,
    _: Operator,
    connection: Report,
    asked: AskedCosts,
    since: Since = None,
    until: Until = None,
) -> Response:
    """Means and standard deviations by tier and by job, and how many escalated; at a volume also
    what each way of running the feature costs, with 95% intervals, where they break even and what
    would save most. 409 for a tier without a price.
    """
    begin, end = _window(since, until)
    return answer(reports.Economics.exactly(economics_of(connection, name, begin, end, asked)))


@router.get(
    "/v1/features/{name}/status",
    summary="Where a feature is on its road, and what comes next",
    responses={
        200: returns("Its stage, of every account's jobs", reports.FeatureStatus),
        **documented(401, 403, 404, 422, 503),
    },
)
def get_status(name: Name, _: Operator, connection: Report) -> Response:
    """From a prototype on the frontier to a proven small model, with what it cost and saved this
    month (UTC).
    """
    return answer(reports.FeatureStatus.exactly(status_of(connection, name)))


@router.get(
    "/v1/features/{name}/outcomes",
    summary="List compared outcomes of a feature's first tier, the newest first",
    responses={
        200: returns(
            "A page of them, of every account, with the inputs of the caller's own",
            reports.OutcomePage,
        ),
        **documented(401, 403, 404, 422, 503),
    },
)
def list_outcomes(
    name: Name,
    caller: Operator,
    state: Shared,
    connection: Report,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, Query(ge=1, le=MOST_OUTCOMES), ASCII_DIGITS] = 200,
    cursor: Annotated[str | None, Query(description="next_cursor of the page before")] = None,
) -> Response:
    """Signals, score and both answers' cost of each, and whether the answers differ."""
    begin, end = _window(since, until)
    rows, before = outcomes_page(
        connection, name, begin, end, read_cursor(cursor), limit, readable(state, caller)
    )
    return answer(reports.OutcomePage.of(rows, None if before is None else write_cursor(before)))


def _window(since: datetime | None, until: datetime | None) -> tuple[datetime, datetime]:
    end = aware(until) or datetime.now(UTC)
    return aware(since) or end - timedelta(days=DEFAULT_DAYS), end
