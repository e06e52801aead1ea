"""How many deliveries each target may send next: a pure decision for the dispatcher.

A target is a registered endpoint, or one server that jobs name in `webhook_url`.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from tierline.rules.scheduling import account_limit

DEFAULT_IN_FLIGHT = 2
"""The limit of open deliveries to one target, unless its endpoint sets another."""
MOST_IN_FLIGHT = 64
"""The most that an endpoint may set, unless the installation sets another."""


@dataclass(frozen=True)
class DueTarget:
    """A target with due deliveries."""

    account_id: int
    target: str
    max_in_flight: int
    due: int  # number of due deliveries, counted up to the most that may go out
    since: datetime  # when the oldest of them became due
    held: int = 0  # hinted or in flight


def share_out(
    targets: Iterable[DueTarget], held_by_account: Mapping[int, int], threads: int, spare: int
) -> Sequence[tuple[DueTarget, int]]:
    """The targets that may send more now, each with how many.

    `threads` are those of the live webhooks workers; `spare` deliveries may wait in the broker
    beyond them. Accounts take turns, and so do an account's targets: the one with the fewest open
    deliveries is next. No target exceeds its `max_in_flight`, and no account half of all open
    deliveries.

    What a target has above the default leaves the last eighth of the threads (at least 2) free. So
    even if hanging receivers fill the rest, a delivery to any other target still starts at once.
    """
    total = sum(held_by_account.values())
    room = threads + spare
    most_of_account = max(1, room // 2)
    most_with_extra = account_limit(threads)
    listed = list(targets)
    held = Counter(held_by_account)
    taken: Counter[int] = Counter()  # by index in `listed`
    waiting: dict[int, list[tuple[int, datetime, int]]] = {}  # by account: a heap of its targets
    for place, one in enumerate(listed):
        if one.due > 0 and one.held < one.max_in_flight:
            waiting.setdefault(one.account_id, []).append((one.held, one.since, place))
    turns = []
    for account_id, heap in waiting.items():
        heapq.heapify(heap)
        turns.append((held[account_id], heap[0][1], account_id))
    heapq.heapify(turns)
    while turns and total < room:
        _, _, account_id = heapq.heappop(turns)
        heap = waiting[account_id]
        if held[account_id] >= most_of_account:
            continue
        of_target, since, place = heapq.heappop(heap)
        if of_target < DEFAULT_IN_FLIGHT or total < most_with_extra:
            one = listed[place]
            taken[place] += 1
            held[account_id] += 1
            total += 1
            if taken[place] < one.due and of_target + 1 < one.max_in_flight:
                heapq.heappush(heap, (of_target + 1, since, place))
        if heap:
            heapq.heappush(turns, (held[account_id], heap[0][1], account_id))
    return [(listed[place], count) for place, count in taken.items()]
