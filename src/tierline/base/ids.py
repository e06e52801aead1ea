"""Time-ordered identifiers (UUID version 7, RFC 9562), so that new rows are adjacent in an index.

The time decides in which partition a row is, so it is Postgres's: each new connection of a pool
measures how far this process's clock is from it (`set_clock`). In between a steady clock counts, so
a wall clock that is wrong, or is set, changes no id. Lists are paged by a sequence, not by ids.
"""

import os
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from uuid import UUID

# Unlike CLOCK_MONOTONIC it counts while the machine is suspended; Linux has it.
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_EPOCH = datetime.fromtimestamp(0, UTC)


class Clock:
    """The time of Postgres, as far as this process knows it."""

    offset_ns: int | None = None  # from the steady clock to Unix time; None: not measured yet

    def now_ns(self) -> int:
        if self.offset_ns is None:
            return time.time_ns()
        return steady_ns() + self.offset_ns


clock = Clock()

RANDOM_BYTES = 10  # of an identifier
ASKED_AT_ONCE = 64
"""For so many identifiers the system is asked at once. At each such call, a thread of a busy worker
loses the interpreter to another one."""
_unused: list[bytes] = []  # each is taken once; a process that forks must not have the same
os.register_at_fork(after_in_child=_unused.clear)


def steady_ns() -> int:
    """Nanoseconds on a clock that nobody sets."""
    return time.clock_gettime_ns(_STEADY)


def set_clock(now: datetime, asked_ns: int) -> None:
    """Postgres has answered that it is `now`, and was asked at `asked_ns` of `steady_ns`."""
    middle_ns = (asked_ns + steady_ns()) // 2
    clock.offset_ns = (now - _EPOCH) // timedelta(microseconds=1) * 1000 - middle_ns


def database_now() -> datetime:
    """The time of Postgres; before the first connection, that of this process."""
    return _EPOCH + timedelta(microseconds=clock.now_ns() // 1000)


def new_id() -> UUID:
    """A UUID of version 7: 48 bits of Unix milliseconds, then 74 random bits."""
    value = (clock.now_ns() // 1_000_000) << 80 | int.from_bytes(_random(), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return UUID(int=value)


def _random() -> bytes:
    with suppress(IndexError):
        return _unused.pop()
    fresh = os.urandom(RANDOM_BYTES * ASKED_AT_ONCE)
    own, *rest = (fresh[at : at + RANDOM_BYTES] for at in range(0, len(fresh), RANDOM_BYTES))
    _unused.extend(rest)
    return own


def first_id_of(at: datetime, apart: timedelta) -> UUID:
    """The lowest identifier possible at that time on a clock that is late by `apart`."""
    ms = int((at.timestamp() - apart.total_seconds()) * 1000)
    return UUID(int=min(max(0, ms), 2**48 - 1) << 80)


def time_of(id: UUID) -> datetime:
    """The time in an identifier of version 7, to the millisecond.

    Raises OverflowError for a time after the year 9999, which no clock gives.
    """
    return _EPOCH + timedelta(milliseconds=id.int >> 80)
