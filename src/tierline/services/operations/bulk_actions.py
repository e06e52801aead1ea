"""Bulk actions: one action on all jobs of an account that match a filter.

First the plan: how many jobs match, and what new jobs would cost. Once begun, an action goes on by
itself (`bulk_steps`) until no job is left or it is aborted.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import Connection

from tierline.base.errors import Conflict, NotFound, Problem
from tierline.base.ids import new_id
from tierline.features import Feature
from tierline.features.stored import UnreadableFeature
from tierline.pricing import OwnPrices
from tierline.pricing.estimates import estimates, prices_of
from tierline.rules.bulk_actions import RUNS_AGAIN, Action, BulkStatus, JobFacts, NotDone, refuse
from tierline.rules.jobs import Status
from tierline.services.features.find_feature import current_feature
from tierline.services.jobs.submitting.replays import KeyReused
from tierline.storage.jobs.job_pages import Before, Filters
from tierline.storage.jobs.job_search import ANY, Details, Examined, examine
from tierline.storage.money.prices import own_prices
from tierline.storage.operations import bulk_actions
from tierline.storage.operations.bulk_actions import NewBulkAction, SampledJob
from tierline.views.operations.bulk_actions import (
    BulkAction,
    BulkActionRow,
    BulkFilter,
    BulkPlan,
    StoredFilter,
    bulk_action_view,
)

__all__ = ["Action", "BulkRequest", "Details", "Filters", "JobCount"]

MOST_COUNTED = 10_000
MOST_EXAMINED = 50_000  # jobs, for a count
AT_ONCE = 5_000  # jobs that one statement examines
SAMPLED = 200  # jobs that the cost is estimated from
MOST_RUNNING = 5  # of an account
KEPT_DAYS = 90  # after an action has ended
FORGOTTEN = 100  # ended actions that are removed at once


@dataclass(frozen=True)
class BulkRequest:
    """What a caller wants done."""

    action: Action
    filters: Filters
    limit: int | None = None  # jobs; None: all that match
    details: Details = ANY  # what is filtered by beside `filters`; no index helps with these


class JobCount(NamedTuple):
    """How many jobs match, as far as a count goes."""

    matched: int  # at most MOST_COUNTED
    more: bool  # there may be more


@dataclass(frozen=True)
class _Counted:
    matched: int
    more: bool
    newest: list[Examined]  # the first SAMPLED that match


def plan(connection: Connection[Any], account_id: int, request: BulkRequest) -> BulkPlan:
    """How many jobs match, and what new jobs would cost at most. Nothing is changed."""
    position = bulk_actions.next_seq(connection)
    counted = _count(connection, account_id, request.filters, request.details, position)
    return BulkPlan(
        action=request.action,
        filter=BulkFilter.model_validate(stored_filter(request.filters, request.details)),
        limit=request.limit,
        matched=counted.matched,
        more=counted.more,
        at_most_usd=_at_most_usd(connection, request, counted),
    )


def count_jobs(
    connection: Connection[Any], account_id: int, filters: Filters, details: Details
) -> JobCount:
    """How many of the account's newest MOST_EXAMINED jobs match, counted up to MOST_COUNTED."""
    position = bulk_actions.next_seq(connection)
    counted = _count(connection, account_id, filters, details, position)
    return JobCount(counted.matched, counted.more)


def begin(
    connection: Connection[Any],
    account_id: int,
    key_id: int,
    request: BulkRequest,
    key: str | None = None,
) -> tuple[BulkAction, bool]:
    """Returns the new action, or the one that `key` stands for, and whether it is new. Raises
    Conflict if the account has too many running ones, and KeyReused.
    """
    hashed = _hash(request)
    earlier = _of_key(connection, account_id, key, hashed)
    if earlier is not None:
        return bulk_action_view(earlier), False
    position = bulk_actions.next_seq(connection)
    counted = _count(connection, account_id, request.filters, request.details, position)
    new = NewBulkAction(
        id=new_id(),
        account_id=account_id,
        key_id=key_id,
        action=request.action,
        filter=dict(stored_filter(request.filters, request.details)),
        most=request.limit,
        matched=counted.matched,
        more=counted.more,
        at_most_usd=_at_most_usd(connection, request, counted),
        position=position,
        key=key,
        payload_hash=None if key is None else hashed,
    )
    with connection.transaction():
        running = bulk_actions.count_running(connection, account_id)
        # Counting the jobs takes a while, in which the same request may have come again.
        earlier = _of_key(connection, account_id, key, hashed)
        if earlier is not None:
            return bulk_action_view(earlier), False
        if running >= MOST_RUNNING:
            raise Conflict(
                f"the account has {MOST_RUNNING} bulk actions running: wait for one or abort one"
            )
        row = bulk_actions.add(connection, new)
        bulk_actions.forget_ended(connection, account_id, KEPT_DAYS, FORGOTTEN)
    assert row is not None, "who begins an action holds the account's lock, so no one took the key"
    return bulk_action_view(row), True


def list_actions(
    connection: Connection[Any], account_id: int, before: int | None, limit: int
) -> list[BulkActionRow]:
    """The account's actions with `seq` below `before`, the newest first."""
    return bulk_actions.list_actions(connection, account_id, before, limit)


