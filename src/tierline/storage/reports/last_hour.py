"""How the attempts and webhooks of the last hour went, and what the calls cost. Reads only.

It is read anew each time, so that late calls are counted. Its cost grows with an hour's calls, so
frequent callers should cache the result.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from psycopg import Connection

from tierline.rules.windows import HOUR
from tierline.storage.db.clock import now
from tierline.storage.db.homes import at_homes, up_to_now
from tierline.storage.db.rows import typed_rows
from tierline.storage.jobs.job_reads import UNKNOWN_COST
from tierline.storage.reports.floors import floor

# By account, because the calls' index by time begins with the account. A first call is recorded
# with its attempt, so the attempts that began in the hour are those whose first call is from that
# hour.
FARED = f"""
SELECT v.name AS feature, t.tier, c.model, c.purpose, t.verdict,
    count(*) FILTER (WHERE c.number = 1) AS attempts, count(*) AS calls,
    coalesce(sum(c.cost_usd), 0) AS cost_usd,
    count(*) FILTER (WHERE {UNKNOWN_COST}) AS unknown_cost_calls
FROM accounts
CROSS JOIN LATERAL (
    SELECT job_id, attempt, number, model, purpose, cost_usd, settled_at FROM @calls c
    WHERE account_id = accounts.id AND booked_at >= statement_timestamp() - interval '1 hour'
) c
JOIN @attempts t ON t.job_id = c.job_id AND t.number = c.attempt
JOIN @jobs j ON j.id = c.job_id
JOIN feature_versions v ON v.id = j.feature_version_id
GROUP BY v.name, t.tier, c.model, c.purpose, t.verdict
ORDER BY v.name, t.tier, c.model, c.purpose, t.verdict
"""

WEBHOOKS = """
SELECT
    (SELECT count(*) FROM deliveries
     WHERE status = 'failed' AND ended_at >= statement_timestamp() - interval '1 hour'),
    (SELECT count(*) FROM webhook_endpoints WHERE disabled_at IS NOT NULL)
"""


@dataclass(frozen=True)
class Fared:
    """The last hour's calls to one model for one tier and one purpose, in attempts with one
    verdict.
    """

    feature: str
    tier: str
    model: str  # provider:model as requested
    purpose: str  # see rules.purposes
    verdict: str | None  # None: it still runs
    attempts: int  # attempts that asked this model first
    calls: int
    cost_usd: Decimal  # known so far
    unknown_cost_calls: int


@dataclass(frozen=True)
class Webhooks:
    """The state of webhooks."""

    failed: int  # failed for good in the last hour
    disabled_endpoints: int  # now


def fared(connection: Connection[Any]) -> list[Fared]:
    """Over all accounts."""
    lowest = floor(connection, now(connection) - HOUR)
    return typed_rows(connection, Fared, at_homes(connection, FARED, up_to_now(lowest)))


def webhooks(connection: Connection[Any]) -> Webhooks:
    """Over all accounts."""
    row = connection.execute(WEBHOOKS).fetchone()
    assert row is not None, "a SELECT of two expressions gives one row"
    return Webhooks(*row)
