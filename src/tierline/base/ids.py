"""Time-ordered identifiers (UUID version 7, RFC 9562), so that new rows are adjacent in an index.

The order only helps the index. Lists are paged by an identity column.
"""

import os
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID


def new_id() -> UUID:
    """A UUID of version 7: 48 bits of Unix milliseconds, then 74 random bits."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return UUID(int=value)


def first_id_of(at: datetime, apart: timedelta) -> UUID:
    """The lowest identifier possible at that time on a clock that is late by `apart`."""
    ms = int((at.timestamp() - apart.total_seconds()) * 1000)
    return UUID(int=min(max(0, ms), 2**48 - 1) << 80)


def time_of(id: UUID) -> datetime:
    """The time in an identifier of version 7, to the millisecond.

    Raises OverflowError for a time after the year 9999, which no clock gives.
    """
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=id.int >> 80)
