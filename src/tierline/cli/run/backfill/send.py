"""Sends rows as parts: recognises what an earlier run sent, and sends the rest once.

Parts are sent one after the other, so the API always has the first ones. Accepting a part is a
hundred times faster than answering it, so sending several at once would not help.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from tierline.base.errors import Conflict, UsageError
from tierline.base.json_text import JSON
from tierline.cli.run.backfill.parts import MAX_PART_ROWS, Cutter
from tierline.cli.run.backfill.retrying_client import RetryingClient
from tierline.cli.run.backfill.rows import Row

FIRST_ROWS = 10  # sent under a cap before any cost is known
WINDOW_ROWS = 2_000  # the most unfinished rows under a cap
MARGIN = Decimal("1.5")  # an unfinished row counts as so many times the average cost
TRIES = 3


class Gate(Protocol):
    """Returns how many rows may be sent now; waits while it is none, and returns 0 to stop."""

    def __call__(self) -> int: ...


@dataclass(frozen=True)
class SendResult:
    """How far the rows were sent."""

    parts: int
    stopped: bool  # by the gate, with rows left


def no_cap() -> int:
    return MAX_PART_ROWS


def room_under(cap: Decimal, cost: Decimal, finished: int, unfinished: int) -> int:
    """How many more rows may be unfinished, if `cost` USD went to `finished` rows and the
    unfinished ones.

    Close to the cap it is one row at a time, so the cap is exceeded by at most that row's cost.
    """
    if cost >= cap:
        return 0
    if finished == 0:
        return max(0, FIRST_ROWS - unfinished)
    average = cost / finished
    fit = WINDOW_ROWS if not average else int((cap - cost) / (average * MARGIN))
    room = min(fit, WINDOW_ROWS) - unfinished
    if unfinished == 0:
        return max(1, room)
    # Wait for a larger number: a request for every single row would be slow.
    return room if room > 0 and room >= unfinished // 2 else 0


def send(
    api: RetryingClient,
    batch_id: str,
    rows: Callable[[], Iterator[Row]],
    gate: Gate,
    sent: Callable[[int, JSON], None],
) -> SendResult:
    """Send what the batch does not have. `rows` starts again at each call; `sent` is called for
    each part.

    Raises UsageError if the rows are not those sent before.
    """
    for _ in range(TRIES):
        result = _send(api, batch_id, rows(), gate, sent)
        if result is not None:
            return result
    raise Conflict(f"the batch {batch_id} is also being filled by another process")


def _send(
    api: RetryingClient,
    batch_id: str,
    rows: Iterator[Row],
    gate: Gate,
    sent: Callable[[int, JSON], None],
) -> SendResult | None:
    """None if a late request of a killed run arrived: the parts must be read again."""
    cutter = Cutter(rows)
    number = 0
    for accepted in api.parts(batch_id):
        part = cutter.repeat(accepted["rows"])
        if part.rows < accepted["rows"]:
            # a smaller --limit: more rows were sent than it allows
            return SendResult(number, stopped=False)
        if part.sha256 != accepted["sha256"]:
            raise UsageError(
                f"part {accepted['number']} was sent with other rows than FILE has now: restore "
                "the old file, or begin again with --restart (sent rows are then paid for again)"
            )
        number += 1
        sent(number, accepted)
    while cutter.more:
        most = gate()
        if most == 0:
            return SendResult(number, stopped=True)
        part = cutter.next(most)
        number += 1
        try:
            answer = api.put_part(batch_id, number, part.body)
        except Conflict:
            if api.batch(batch_id)["status"] == "cancelled":
                raise
            return None
        sent(number, answer)
    return SendResult(number, stopped=False)
