"""Sending rows as parts: what an earlier run sent is recognised, the rest is sent, once.

Parts go one after the other, so those that the API has are always the first ones. Taking a part in
is a hundred times faster than answering it: more at once would only take connections from others.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from tierline.base.errors import Conflict, UsageError
from tierline.base.json_text import JSON
from tierline.cli.run.backfill.parts import MAX_PART_ROWS, Cutter
from tierline.cli.run.backfill.rows import Row
from tierline.cli.run.backfill.steady import Steady

FIRST_ROWS = 10  # sent under a cap before any cost is known
WINDOW_ROWS = 2_000  # unfinished at most under a cap
MARGIN = Decimal("1.5")  # a row still out is taken to cost so many times the average
TRIES = 3


class Gate(Protocol):
    """Says how many rows may be sent now; waits while it is none, and gives 0 to stop for good."""

    def __call__(self) -> int: ...


@dataclass(frozen=True)
class Sent:
    """Where sending got to."""

    parts: int
    stopped: bool  # by the gate, with rows left


def no_cap() -> int:
    return MAX_PART_ROWS


def room_under(cap: Decimal, cost: Decimal, finished: int, unfinished: int) -> int:
    """How many more rows may be out when `cost` USD went to `finished` rows and those still out.

    Close to the cap it is one row at a time, so what is spent beyond it is what that row costs.
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
    # Wait for a worthwhile number: a request for every single row would be as slow as rows are.
    return room if room > 0 and room >= unfinished // 2 else 0


def send(
    api: Steady,
    batch_id: str,
    rows: Callable[[], Iterator[Row]],
    gate: Gate,
    sent: Callable[[int, JSON], None],
) -> Sent:
    """Send what the batch has not got. `rows` begins anew each time; `sent` hears of each part.

    Raises UsageError when the rows are not those that were sent before.
    """
    for _ in range(TRIES):
        found = _send(api, batch_id, rows(), gate, sent)
        if found is not None:
            return found
    raise Conflict(f"the batch {batch_id} is being filled by somebody else as well")


def _send(
    api: Steady,
    batch_id: str,
    rows: Iterator[Row],
    gate: Gate,
    sent: Callable[[int, JSON], None],
) -> Sent | None:
    """None when a request of a killed run came in late: what is there has to be read again."""
    cutter = Cutter(rows)
    number = 0
    for known in api.parts(batch_id):
        part = cutter.repeat(known["rows"])
        if part.rows < known["rows"]:
            return Sent(number, stopped=False)  # a smaller --limit: more was sent than is asked
        if part.sha256 != known["sha256"]:
            raise UsageError(
                f"part {known['number']} was sent with other rows than FILE has now: put the old "
                "file back, or begin anew with --restart (what was sent is then paid for again)"
            )
        number += 1
        sent(number, known)
    while cutter.more:
        most = gate()
        if most == 0:
            return Sent(number, stopped=True)
        part = cutter.next(most)
        number += 1
        try:
            answer = api.put_part(batch_id, number, part.body)
        except Conflict:
            if api.batch(batch_id)["status"] == "cancelled":
                raise
            return None
        sent(number, answer)
    return Sent(number, stopped=False)
