"""Reserving money for a call before it is sent, and settling it after the call ended.

A call reserves from every budget that applies to it, or from none. Each statement is its own
transaction and is safe to repeat, because a reservation is identified by its call.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.errors import ForeignKeyViolation, UniqueViolation
from psycopg.rows import dict_row

from tierline.storage.money.budgets import APPLYING, Full, Holder

OPEN = f"""
WITH {APPLYING}
INSERT INTO budget_periods (budget_id, key, starts_on)
SELECT id, holder, starts_on FROM applying ORDER BY id
ON CONFLICT (budget_id, key, starts_on) DO NOTHING
"""


# All rows are locked, in one order, before any is written. So the sums are over committed values,
# whatever the statement's snapshot, and there are no deadlocks.
#
# The commit does not wait for the disk. It would do so under these locks: 64 workers on one budget
# then reach 0.55 of their throughput instead of 0.85. A server that crashes may lose the
# reservations of its last half second; such a call is counted when it is settled.
RESERVE = f"""
WITH {APPLYING}, earlier AS (
    SELECT FROM reservations
    WHERE job_id = %(job_id)s AND attempt = %(attempt)s AND number = %(number)s
), locked AS (
    SELECT p.id, p.reserved_usd, p.spent_usd, a.scope, a.period, a.limit_usd, a.hard, a.ends_at
    FROM budget_periods p
    JOIN applying a ON a.id = p.budget_id AND a.holder = p.key AND a.starts_on = p.starts_on
    ORDER BY p.id FOR UPDATE OF p
), full_ones AS (
    SELECT * FROM locked
    WHERE reserved_usd + spent_usd + %(amount)s > limit_usd AND %(amount)s > 0
        AND (hard OR NOT %(first_tier)s) AND NOT %(forced)s
), allowed AS (
    SELECT array_agg(id) AS periods FROM locked
    HAVING count(*) = (SELECT count(*) FROM applying) AND count(*) > 0
        AND NOT EXISTS (SELECT FROM full_ones) AND NOT EXISTS (SELECT FROM earlier)
), made AS (
    INSERT INTO reservations (job_id, attempt, number, periods, amount_usd)
    SELECT %(job_id)s, %(attempt)s, %(number)s, periods, %(amount)s FROM allowed
), taken AS (
    UPDATE budget_periods p SET reserved_usd = p.reserved_usd + %(amount)s
    FROM locked l, allowed WHERE p.id = l.id
)
SELECT EXISTS (SELECT FROM earlier) AS reserved_before,
    set_config('synchronous_commit', 'off', true) AS quick,
    (SELECT count(*) FROM applying) AS applying, (SELECT count(*) FROM locked) AS locked,
    f.scope, f.period, f.limit_usd, f.ends_at,
    f.spent_usd + %(amount)s <= f.limit_usd AS waits, f.spent_usd
FROM (SELECT) one LEFT JOIN full_ones f ON true
ORDER BY waits, f.ends_at DESC LIMIT 1
"""


# A call that was given up at its whole reservation may still report its cost later. Then the
# difference is given back. Of two statements that settle a call at once, the second sees what the
# first wrote, because it waits for the reservation's lock.
SETTLE = """
WITH quick AS MATERIALIZED (
    SELECT set_config('synchronous_commit', 'off', true)
), reserved AS MATERIALIZED (
    SELECT job_id, attempt, number, periods, amount_usd, settled_usd AS before_usd,
        coalesce(%(cost)s::numeric, settled_usd, amount_usd) AS cost_usd
    FROM reservations
    WHERE job_id = %(job_id)s AND attempt = %(attempt)s AND number = %(number)s
    FOR UPDATE
), settled AS (
    UPDATE reservations r SET settled_usd = f.cost_usd FROM reserved f
    WHERE r.job_id = f.job_id AND r.attempt = f.attempt AND r.number = f.number
        AND (f.before_usd IS NULL
            OR (f.before_usd = f.amount_usd AND f.cost_usd <> f.amount_usd))
    RETURNING f.periods, f.cost_usd - coalesce(f.before_usd, 0) AS spent_usd,
        CASE WHEN f.before_usd IS NULL THEN f.amount_usd ELSE 0 END AS free_usd
), locked AS (
    SELECT p.id, s.spent_usd, s.free_usd FROM budget_periods p, settled s
    WHERE p.id = ANY(s.periods) ORDER BY p.id FOR UPDATE OF p
)
UPDATE budget_periods p SET
    reserved_usd = p.reserved_usd - l.free_usd, spent_usd = p.spent_usd + l.spent_usd
FROM locked l, budgets b, quick WHERE p.id = l.id AND b.id = p.budget_id
RETURNING p.id, CASE WHEN b.limit_usd > 0 THEN p.spent_usd / b.limit_usd ELSE 1 END, p.alerted
"""


# Of several that cross a threshold at once, one reports it.
CROSS = """
UPDATE budget_periods p SET alerted = %(percent)s FROM budgets b
WHERE p.id = %(id)s AND p.alerted < %(percent)s AND b.id = p.budget_id
RETURNING b.account_id, b.scope, p.key, b.period, b.limit_usd, p.spent_usd, clock_timestamp(),
    (p.starts_on + ('1 ' || b.period)::interval) AT TIME ZONE 'UTC'