def action_of(connection: Connection[Any], account_id: int, id: UUID) -> BulkAction:
    """The action as it is now. Raises NotFound."""
    row = bulk_actions.action_of(connection, account_id, id)
    if row is None:
        raise NotFound(f"there is no bulk action {id}")
    return bulk_action_view(row)


def abort(connection: Connection[Any], account_id: int, id: UUID) -> BulkAction:
    """End the action: it does nothing to another job once this returns. What it did stays. One that
    has ended does not change. Raises NotFound.
    """
    bulk_actions.end(connection, account_id, id, BulkStatus.ABORTED)
    return action_of(connection, account_id, id)


def stored_filter(filters: Filters, details: Details = ANY) -> StoredFilter:
    """The filter as it is stored."""
    batch = filters.batch_id
    metadata = details.metadata
    return StoredFilter(
        feature=filters.feature,
        tier=filters.tier,
        status=filters.status,
        batch_id=None if batch is None else str(batch),
        drafts=filters.drafts,
        verdict=details.verdict,
        user=details.user,
        session=details.session,
        metadata=None if metadata is None else "=".join(metadata),
        escalated=details.escalated,
    )


def filters_of(stored: StoredFilter) -> Filters:
    """The inverse of `stored_filter`."""
    batch = stored["batch_id"]
    return Filters(
        feature=stored["feature"],
        status=stored["status"],
        tier=stored["tier"],
        batch_id=None if batch is None else UUID(batch),
        drafts=stored["drafts"],
    )


def details_of(stored: StoredFilter) -> Details:
    """The details of `stored_filter`. Rows of an earlier version have none."""
    metadata = stored.get("metadata")
    name, _, value = (metadata or "").partition("=")
    return Details(
        stored.get("verdict"),
        stored.get("user"),
        stored.get("session"),
        None if metadata is None else (name, value),
        stored.get("escalated"),
    )


def _of_key(
    connection: Connection[Any], account_id: int, key: str | None, hashed: bytes
) -> BulkActionRow | None:
    """Raises KeyReused."""
    stored = None if key is None else bulk_actions.of_key(connection, account_id, key)
    if stored is None:
        return None
    row, of_before = stored
    if of_before != hashed:
        raise KeyReused([Problem("this Idempotency-Key was used with another payload")])
    return row


def _hash(request: BulkRequest) -> bytes:
    document = [request.action, stored_filter(request.filters, request.details), request.limit]
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).digest()


def _count(
    connection: Connection[Any],
    account_id: int,
    filters: Filters,
    details: Details,
    position: int,
) -> _Counted:
    """The jobs that match, as far as the limits of a count allow."""
    newest: list[Examined] = []
    matched = examined = 0
    before = Before(position)
    while matched < MOST_COUNTED and examined < MOST_EXAMINED:
        rows = examine(connection, account_id, filters, before, AT_ONCE, details)
        matching = [row for row in rows if row.matches]
        newest += matching[: SAMPLED - len(newest)]
        matched += len(matching)
        examined += len(rows)
        if len(rows) < AT_ONCE:
            return _Counted(min(matched, MOST_COUNTED), matched > MOST_COUNTED, newest)
        before = Before(rows[-1].seq, rows[-1].id)
    return _Counted(min(matched, MOST_COUNTED), True, newest)


def _at_most_usd(
    connection: Connection[Any], request: BulkRequest, counted: _Counted
) -> Decimal | None:
    """The highest cost of the new jobs, estimated from the newest jobs that match. None: a price is
    unknown.
    """
    if request.action not in RUNS_AGAIN or not counted.newest:
        return Decimal(0)
    jobs = bulk_actions.sample(connection, counted.newest)
    own = own_prices(connection)
    features: dict[str, Feature | None] = {}
    total = Decimal(0)
    for job in jobs:
        if job.feature not in features:
            features[job.feature] = _readable(connection, job.feature)
        cost = _cost(features[job.feature], request.action, job, own)
        if cost is None:
            return None
        total += cost
    count = counted.matched if request.limit is None else min(request.limit, counted.matched)
    return total * count / len(counted.newest)


def _readable(connection: Connection[Any], name: str) -> Feature | None:
    try:
        return current_feature(connection, name)
    except (NotFound, UnreadableFeature):
        return None


def _cost(
    feature: Feature | None, action: Action, job: SampledJob, own: OwnPrices
) -> Decimal | None:
    """The highest cost of running this job again; 0 if it is not run again."""
    facts = JobFacts(Status(job.status), job.draft, input_removed=job.characters is None)
    try:
        refuse(action, facts)
    except NotDone:
        return Decimal(0)
    if feature is None:
        return Decimal(0)
    prices = prices_of(feature, own, datetime.now(UTC))
    tiers = estimates(feature, prices, 1, job.characters or 0)
    if action is Action.DEEPER_ANALYSIS:
        names = [one.tier for one in tiers]
        tiers = tiers[names.index(job.tier) + 1 :] if job.tier in names else []
    costs = [one.cost_usd for one in tiers]
    if any(cost is None for cost in costs):
        return None
    return sum((cost for cost in costs if cost is not None), Decimal(0))
