"""An account's usage: sums of its calls."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from psycopg import Connection

from tierline.storage.reports import usage

GROUPS = tuple(usage.GROUPS)  # what usage can be grouped by


def usage_of(
    connection: Connection[Any],
    account_id: int,
    since: datetime,
    until: datetime,
    groups: Sequence[str],
) -> list[dict[str, Any]]:
    """Sums of the calls booked in [since, until), one row per group that has any."""
    return usage.usage(connection, account_id, since, until, groups)
