"""The decisions about a job, in order, and what each tier was expected to cost."""

from collections.abc import Mapping
from datetime import datetime
from itertools import groupby
from typing import Any
from uuid import UUID

from psycopg import Connection

from tierline.base.errors import NotFound
from tierline.base.json_text import JSON
from tierline.features import Feature
from tierline.features.stored import read_stored
from tierline.pricing import OwnPrices
from tierline.pricing.estimates import estimates, prices_of
from tierline.routing.first_tier import default_tier
from tierline.rules.jobs import TERMINAL
from tierline.storage.jobs import decisions
from tierline.storage.jobs.decisions import Filters
from tierline.storage.money.prices import own_prices
from tierline.views.jobs.decisions import (
    Alternative,
    Decision,
    FirstDecision,
    LoggedDecision,
    Route,
    decision_view,
)

__all__ = ["Filters", "decisions_of", "decisions_page"]

MOST_EXAMINED = 20_000  # jobs with their attempts, for one page
AT_ONCE = 5_000  # jobs that one statement examines, at most
# Each account's newest jobs are read, to find the newest of all.
MOST_OF_ALL = 10_000
AT_ONCE_OF_ALL = 500


def decisions_of(connection: Connection[Any], account_id: int, job_id: UUID) -> Route:
    """All decisions about a job, in order. Raises NotFound if the account has no such job.

    The expected cost of each tier is calculated from stored data: the feature's version, the prices
    in force when the job was submitted, and the length of its input.
    """
    began = decisions.beginning(connection, account_id, job_id)
    if began is None:
        raise NotFound(f"there is no job {job_id}")
    feature = read_stored(began["feature"], began["feature_version"], began["document"])
    rows = decisions.of_job(connection, job_id)
    made = [decision_view(row, outcome) for row, outcome in _with_outcomes(rows)]
    if not made:
        first = began["decision"] or default_tier(feature).to_dict()
        made = [_waiting(job_id, began, first)]
    return Route(
        job_id=job_id,
        feature=began["feature"],
        feature_version=began["feature_version"],
        status=began["status"],
        decisions=made,
        alternatives=_alternatives(
            feature, own_prices(connection), began["created_at"], began["characters"]
        ),
    )


def decisions_page(
    connection: Connection[Any],
    account_id: int | None,
    filters: Filters,
    before: int | None,
    jobs: int,
) -> tuple[list[Decision], int | None]:
    """The decisions about up to `jobs` jobs of one account or of all, newest first, and the `seq`
    to continue before. No index helps, so a page may have fewer jobs, or none, although older ones
    match: it examines at most MOST_EXAMINED jobs, of all accounts MOST_OF_ALL.
    """
    most, at_once = (
        (MOST_OF_ALL, AT_ONCE_OF_ALL) if account_id is None else (MOST_EXAMINED, AT_ONCE)
    )
    rows, stopped = decisions.page(
        connection, account_id, filters, before, jobs, most=most, at_once=at_once
    )
    made = [
        decision_view(row, outcome)
        for _, group in groupby(rows, key=lambda row: row["seq"])
        for row, outcome in _with_outcomes(list(group))
    ]
    return made, stopped


def _waiting(job_id: UUID, began: Mapping[str, Any], first: Mapping[str, JSON]) -> Decision:
    """The decision about a job that no worker has claimed yet."""
    row: FirstDecision = {
        "job_id": job_id,
        "account": began["account"],
        "feature": began["feature"],
        "feature_version": began["feature_version"],
        "number": None,
        "started_at": began["created_at"],
        "routing": first,
        "tier": began["tier"],
        "model": None,
        "verdict": None,
        "reason": None,
        "confidence": None,
        "calibration_id": None,
        "confidence_threshold": None,
        "confidence_signals": None,
    }
    return decision_view(row, None if began["status"] not in TERMINAL else began["status"])


def _with_outcomes(rows: list[LoggedDecision]) -> list[tuple[LoggedDecision, str | None]]:
    """A job's decisions, each with its outcome, or None while that is open."""
    decided: list[tuple[LoggedDecision, str | None]] = []
    for place, row in enumerate(rows):
        following = rows[place + 1] if place + 1 < len(rows) else None
        decided.append((row, _outcome(row, following)))
    return decided


def _outcome(row: LoggedDecision, following: LoggedDecision | None) -> str | None:
    if row["number"] == row["answer_attempt"]:
        return "served_unverified" if row["unverified"] else "served"
    if row["verdict"] is None and row["job_status"] not in TERMINAL:
        return None
    if following is not None:
        return "escalated" if following["tier"] != row["tier"] else "tried_again"
    if row["number"] < row["last_attempt"]:
        return "tried_again_or_escalated"  # the next decision is outside the requested page
    return str(row["job_status"]) if row["job_status"] in TERMINAL else "waits"


def _alternatives(
    feature: Feature, own: OwnPrices, at: datetime, characters: int | None
) -> list[Alternative]:
    """Every tier that the feature allows, and the expected cost of an answer there, in USD.

    The cost is an upper bound: it assumes an answer of the tier's maximum length. It is None where
    a price is unknown, and for all tiers once the input was removed.
    """
    prices = prices_of(feature, own, at)
    return [
        Alternative(
            tier=one.tier,
            model=one.model,
            expected_cost_usd=None if characters is None else one.cost_usd,
        )
        for one in estimates(feature, prices, 1, characters or 0)
    ]
