"""Budgets: reserving for a call before it is sent, and settling after it ended.

A call reserves from every budget that applies to it, or from none. Each statement is its own
transaction and is safe to repeat, because a reservation is identified by its call.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection, Connection
from psycopg.errors import ForeignKeyViolation, UniqueViolation
from psycopg.rows import dict_row

# The budgets that apply to a job, with owner, start and end of the period. A budget for a named
# user or session takes precedence over one for each of them.
_APPLY = """
applying AS (
    SELECT DISTINCT ON (b.scope, b.period) b.id, b.scope, b.period, b.limit_usd, b.hard,
        h.holder, date_trunc(b.period, n.now)::date AS starts_on,
        (date_trunc(b.period, n.now) + ('1 ' || b.period)::interval) AT TIME ZONE 'UTC' AS ends_at
    FROM budgets b
    CROSS JOIN (SELECT statement_timestamp() AT TIME ZONE 'UTC' AS now) n
    CROSS JOIN LATERAL (
        SELECT CASE b.scope WHEN 'account' THEN '' WHEN 'user' THEN %(user)s::text
            ELSE %(session)s::text END AS holder
    ) h
    WHERE b.account_id = %(account_id)s AND h.holder IS NOT NULL AND b.key IN ('', h.holder)
    ORDER BY b.scope, b.period, b.key DESC
)"""

OPEN = f"""
WITH {_APPLY}
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
WITH {_APPLY}, known AS (
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
        AND (hard OR NOT %(first_tier)s) AND NOT %(whatever_it_is)s
), allowed AS (
    SELECT array_agg(id) AS periods FROM locked
    HAVING count(*) = (SELECT count(*) FROM applying) AND count(*) > 0
        AND NOT EXISTS (SELECT FROM full_ones) AND NOT EXISTS (SELECT FROM known)
), made AS (
    INSERT INTO reservations (job_id, attempt, number, periods, amount_usd)
    SELECT %(job_id)s, %(attempt)s, %(number)s, periods, %(amount)s FROM allowed
), taken AS (
    UPDATE budget_periods p SET reserved_usd = p.reserved_usd + %(amount)s
    FROM locked l, allowed WHERE p.id = l.id
)
SELECT EXISTS (SELECT FROM known) AS known, set_config('synchronous_commit', 'off', true) AS quick,
    (SELECT count(*) FROM applying) AS applying, (SELECT count(*) FROM locked) AS found,
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
), found AS MATERIALIZED (
    SELECT job_id, attempt, number, periods, amount_usd, settled_usd AS before_usd,
        coalesce(%(cost)s::numeric, settled_usd, amount_usd) AS cost_usd
    FROM reservations
    WHERE job_id = %(job_id)s AND attempt = %(attempt)s AND number = %(number)s
    FOR UPDATE
), settled AS (
    UPDATE reservations r SET settled_usd = f.cost_usd FROM found f
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
class Holder:
    """Whose budgets pay for a job's calls."""

    account_id: int
    user: str | None = None
    session: str | None = None


@dataclass(frozen=True)
class CallId:
    """The key of one call's row."""

    job_id: UUID
    attempt: int
    number: int


@dataclass(frozen=True)
class Full:
    """A budget that does not cover a call's highest possible cost."""

    scope: str
    period: str
    limit_usd: Decimal
    ends_at: datetime
    waits: bool  # it would cover the call without the reservations of calls under way
    spent_usd: Decimal


def reserve(
    connection: Connection[Any], holder: Holder, call: CallId, amount: Decimal, *, first_tier: bool
) -> Full | None:
    """Reserve `amount` USD for the call. If a budget does not cover it, nothing is reserved and
    that budget is returned.

    Also None if no budget applies, and for a call with a reservation. A soft budget counts the cost
    of the first tier and does not refuse it. A call without cost is never refused.
    """
    return _reserve(connection, holder, call, amount, first_tier=first_tier, whatever_it_is=False)


def _reserve(
    connection: Connection[Any],
    holder: Holder,
    call: CallId,
    amount: Decimal,
    *,
    first_tier: bool,
    whatever_it_is: bool,
) -> Full | None:
    parameters = {
        **vars(holder),
        **vars(call),
        "amount": amount,
        "first_tier": first_tier,
        "whatever_it_is": whatever_it_is,
    }
    while True:
        try:
            with connection.cursor(row_factory=dict_row) as cursor:
                row = cursor.execute(RESERVE, parameters).fetchone()
        except UniqueViolation:
            continue  # the cut-off earlier try was committed after this one began
        assert row is not None, "one row is joined to whatever is full"
        row.pop("quick")
        known, applying, found = row.pop("known"), row.pop("applying"), row.pop("found")
        if known:
            return None
        if row["scope"] is not None:
            return Full(**row)
        if found == applying:
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
    _reserve(connection, holder, call, amount, first_tier=True, whatever_it_is=True)
    return settle(connection, call, cost) or []


def settle(
    connection: Connection[Any], call: CallId, cost: Decimal | None
) -> list[tuple[int, int]] | None:
    """Replace the call's reservation by its true cost, once; None: the cost is unknown.

    An unknown cost counts as the whole reservation until it is known. Returns (period, percent) of
    budgets that reached their next threshold for the first time; None if nothing changed: the call
    has no reservation, or it was settled so already.
    """
    found = []
    any_open = False
    for period, share, alerted in connection.execute(SETTLE, {**vars(call), "cost": cost}):
        any_open = True
        reached = max((one for one in THRESHOLDS if share * 100 >= one), default=0)
        if reached > alerted:
            found.append((period, reached))
    return found if any_open else None


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


_FULL = f"""
WITH {_APPLY}
SELECT a.scope, a.period, a.limit_usd, a.ends_at, p.spent_usd < a.limit_usd AS waits,
    p.spent_usd
FROM applying a
JOIN budget_periods p ON p.budget_id = a.id AND p.key = a.holder AND p.starts_on = a.starts_on
WHERE {{condition}}
ORDER BY waits, a.ends_at DESC LIMIT 1
"""
SPENT = _FULL.format(condition="a.hard AND p.spent_usd + p.reserved_usd >= a.limit_usd")
BLOCKING = _FULL.format(condition="p.spent_usd >= a.limit_usd")
APPLIES = f"WITH {_APPLY} SELECT FROM applying LIMIT 1"


def blocking(connection: Connection[Any], holder: Holder) -> Full | None:
    """A spent budget, hard or soft: the job may not go to a later tier."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(BLOCKING, vars(holder)).fetchone()
    return None if row is None else Full(**row)


def any_applies(connection: Connection[Any], holder: Holder) -> bool:
    """Whether any budget pays for the job's calls."""
    return connection.execute(APPLIES, vars(holder)).fetchone() is not None


def hard_ones(connection: Connection[Any], holder: Holder) -> Full | None:
    """A hard budget with nothing left, or None. It only reads, so the result may change at once."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(SPENT, vars(holder)).fetchone()
    return None if row is None else Full(**row)


async def hard_ones_async(connection: AsyncConnection[Any], holder: Holder) -> Full | None:
    """The same, for the API's event loop."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        row = await (await cursor.execute(SPENT, vars(holder))).fetchone()
    return None if row is None else Full(**row)


_TOLD = """
    b.id, a.name AS account, b.scope, b.key, b.period, b.limit_usd, b.hard, b.plan, b.created_at,
    coalesce(p.spent_usd, 0) AS spent_usd, coalesce(p.reserved_usd, 0) AS reserved_usd,
    (date_trunc(b.period, now) + ('1 ' || b.period)::interval) AT TIME ZONE 'UTC' AS resets_at
"""
# For a budget of each user or session: the one that has used most.
_PERIOD = """
CROSS JOIN (SELECT statement_timestamp() AT TIME ZONE 'UTC' AS now) n
LEFT JOIN LATERAL (
    SELECT spent_usd, reserved_usd FROM budget_periods
    WHERE budget_id = b.id AND starts_on = date_trunc(b.period, now)::date
    ORDER BY spent_usd + reserved_usd DESC LIMIT 1
) p ON true
"""


def set_budget(
    connection: Connection[Any],
    account_id: int,
    scope: str,
    key: str,
    period: str,
    limit_usd: Decimal,
    *,
    hard: bool,
) -> dict[str, Any]:
    """Create the budget or change it; the amount spent stays."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(
            f"""
            WITH b AS (
                INSERT INTO budgets (account_id, scope, key, period, limit_usd, hard)
                VALUES (%s, %s, %s, %s, %s, %s)
                ON CONFLICT (account_id, scope, key, period)
                DO UPDATE SET limit_usd = excluded.limit_usd, hard = excluded.hard, plan = NULL
                RETURNING *
            )
            SELECT {_TOLD} FROM b JOIN accounts a ON a.id = b.account_id {_PERIOD}
            """,
            (account_id, scope, key, period, limit_usd, hard),
        ).fetchone()
    assert row is not None
    return row


def list_budgets(connection: Connection[Any], account_id: int | None) -> list[dict[str, Any]]:
    """The budgets of an account, or of all, with the amount used in the present period."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            f"""
            SELECT {_TOLD} FROM budgets b JOIN accounts a ON a.id = b.account_id {_PERIOD}
            WHERE %(account)s::bigint IS NULL OR b.account_id = %(account)s
            ORDER BY a.name, b.scope, b.key, b.period
            """,
            {"account": account_id},
        ).fetchall()


def remove_budget(connection: Connection[Any], id: int) -> bool:
    """False if there is none. Its open calls are settled in their other budgets. Call it in a
    transaction.
    """
    # Lock it first, so that no call begins a period of it meanwhile.
    connection.execute("SELECT FROM budgets WHERE id = %s FOR UPDATE", (id,))
    connection.execute("DELETE FROM budget_periods WHERE budget_id = %s", (id,))
    return connection.execute("DELETE FROM budgets WHERE id = %s", (id,)).rowcount == 1


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


def forget_periods(connection: Connection[Any], older_than_days: int, most: int) -> int:
    """Remove periods of budgets that began so long ago, at most `most`. Returns how many.

    Nothing reads a period that is over, except calls that were booked in it. The ids are in the
    order of time, so that no index by time is needed.
    """
    return connection.execute(
        """
        DELETE FROM budget_periods WHERE id IN (
            SELECT id FROM (
                SELECT id, starts_on FROM budget_periods ORDER BY id LIMIT %s
            ) oldest
            WHERE starts_on < (statement_timestamp() AT TIME ZONE 'UTC')::date - %s::int
        )
        """,
        (most, older_than_days),
    ).rowcount
