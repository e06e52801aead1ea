"""The books of a run, balanced: what was accepted, what the database has, what the far ends saw.

Pure: a Snapshot in, a Balance out. The calls have a file of their own, `calls.py`; the snapshot is
read by `reading.py`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from uuid import UUID

from tests.faults.calls import balance_calls
from tests.faults.orders import Order
from tests.faults.snapshot import Balance, DeliveryRow, JobRow, OutFile, Snapshot
from tierline.rules.jobs import TERMINAL
from tierline.rules.verdicts import Verdict

LOSSES_TO_FAIL = 3  # leases that a job must have lost to fail as worker_lost


def balance(snapshot: Snapshot) -> Balance:
    """Compare both halves of the books."""
    found = Balance(jobs=len(snapshot.orders))
    by_mark: dict[str, list[JobRow]] = {}
    for job in snapshot.jobs:
        by_mark.setdefault(job.mark, []).append(job)
    for mark, order in snapshot.orders.items():
        rows = by_mark.pop(mark, [])
        if not rows:
            found.lose(f"{mark} was accepted and has no row")
        if len(rows) > 1:
            found.repeat(f"{mark} has {len(rows)} rows")
        for row in rows:
            _job(found, order, row)
    for mark in by_mark:
        found.problems.append(f"{mark} has a row and was never accepted")
    balance_calls(found, snapshot)
    _webhooks(found, snapshot)
    for batch_id, orders in snapshot.batches.items():
        _batch(found, batch_id, orders, snapshot)
    for number, file in enumerate(snapshot.files, start=1):
        _out(found, f"OUT {number}", file)
    found.apart_usd += abs(snapshot.accounts_apart)
    return found


def _job(found: Balance, order: Order, job: JobRow) -> None:
    """Ended, once, as planned, with its own answer."""
    if job.status not in TERMINAL:
        found.lose(f"{job.mark} is {job.status}")
        return
    if job.endings != 1:
        found.repeat(f"{job.mark} ended {job.endings} times")
    passed = sum(attempt.verdict == Verdict.PASSED for attempt in job.attempts)
    if passed > 1:
        found.repeat(f"{job.mark} was answered by {passed} attempts")
    losses = sum(attempt.verdict == Verdict.WORKER_LOST for attempt in job.attempts)
    ended = (job.status, job.error_code)
    given_up = ended == ("failed", "worker_lost") and losses >= LOSSES_TO_FAIL
    if ended != order.ends and not given_up:
        found.problems.append(f"{job.mark} ({order.plan}) ended as {ended} after {losses} losses")
    if job.status == "completed" and job.output != order.output:
        found.problems.append(f"{job.mark} has the answer {job.output}")
    for attempt in job.attempts:
        if attempt.verdict is None:
            found.problems.append(f"{job.mark}, attempt {attempt.number}, has no verdict")


def _webhooks(found: Balance, snapshot: Snapshot) -> None:
    """Every webhook that was due is written once, and arrived or is listed as failed."""
    written: dict[tuple[UUID, str, str], list[DeliveryRow]] = {}
    for delivery in snapshot.deliveries:
        key = (delivery.of, delivery.event, delivery.listener)
        written.setdefault(key, []).append(delivery)
    for job in snapshot.jobs:
        order = snapshot.orders.get(job.mark)
        if order is None or job.status not in TERMINAL:
            continue
        for event, listener in due(order, job, snapshot.listening):
            rows = written.pop((job.id, event, listener), [])
            _delivered(found, f"{event} of {job.mark} to {listener}", rows, snapshot.arrived)
    for batch_id, orders in snapshot.batches.items():
        rows = written.pop((UUID(batch_id), "batch.completed", orders[0].account), [])
        _delivered(found, f"batch.completed of {batch_id}", rows, snapshot.arrived)
    for of, event, listener in written:
        found.problems.append(f"a webhook that was not due: {event} of {of} to {listener}")


def due(order: Order, job: JobRow, listening: str) -> Iterable[tuple[str, str]]:
    """(event, listener) of all that somebody asked to hear of an ended job."""
    ended = f"job.{job.status}"
    if order.hooked:
        yield ended, order.account
        if job.escalated:
            yield "job.escalated", order.account
    if order.account == listening and ended == "job.completed":
        yield ended, "endpoint"


def _delivered(
    found: Balance, what: str, rows: list[DeliveryRow], arrived: Mapping[str, int]
) -> None:
    if not rows:
        found.lose(f"{what} was never written")
    if len(rows) > 1:
        found.repeat(f"{what} was written {len(rows)} times")
    for row in rows:
        if row.status in {"failed", "put off"}:
            continue  # listed, or to be tried again in minutes, as promised
        if row.status != "delivered":
            found.lose(f"{what} is {row.status}")
        elif not arrived.get(row.webhook_id):
            found.lose(f"{what} counts as delivered and never arrived")


def _batch(found: Balance, batch_id: str, orders: list[Order], snapshot: Snapshot) -> None:
    """Its output has every row once."""
    rows = Counter(snapshot.batch_outputs.get(batch_id, ()))
    for order in orders:
        times = rows.pop(order.mark, 0)
        if times == 0:
            found.lose(f"{order.mark} is not in its batch's output")
        elif times > 1:
            found.repeat(f"{order.mark} is {times} times in its batch's output")
    for custom_id in rows:
        found.problems.append(f"{custom_id} is in the output of a batch that it is not of")


def _out(found: Balance, name: str, file: OutFile) -> None:
    """A backfill's OUT has every row of its file once, in the same order, with its own answer."""
    times = Counter(row.id for row in file.rows)
    for order in file.orders:
        if times[order.mark] == 0:
            found.lose(f"{order.mark} is not in {name}")
        elif times[order.mark] > 1:
            found.repeat(f"{order.mark} is {times[order.mark]} times in {name}")
    if times.keys() - {order.mark for order in file.orders}:
        found.problems.append(f"{name} has rows that are not of its file")
    elif [row.id for row in file.rows] != [order.mark for order in file.orders]:
        found.problems.append(f"{name} is not in the order of its file")
    orders = {order.mark: order for order in file.orders}
    for row in file.rows:
        order = orders.get(row.id)
        if order is not None and row.status == "completed" and row.output != order.output:
            found.problems.append(f"{row.id} has the answer {row.output} in {name}")
