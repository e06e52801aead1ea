"""Batches of many rows: open, accept parts, seal, cancel, and complete once all jobs have ended.

A row that does not match is stored with its problems and does not stop the others. A batch's jobs
run like any other jobs, on the backfill lanes.
"""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from psycopg import Connection

from tierline.base.errors import Conflict, InvalidInput, NotFound, Problem
from tierline.base.ids import new_id
from tierline.base.json_text import JSON, short
from tierline.features import Feature
from tierline.routing.first_tier import JobOrigin, default_tier, first_tier, varies
from tierline.rules.batches import StoredPart
from tierline.rules.queues import lane
from tierline.services.batches.finish_batches import CANCEL_AT_ONCE, cancel_some
from tierline.services.batches.read_rows import read_rows
from tierline.services.jobs.submitting.backlog import counts_each_job, full
from tierline.services.jobs.submitting.current_versions import UnknownFeature
from tierline.services.jobs.submitting.replays import KeyReused
from tierline.services.jobs.submitting.submission import (
    metadata_problems,
    webhook_url_problems,
)
from tierline.services.money.budgets import refuse_spent
from tierline.storage.accounts.accounts import account_name
from tierline.storage.batches import batches
from tierline.storage.batches.batches import BadRow, GoodRow, Lane, NewBatch
from tierline.storage.db.engine import within
from tierline.storage.db.repeat import again_if_moved
from tierline.storage.features import features
from tierline.storage.jobs.backlogs import count_queued_alone, count_queued_unlocked
from tierline.storage.money.budgets import Holder, hard_ones
from tierline.views.batches.batches import StoredBatch

MAX_PARTS = 1_000_000
PART_S = 60.0  # of one statement: to write so many rows takes seconds, on a busy machine tens
CANCEL_S = 2.0  # of one request
MISSING_NAMED = 10
FULL_S = 5.0  # Retry-After for a part that exceeds the limit: queued rows must run first


@dataclass(frozen=True)
class Opening:
    """What a caller gives to open a batch."""

    feature: str
    metadata: JSON | None = None
    webhook_url: str | None = None


@dataclass(frozen=True)
class AcceptedPart:
    """The result of sending a part."""

    part: StoredPart
    replayed: bool  # it was stored before, with the same bytes


def open_batch(
    connection: Connection[Any], account_id: int, opening: Opening, key: str | None = None
) -> tuple[StoredBatch, bool]:
    """Return the new batch, or the one that `key` stands for, and whether it existed already.

    The batch keeps the version of the feature that is current now. Raises UnknownFeature,
    InvalidInput, and KeyReused for a key that was used with another opening.
    """
    _refuse_opening(opening)
    while True:
        if key is not None:
            earlier = batches.batch_of_key(connection, account_id, key)
            if earlier is not None:
                if _opening_of(earlier) != opening:
                    raise KeyReused([Problem("this Idempotency-Key was used with another payload")])
                return earlier, True
        current = features.current_version(connection, opening.feature)
        if current is None:
            message = f"there is no feature {short(opening.feature)}"
            raise UnknownFeature([Problem(message, "/feature")])
        new = NewBatch(new_id(), account_id, version_id=current.id, key=key, **vars(opening))
        if batches.open_batch(connection, new):
            return read(connection, account_id, new.batch_id), False


def read(connection: Connection[Any], account_id: int, batch_id: UUID) -> StoredBatch:
    """The batch. Raises NotFound if the account has no such batch."""
    row = batches.batch_row(connection, account_id, batch_id)
    if row is None:
        raise _unknown(batch_id)
    return row


def accept_part(
    connection: Connection[Any],
    account_id: int,
    batch_id: UUID,
    number: int,
    body: bytes,
    *,
    most_queued: int | None = None,
) -> AcceptedPart:
    """Write the rows of one part in one transaction, and no row twice.

    A repeat with the same bytes changes nothing. Raises Conflict for a repeat with other bytes and
    for a batch that is not open; InvalidInput if the body as a whole is invalid; and LimitReached
    if the account would have more than `most_queued` jobs queued or has spent a hard budget.
    """
    sha256 = hashlib.sha256(body).digest()
    row = read(connection, account_id, batch_id)
    there = batches.stored_part(connection, batch_id, number)
    if there is not None:
        return AcceptedPart(_same(there, sha256), replayed=True)
    _refuse_closed(row["status"])
    refuse_spent(hard_ones(connection, Holder(account_id)))
    version_id = row["feature_version_id"]
    feature = features.load_version(connection, version_id)
    good, bad = read_rows(feature, body)
    if not good and not bad:
        raise InvalidInput([Problem("the part has no rows")])
    part = StoredPart(number, sha256, len(good) + len(bad), len(bad))
    placed = _placed(connection, account_id, feature, good)
    with within(connection, PART_S):
        # Checked before the status: a part that was accepted stays so, whatever happened since.
        status = batches.hold(connection, account_id, batch_id)
        if batches.claim_part(connection, batch_id, part):
            _refuse_closed(status)
            _refuse_full(connection, account_id, len(good), most_queued)
            _add_rows(connection, account_id, row, feature, number, placed, bad)
            _refuse_overfull(connection, account_id, len(good), most_queued)
            return AcceptedPart(part, replayed=False)
    there = batches.stored_part(connection, batch_id, number)
    assert there is not None, "a part that could not be written is there"
    return AcceptedPart(_same(there, sha256), replayed=True)


