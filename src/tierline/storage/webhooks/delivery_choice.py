"""Which deliveries go out next: the statements of the dispatcher's choice of webhooks.

One dispatcher chooses at a time, under an advisory lock that ends with its transaction. A hint is a
mark in the row (`hint_no`). The message itself is sent after the commit, by other code.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from psycopg import Connection

from tierline.rules.queues import WEBHOOKS
from tierline.storage.jobs.hints import lock_choice
from tierline.storage.webhooks.deliveries import FREE, endpoint_of
from tierline.webhooks.shares import DEFAULT_IN_FLIGHT, DueTarget, share_out

MOST_UNDELAYED = 1000
"""Retries that one choice makes ready, to keep it short. There are some hundred tries a second, so
no more retries than that become due, and several choices a second."""

_HELD = "status = 'pending' AND (hint_no IS NOT NULL OR claim_token IS NOT NULL)"
_READY = f"{FREE} AND NOT delayed"

# A retry is `delayed` until its time, so that the targets' index has only targets with something
# due, and not all that wait for a retry in hours. This statement ends the delay of those that are
# due. `delayed` only shows where to look: `next_try_at` decides, also for rows of the release
# before, which does not know `delayed`. Locked rows are handled the next time.
UNDELAY = f"""
UPDATE deliveries SET delayed = false
WHERE delayed AND id = ANY(ARRAY(
    SELECT id FROM deliveries
    WHERE {FREE} AND delayed AND next_try_at <= statement_timestamp()
    ORDER BY next_try_at LIMIT %(some)s FOR UPDATE SKIP LOCKED
))
"""

OUT = (
    f"SELECT account_id, target, count(*) FROM deliveries WHERE {_HELD} GROUP BY account_id, target"
)

# A recursive loose scan finds the targets with something due, and since when, without reading their
# backlogs: one index probe each, in an order in which a target's oldest due delivery is first.
TARGETS = f"""
WITH RECURSIVE targets (account_id, target, since) AS (
    (SELECT account_id, target, next_try_at FROM deliveries
     WHERE {_READY} ORDER BY account_id, target, next_try_at LIMIT 1)
    UNION ALL
    SELECT following.* FROM targets CROSS JOIN LATERAL (
        SELECT account_id, target, next_try_at FROM deliveries
        WHERE {_READY} AND (account_id, target) > (targets.account_id, targets.target)
        ORDER BY account_id, target, next_try_at LIMIT 1
    ) following
)
SELECT account_id, target, since FROM targets WHERE since <= statement_timestamp()
"""

# A target's due deliveries, the oldest first. The target is compared with >= and <=: with = the
# planner may use deliveries_due_idx, and read every target's rows.
_HEAD = f"""
    {_READY} AND account_id = asked.account_id AND target >= asked.target
        AND (target, next_try_at) <= (asked.target, statement_timestamp())
    ORDER BY target, next_try_at, id"""

# How many deliveries each target may have out, and how many wait, counted as far as needed.
HEADS = f"""
SELECT asked.account_id, asked.target, own.max_in_flight, heads.due, heads.since
FROM unnest(%(accounts)s::bigint[], %(targets)s::text[], %(endpoints)s::uuid[])
    AS asked (account_id, target, endpoint_id)
CROSS JOIN LATERAL (
    SELECT least(%(most)s, coalesce(
        (SELECT e.max_in_flight FROM webhook_endpoints e WHERE e.id = asked.endpoint_id),
        {DEFAULT_IN_FLIGHT})) AS max_in_flight
) own
CROSS JOIN LATERAL (
    SELECT count(*) AS due, min(next_try_at) AS since FROM (
        SELECT next_try_at FROM deliveries
        WHERE {_HEAD} LIMIT least(own.max_in_flight, %(room)s)
    ) head
) heads
WHERE heads.due > 0
"""

# The array is for the planner, which cannot know how few were chosen, and would read the whole
# table for a join. The UPDATE does not check again that they are free, since the choice's lock
# keeps them free: on a table without statistics it would search the index of all waiting
# deliveries.
MARK = f"""
UPDATE deliveries SET hint_no = nextval('hint_numbers')
WHERE status = 'pending' AND id = ANY(ARRAY(
    SELECT head.id
    FROM unnest(%(accounts)s::bigint[], %(targets)s::text[], %(counts)s::bigint[])
        AS asked (account_id, target, count)
    CROSS JOIN LATERAL (
        SELECT id FROM deliveries
        WHERE {_HEAD} LIMIT asked.count
    ) head
))
RETURNING id
"""


def any_due(connection: Connection[Any]) -> bool:
    """Whether a delivery is due."""
    row = connection.execute(
        f"SELECT EXISTS (SELECT FROM deliveries WHERE {FREE}"
        " AND next_try_at <= statement_timestamp())"
    ).fetchone()
    return row is not None and bool(row[0])


def mark_due(connection: Connection[Any], threads: int, spare: int, most: int) -> list[UUID]:
    """Mark due deliveries as hinted, the oldest first. Call it in a transaction.

    `share_out` decides how many each target gets. No endpoint has more than `most` out, whatever it
    asked for. One dispatcher chooses at a time; for another there is nothing to choose.
    """
    if not lock_choice(connection, WEBHOOKS):
        return []
    connection.execute(UNDELAY, {"some": MOST_UNDELAYED})
    out = {(account, target): held for account, target, held in connection.execute(OUT)}
    candidates = _candidates(connection, out, threads, spare)
    shares = share_out(
        _heads(connection, candidates, out, threads + spare, most),
        _by_account(out),
        threads,
        spare,
    )
    if not shares:
        return []
    rows = connection.execute(
        MARK,
        {
            "accounts": [one.account_id for one, _ in shares],
            "targets": [one.target for one, _ in shares],
            "counts": [count for _, count in shares],
        },
    )
    return [chosen for (chosen,) in rows]


_Out = Mapping[tuple[int, str], int]  # (account, target) to deliveries hinted or in flight


def _by_account(out: _Out) -> Counter[int]:
    held: Counter[int] = Counter()
    for (account_id, _), count in out.items():
        held[account_id] += count
    return held


def _candidates(
    connection: Connection[Any], out: _Out, threads: int, spare: int
) -> list[tuple[int, str]]:
    """The targets with something due that may be chosen: those with deliveries out, and as many
    others as there is room for, in the order of their turns. There may be thousands."""
    if sum(out.values()) >= threads + spare:
        return []
    holding, others = [], []
    for account_id, target, since in connection.execute(TARGETS):
        if (account_id, target) in out:
            holding.append((account_id, target))
        else:
            others.append(DueTarget(account_id, target, max_in_flight=1, due=1, since=since))
    first = share_out(others, _by_account(out), threads, spare)
    return holding + [(one.account_id, one.target) for one, _ in first]


def _heads(
    connection: Connection[Any],
    candidates: Sequence[tuple[int, str]],
    out: _Out,
    room: int,
    most: int,
) -> list[DueTarget]:
    if not candidates:
        return []
    rows = connection.execute(
        HEADS,
        {
            "accounts": [account_id for account_id, _ in candidates],
            "targets": [target for _, target in candidates],
            "endpoints": [endpoint_of(target) for _, target in candidates],
            "most": most,
            "room": room,
        },
    )
    return [
        DueTarget(account_id, target, limit, due, since, out.get((account_id, target), 0))
        for account_id, target, limit, due, since in rows
    ]
