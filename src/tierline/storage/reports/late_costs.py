"""The cost of a call that is settled after the sums have counted it as of unknown cost.

A worker that stood still for more than a day may report such a cost. By then the roll-up may have
counted the call (`roll_up.roll_up_left`), and its week may be removed. So the cost is added to the
sums by itself, where the call is counted: in `usage_sums` and `tier_sums`. The averages per attempt
and job go on without it.
"""

from collections.abc import Mapping
from typing import Any

from psycopg import Connection

from tierline.base.ids import database_now, time_of
from tierline.rules.partitions import LATE
from tierline.storage.db.homes import at_parents
from tierline.storage.db.rows import one_row
from tierline.storage.jobs.claims import Claim
from tierline.storage.jobs.finishes import SETTLE, Settlement
from tierline.storage.reports.facts import TIERS, USAGE, Sums, upsert
from tierline.views.jobs.tokens import TOKENS

# Writes the row, so that a roll-up that runs at the same time fails and is done again.
HOLD = "UPDATE sums_state SET rolled_to = rolled_to RETURNING rolled_to, history_from"
CALL = """
SELECT c.model, c.purpose, c.booked_at, c.settled_at IS NOT NULL AS settled, j.created_at
FROM calls c LEFT JOIN jobs j ON j.id = c.job_id
WHERE c.job_id = %(job_id)s AND c.attempt = %(attempt)s AND c.number = %(c_number)s
FOR UPDATE OF c
"""
IS_UNCOUNTED = """
SELECT EXISTS (
    SELECT FROM sums_pending WHERE job_id = %(job_id)s AND attempt = %(attempt)s
) OR EXISTS (
    SELECT FROM attempts a WHERE a.job_id = %(job_id)s AND a.number = %(attempt)s
        AND (a.seq >= %(rolled_to)s OR a.seq IS NULL AND a.job_id >= %(history_from)s::uuid)
)
"""
XID = "SELECT txid_current()"
IS_COMMITTED = "SELECT txid_status(%s) = 'committed'"


def _add(sums: Sums, at: str, keys: Mapping[str, str], measures: Mapping[str, str]) -> str:
    """The statement that adds the measures to the sums of the day and of the hour of `at`."""
    assert tuple(keys) == tuple(sums.keys)
    added = ", ".join(measures.get(name, "0") for name in sums.measures)
    return upsert(
        sums,
        (*keys, "daily", "at"),
        f"""SELECT {", ".join(keys.values())}, unit.daily,
    date_trunc(unit.name, {at}::timestamptz, 'UTC'), {added}
FROM feature_versions v, (VALUES ('day', true), ('hour', false)) unit (name, daily)
WHERE v.id = %(version_id)s""",
    )


_COST = {"cost_usd": "%(c_cost_usd)s::numeric", "unknown_cost_calls": "-1"}
ADD = (
    _add(
        USAGE,
        "%(booked_at)s",
        {
            "account_id": "%(account_id)s::bigint",
            "feature": "v.name",
            "tier": "%(tier)s",
            "model": "%(model)s",
            "purpose": "%(purpose)s",
        },
        {
            **_COST,
            **{name: f"%(c_{name})s::bigint" for name in TOKENS},
            "model_s": "%(c_latency_s)s::float8",
        },
    ),
    _add(
        TIERS,
        "%(created_at)s",
        {
            "feature_version_id": "v.id",
            "kind": "%(kind)s",
            "tier": "%(tier)s",
            "purpose": "%(purpose)s",
        },
        _COST,
    ),
)


def may_be_counted(claim: Claim) -> bool:
    """Whether the claim is so old that its calls may be in the sums already. By its token, which
    is made at the claim; a token without a time is taken for a new one.
    """
    return claim.token.version == 7 and database_now() - time_of(claim.token) > LATE


class LateCost:
    """Settles a call of a claim that `may_be_counted`. Safe to repeat with the same object."""

    def __init__(self, claim: Claim, tier: str, settled: Settlement) -> None:
        self._claim, self._settled = claim, settled
        self._parameters: dict[str, Any] = {
            "job_id": claim.job_id,
            "attempt": claim.attempt,
            "account_id": claim.account_id,
            "version_id": claim.feature_version_id,
            "kind": "judge" if claim.judges else "shadow" if claim.shadow else "answer",
            "tier": tier,
            **settled.parameters(),
        }
        self._xid: int | None = None  # of the first try, whose reply may be lost
        self.removed = False  # the call is gone, and its job too

    def settle(self, connection: Connection[Any]) -> bool:
        """Settle the call, and add its cost to the sums if they have counted it already: then True.
        In a transaction of the caller, which does nothing else.
        """
        if self._xid is not None:
            row = connection.execute(IS_COMMITTED, (self._xid,)).fetchone()
            if row == (True,):
                return False
        xid = connection.execute(XID).fetchone()
        assert xid is not None, "an expression gives one row"
        self._xid = xid[0]
        held = one_row(connection, HOLD)
        assert held is not None, "the migration writes the row"
        call = one_row(connection, CALL, self._parameters)
        self.removed = call is None
        if call is None:
            call = self._booked()
        elif call["settled"]:
            return False
        uncounted = connection.execute(IS_UNCOUNTED, self._parameters | held).fetchone()
        connection.execute(at_parents(SETTLE), self._parameters)
        if uncounted != (False,) or self._settled.cost_usd is None:
            return False
        parameters = self._parameters | call
        parameters["created_at"] = call["created_at"] or time_of(self._claim.job_id)
        for statement in ADD:
            connection.execute(statement, parameters)
        return True

    def _booked(self) -> dict[str, Any]:
        """The booking, reconstructed, of a call whose week is removed."""
        first, settled = self._claim.first_call, self._settled
        return {
            "model": first.model if settled.number == 1 else settled.model,
            "purpose": first.purpose if settled.number == 1 else settled.purpose,
            "booked_at": time_of(self._claim.token),
            "created_at": None,
        }
