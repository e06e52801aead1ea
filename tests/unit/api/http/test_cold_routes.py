"""Each route that reads Postgres in a thread does so by a connection whose statements end."""

from typing import get_args

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from api.access.auth import Requires
from api.app import ROUTES
from api.state import Database, LateDatabase, LateReport, Report

DATABASES = {get_args(one)[1].dependency for one in (Database, LateDatabase)}
REPORT_DATABASES = {get_args(one)[1].dependency for one in (Report, LateReport)}
# What reads more than a bounded page: as much as there is of an account's, or of a feature's, past.
REPORTS = {
    "get_batch",
    "get_drift",
    "get_economics",
    "get_labels",
    "get_progress",
    "get_queues",
    "get_report",
    "get_status",
    "get_training_data",
    "get_usage",
    "list_decisions",
    "list_outcomes",
}


def routes() -> list[APIRoute]:
    return [
        route for module in ROUTES for route in module.router.routes if isinstance(route, APIRoute)
    ]


def test_reports_read_by_connections_of_their_own() -> None:
    cold_routes = {
        route.name
        for route in routes()
        if any(one.call in REPORT_DATABASES for one in route.dependant.dependencies)
    }
    assert cold_routes == REPORTS


def tells_the_caller(dependant: Dependant) -> bool:
    """Whether it, or what it needs, is a `Requires`."""
    if isinstance(dependant.call, Requires):
        return True
    return any(map(tells_the_caller, dependant.dependencies))


def test_the_caller_is_known_before_a_connection_is_asked_for() -> None:
    seen = 0
    for route in routes():
        needed = route.dependant.dependencies
        for place, one in enumerate(needed):
            if one.call in DATABASES | REPORT_DATABASES:
                seen += 1
                assert any(tells_the_caller(before) for before in needed[:place]), route.name
    assert seen > len(REPORTS)