def write_rows(
    connection: Connection[Any],
    account_id: int,
    row: StoredBatch,
    feature: Feature,
    number: int,
    good: list[GoodRow],
    bad: list[BadRow],
) -> None:
    """Write the rows of part `number`, in the transaction that has claimed it."""
    placed = _placed(connection, account_id, feature, good)
    _add_rows(connection, account_id, row, feature, number, placed, bad)


def _add_rows(
    connection: Connection[Any],
    account_id: int,
    row: StoredBatch,
    feature: Feature,
    number: int,
    placed: Mapping[tuple[str, int], list[GoodRow]],
    bad: list[BadRow],
) -> None:
    for (tier, index), rows in placed.items():
        queue = lane(feature.place(index), backfill=True)
        where = Lane(account_id, row["feature_version_id"], tier, index, queue)
        batches.add_jobs(connection, row["id"], number, where, rows)
    batches.add_errors(connection, row["id"], number, bad)


def _placed(
    connection: Connection[Any], account_id: int, feature: Feature, good: list[GoodRow]
) -> dict[tuple[str, int], list[GoodRow]]:
    """The rows by their first tier, with its name and index."""
    if not varies(feature):
        first = default_tier(feature)
        return {(first.choice, first.tier_index): good}
    account = account_name(connection, account_id)
    placed: dict[tuple[str, int], list[GoodRow]] = {}
    for row in good:
        decision = first_tier(feature, JobOrigin(account, row.custom_id or str(row.job_id)))
        kept = json.dumps(decision.to_dict(), ensure_ascii=False)
        placed.setdefault((decision.choice, decision.tier_index), []).append(
            replace(row, decision=kept)
        )
    return placed


def seal(connection: Connection[Any], account_id: int, batch_id: UUID, parts: int) -> StoredBatch:
    """Close the batch: its parts are those numbered 1 to `parts`. A repeat changes nothing.

    Raises Conflict if some of these parts are missing, or if there are parts above `parts`.
    """
    with connection.transaction():
        status = batches.hold(connection, account_id, batch_id, alone=True)
        if status is None:
            raise _unknown(batch_id)
        if status == "cancelled":
            raise Conflict("the batch is cancelled")
        missing = batches.missing_parts(connection, batch_id, parts, MISSING_NAMED + 1)
        if missing:
            named = ", ".join(str(number) for number in missing[:MISSING_NAMED])
            more = " and more" if len(missing) > MISSING_NAMED else ""
            raise Conflict(f"these parts are missing: {named}{more}")
        if batches.parts_after(connection, batch_id, parts, 1):
            raise Conflict(f"the batch has parts above {parts}")
        batches.seal(connection, batch_id)
    return read(connection, account_id, batch_id)


def cancel(connection: Connection[Any], account_id: int, batch_id: UUID) -> StoredBatch:
    """Request that the batch and its unfinished jobs be cancelled. A repeat changes nothing.

    Waiting jobs are cancelled here for up to CANCEL_S, the rest by `complete_finished`. Running
    jobs end like any cancelled job. A completed batch does not change.
    """
    read(connection, account_id, batch_id)
    batches.close_as_cancelled(connection, account_id, batch_id)
    until = time.monotonic() + CANCEL_S

    def some() -> int:
        with connection.transaction():
            return cancel_some(connection, batch_id, CANCEL_AT_ONCE)

    if read(connection, account_id, batch_id)["status"] == "cancelled":
        while time.monotonic() < until:
            if not again_if_moved(some):
                break
    return read(connection, account_id, batch_id)


def _refuse_opening(opening: Opening) -> None:
    problems: list[Problem] = []
    if opening.metadata is not None:
        problems += metadata_problems(opening.metadata)
    if opening.webhook_url is not None:
        problems += webhook_url_problems(opening.webhook_url)
    if problems:
        raise InvalidInput(problems)


def _opening_of(row: StoredBatch) -> Opening:
    return Opening(row["feature"], row["metadata"], row["webhook_url"])


def _refuse_closed(status: str | None) -> None:
    if status != "open":
        raise Conflict(f"the batch is {status}: only an open batch accepts parts")


def _refuse_full(
    connection: Connection[Any], account_id: int, rows: int, most_queued: int | None
) -> None:
    """Refuse a part for whose rows there is no room, before they are written.

    A small limit is counted under the account's lock, as for single jobs; such a part is small too.
    """
    if most_queued is None or not rows:
        return
    if rows > most_queued:
        raise InvalidInput(
            [
                Problem(
                    f"the part has {rows:,} rows, and the account may have {most_queued:,} jobs"
                    " queued (max_queued_jobs); send smaller parts"
                )
            ]
        )
    count = count_queued_alone if counts_each_job(most_queued) else count_queued_unlocked
    if count(connection, account_id, most_queued) + rows > most_queued:
        raise full(most_queued, FULL_S)


def _refuse_overfull(
    connection: Connection[Any], account_id: int, rows: int, most_queued: int | None
) -> None:
    """Refuse a part whose rows, written in this transaction, exceed a large limit together with
    what others have written meanwhile. So the lock is held while they are counted and committed,
    not while thousands are written.
    """
    if most_queued is None or not rows or counts_each_job(most_queued):
        return
    if count_queued_alone(connection, account_id, most_queued + 1) > most_queued:
        raise full(most_queued, FULL_S)


def _same(there: StoredPart, sha256: bytes) -> StoredPart:
    if there.sha256 != sha256:
        raise Conflict(f"part {there.number} was sent before with other bytes")
    return there


def _unknown(batch_id: UUID) -> NotFound:
    return NotFound(f"there is no batch {batch_id}")
