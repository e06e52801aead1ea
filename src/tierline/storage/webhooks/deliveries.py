"""Deliveries: their receivers, and the life of each webhook's row.

A delivery is pending, delivered or failed. A pending one is free, hinted (`hint_no`: its message is
in the broker) or in flight (`claim_token`: a worker calls the receiver). A free one that waits for
a retry is `delayed`. Lock order: endpoint, then delivery.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import class_row

from tierline.webhooks.schedule import MOST_TRIES, Decision, DeliveryStatus, Met

# Whether job j (with its job_requests r) may have listeners, for statements that decide whether the
# transaction for deliveries is needed.
HOOKED_SQL = """(r.webhook_url IS NOT NULL OR EXISTS (
    SELECT FROM webhook_endpoints hook
    WHERE hook.account_id = j.account_id AND j.shadow_of IS NULL AND hook.disabled_at IS NULL
        AND (hook.batch_rows OR j.batch_id IS NULL)
        AND hook.events <> ARRAY['batch.completed']))"""

# Neither hinted nor in flight; due, or waiting for a retry.
FREE = "status = 'pending' AND hint_no IS NULL AND claim_token IS NULL"

# A hint that was given up may still arrive. It then finds hint_no null, so the limit of calls in
# flight holds whatever the broker does.
CLAIM = """
WITH claimed AS (
    UPDATE deliveries SET claim_token = %(token)s, hint_no = NULL, tries = tries + 1
    WHERE id = %(id)s AND status = 'pending' AND claim_token IS NULL AND hint_no IS NOT NULL
        AND next_try_at <= clock_timestamp()
    RETURNING *
)
"""
_CLAIMED = """
SELECT d.id, d.account_id, d.claim_token AS token, d.event, d.body, d.tries, d.job_id, d.batch_id,
    d.endpoint_id, coalesce(e.url, d.url) AS url, coalesce(e.any_port, d.any_port) AS any_port,
    CASE WHEN d.endpoint_id IS NULL THEN a.webhook_secret ELSE e.secret END AS secret,
    CASE WHEN d.endpoint_id IS NULL
        THEN CASE WHEN a.old_webhook_secret_until > clock_timestamp() THEN a.old_webhook_secret END
        ELSE CASE WHEN e.old_secret_until > clock_timestamp() THEN e.old_secret END
    END AS old_secret,
    d.endpoint_id IS NOT NULL AND (e.id IS NULL OR e.disabled_at IS NOT NULL) AS withdrawn,
    clock_timestamp() AS at
FROM {source} d
JOIN accounts a ON a.id = d.account_id
LEFT JOIN webhook_endpoints e ON e.id = d.endpoint_id
"""
CLAIM_AND_READ = CLAIM + _CLAIMED.format(source="claimed")
READ_CLAIM = (
    _CLAIMED.format(source="deliveries")
    + "WHERE d.id = %(id)s AND d.claim_token = %(token)s AND d.status = 'pending'"
)


@dataclass(frozen=True)
class NewDelivery:
    """A webhook to send, written in the transaction that caused it."""

    id: UUID
    account_id: int
    endpoint_id: UUID | None  # None: to the job's or the batch's own webhook_url
    url: str
    target: str  # the unit that the limit of calls in flight applies to
    job_id: UUID | None
    batch_id: UUID | None
    event: str
    body: bytes
    any_port: bool = False  # its URL is from before ports were limited


@dataclass(frozen=True)
class Delivery:
    """A webhook that a worker holds for one try."""

    id: UUID
    account_id: int
    token: UUID
    event: str
    body: bytes
    tries: int  # including this one, from 1
    job_id: UUID | None
    batch_id: UUID | None
    endpoint_id: UUID | None
    url: str  # the endpoint's present URL
    any_port: bool  # that URL is from before ports were limited
    secret: str | None  # None: the endpoint was deleted
    old_secret: str | None  # signs too, during a rotation of secrets
    withdrawn: bool  # its endpoint was disabled or deleted, so it must not be sent
    at: datetime  # by Postgres's clock; the time in the signature


def insert(connection: Connection[Any], deliveries: Iterable[NewDelivery]) -> None:
    """Write deliveries, due at once, in the caller's transaction."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO deliveries"
            " (id, account_id, endpoint_id, url, target, job_id, batch_id, event, body, any_port,"
            " status)"
            " VALUES (%(id)s, %(account_id)s, %(endpoint_id)s, %(url)s, %(target)s, %(job_id)s,"
            " %(batch_id)s, %(event)s, %(body)s, %(any_port)s, 'pending')",
            [vars(one) for one in deliveries],
        )


def hinted(connection: Connection[Any]) -> list[tuple[UUID, int]]:
    """Every delivery with a hint out, and the hint's number."""
    return connection.execute(
        "SELECT id, hint_no FROM deliveries WHERE status = 'pending' AND hint_no IS NOT NULL"
    ).fetchall()


def unhint(connection: Connection[Any], delivery_ids: Collection[UUID]) -> None:
    """Their hints were not sent or are lost, so they may be chosen again."""
    connection.execute(
        "UPDATE deliveries SET hint_no = NULL WHERE id = ANY(%s) AND status = 'pending'",
        (list(delivery_ids),),
    )