"""


THRESHOLDS = (50, 80, 100)  # percent of a budget, each reported once a period


@dataclass(frozen=True)
class CallId:
    """The key of one call's row."""

    job_id: UUID
    attempt: int
    number: int


def reserve(
    connection: Connection[Any], holder: Holder, call: CallId, amount: Decimal, *, first_tier: bool
) -> Full | None:
    """Reserve `amount` USD for the call. If a budget does not cover it, nothing is reserved and
    that budget is returned.

    Also None if no budget applies, and for a call with a reservation. A soft budget counts the cost
    of the first tier and does not refuse it. A call without cost is never refused.
    """
    return _reserve(connection, holder, call, amount, first_tier=first_tier, forced=False)


def _reserve(
    connection: Connection[Any],
    holder: Holder,
    call: CallId,
    amount: Decimal,
    *,
    first_tier: bool,
    forced: bool,
) -> Full | None:
    parameters = {
        **vars(holder),
        **vars(call),
        "amount": amount,
        "first_tier": first_tier,
        "forced": forced,
    }
    while True:
        try:
            with connection.cursor(row_factory=dict_row) as cursor:
                row = cursor.execute(RESERVE, parameters).fetchone()
        except UniqueViolation:
            continue  # the cut-off earlier try was committed after this one began
        assert row is not None, "one row is joined to whatever is full"
        row.pop("quick")
        reserved_before, applying, locked = (
            row.pop(name) for name in ("reserved_before", "applying", "locked")
        )
        if reserved_before:
            return None
        if row["scope"] is not None:
            return Full(**row)
        if locked == applying:
            return None
        try:
            connection.execute(OPEN, parameters)  # the first call of a period
        except ForeignKeyViolation:
            continue  # a budget was removed meanwhile


def settle_anew(
    connection: Connection[Any],
    holder: Holder,
    call: CallId,
    amount: Decimal,
    cost: Decimal | None,
) -> list[tuple[int, int]]:
    """`settle` for a call whose reservation was lost in a crash of the server. If it was settled
    already, nothing changes.
    """
    _reserve(connection, holder, call, amount, first_tier=True, forced=True)
    return settle(connection, call, cost) or []


def settle(
    connection: Connection[Any], call: CallId, cost: Decimal | None
) -> list[tuple[int, int]] | None:
    """Replace the call's reservation by its true cost, once; None: the cost is unknown.

    An unknown cost counts as the whole reservation until it is known. Returns (period, percent) of
    budgets that reached their next threshold for the first time; None if nothing changed: the call
    has no reservation, or it was settled so already.
    """
    reached_thresholds = []
    any_open = False
    for period, share, alerted in connection.execute(SETTLE, {**vars(call), "cost": cost}):
        any_open = True
        reached = max((one for one in THRESHOLDS if share * 100 >= one), default=0)
        if reached > alerted:
            reached_thresholds.append((period, reached))
    return reached_thresholds if any_open else None


@dataclass(frozen=True)
class Crossed:
    """A budget that reached a threshold, for its account's webhooks."""

    account_id: int
    scope: str
    key: str  # the user or session; empty for the account
    period: str
    limit_usd: Decimal
    spent_usd: Decimal
    at: datetime
    resets_at: datetime


def cross(connection: Connection[Any], period: int, percent: int) -> Crossed | None:
    """Record that the threshold was reported; None if another process did so, or the budget is
    gone.
    """
    row = connection.execute(CROSS, {"id": period, "percent": percent}).fetchone()
    return None if row is None else Crossed(*row)


# The worker does not settle such a call any more: its attempt has ended, or lost its job.
LOST = """
SELECT r.job_id, r.attempt, r.number, c.cost_usd FROM reservations r
JOIN calls c USING (job_id, attempt, number)
WHERE r.settled_usd IS NULL
    AND c.booked_at < statement_timestamp() - make_interval(secs => %s)
    AND NOT EXISTS (
        SELECT FROM jobs j
        WHERE j.part < 2 AND j.id = r.job_id AND j.attempts = r.attempt AND j.status = 'in_progress'
    )
LIMIT %s
"""


def lost_calls(
    connection: Connection[Any], older_than_s: float, most: int
) -> list[tuple[CallId, Decimal | None]]:
    """Calls so old that nobody will settle their reservations any more, at most `most`, each with
    the cost in its row.
    """
    rows = connection.execute(LOST, (older_than_s, most))
    return [(CallId(*call), cost) for *call, cost in rows]


def forget_reservations(connection: Connection[Any], older_than_s: float, most: int) -> int:
    """Remove settled reservations that were made long ago. Returns how many, at most `most`."""
    return connection.execute(
        """
        DELETE FROM reservations WHERE (job_id, attempt, number) IN (
            SELECT job_id, attempt, number FROM reservations
            WHERE settled_usd IS NOT NULL
                AND made_at < statement_timestamp() - make_interval(secs => %s)
            ORDER BY made_at LIMIT %s
        )
        """,
        (older_than_s, most),
    ).rowcount