def claim(connection: Connection[Any], delivery_id: UUID, token: UUID) -> Delivery | None:
    """Claim a hinted delivery for one try; None if it cannot be claimed.

    Of several claims at once, one succeeds. Repeated with the same token after a cut connection, it
    returns the same result. The try counts from here on.
    """
    parameters = {"id": delivery_id, "token": token}
    with connection.cursor(row_factory=class_row(Delivery)) as cursor:
        taken = cursor.execute(CLAIM_AND_READ, parameters).fetchone()
        return taken or cursor.execute(READ_CLAIM, parameters).fetchone()


def finish(connection: Connection[Any], taken: Delivery, met: Met, decision: Decision) -> bool:
    """Write the result of a try; False if the claim is no longer this one, and then nothing is
    written.

    If the receiver is gone, its endpoint is disabled and its waiting deliveries fail. Call it in a
    transaction.
    """
    if decision.disable and taken.endpoint_id is not None:
        connection.execute(
            "UPDATE webhook_endpoints e SET disabled_at = clock_timestamp(),"
            " disabled_reason = 'its receiver answered 410 Gone'"
            " FROM deliveries d WHERE d.id = %s AND d.claim_token = %s"
            " AND e.id = d.endpoint_id AND e.disabled_at IS NULL",
            (taken.id, taken.token),
        )
    written = connection.execute(
        """
        UPDATE deliveries SET
            status = %(status)s, claim_token = NULL, url = %(url)s,
            next_try_at = clock_timestamp() + make_interval(secs => %(wait_s)s),
            delayed = %(wait_s)s > 0,
            ended_at = CASE WHEN %(status)s <> 'pending' THEN clock_timestamp() END,
            last_status = %(last_status)s, last_error = %(last_error)s
        WHERE id = %(id)s AND claim_token = %(token)s AND status = 'pending'
        """,
        {
            "id": taken.id,
            "token": taken.token,
            "url": taken.url,
            "status": decision.status,
            "wait_s": decision.wait_s,
            "last_status": met.status,
            "last_error": met.error,
        },
    ).rowcount
    if written and decision.disable and taken.endpoint_id is not None:
        give_up_waiting(
            connection, taken.account_id, taken.endpoint_id, "its endpoint was disabled"
        )
    return written == 1


def give_up_waiting(
    connection: Connection[Any], account_id: int, endpoint_id: UUID, reason: str
) -> None:
    """Fail the waiting deliveries of an endpoint that gets no more. Calls in flight end by
    themselves.
    """
    connection.execute(
        "UPDATE deliveries SET status = 'failed', hint_no = NULL, ended_at = clock_timestamp(),"
        " last_error = %(reason)s"
        " WHERE account_id = %(account)s AND target = %(target)s"
        " AND status = 'pending' AND claim_token IS NULL",
        {"account": account_id, "target": endpoint_target(endpoint_id), "reason": reason},
    )


def endpoint_target(endpoint_id: UUID) -> str:
    """The target of a registered endpoint's deliveries."""
    return f"{_ENDPOINT}{endpoint_id}"


_ENDPOINT = "endpoint:"


def endpoint_of(target: str) -> UUID | None:
    """The endpoint of a target; None: the target is the server of jobs' own URLs."""
    return UUID(target.removeprefix(_ENDPOINT)) if target.startswith(_ENDPOINT) else None


def in_flight_tokens(connection: Connection[Any]) -> list[UUID]:
    """The tokens of all tries that are under way."""
    rows = connection.execute(
        "SELECT claim_token FROM deliveries WHERE status = 'pending' AND claim_token IS NOT NULL"
    )
    return [token for (token,) in rows]


def lost(connection: Connection[Any], token: UUID) -> tuple[UUID, UUID | None] | None:
    """The worker of a try is gone: the delivery is due again at once. The try still counts, because
    it may have reached the receiver, and because a delivery that kills its worker each time must
    end.

    Returns the delivery and its job; None if the try had ended.
    """
    return connection.execute(
        """
        UPDATE deliveries SET
            claim_token = NULL, next_try_at = clock_timestamp(), delayed = false,
            last_status = NULL, last_error = 'the worker was lost during the try',
            status = CASE WHEN tries >= %(most)s THEN %(failed)s ELSE status END,
            ended_at = CASE WHEN tries >= %(most)s THEN clock_timestamp() END
        WHERE claim_token = %(token)s AND status = 'pending'
        RETURNING id, job_id
        """,
        {"token": token, "most": MOST_TRIES, "failed": DeliveryStatus.FAILED},
    ).fetchone()


def make_due(connection: Connection[Any], delivery_id: UUID) -> None:
    """Send a delivery that is not in flight again, with a new schedule of tries."""
    connection.execute(
        "UPDATE deliveries SET status = 'pending', tries = 0, ended_at = NULL, hint_no = NULL,"
        " delayed = false, next_try_at = clock_timestamp() WHERE id = %s AND claim_token IS NULL",
        (delivery_id,),
    )
