"""Watching the NOTIFYs that a process sends, and whether each stands outside a transaction."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg.pq import TransactionStatus


@contextmanager
def notifications_sent() -> Iterator[list[tuple[str, bool]]]:
    """Every statement that notifies, as (its text, whether it was inside a transaction)."""
    sent: list[tuple[str, bool]] = []

    def note(cursor: Any, query: Any) -> None:
        text = str(query)
        if "notify" in text.lower():
            idle = cursor.connection.info.transaction_status is TransactionStatus.IDLE
            sent.append((text, not idle or not cursor.connection.autocommit))

    plain, on_loop = psycopg.Cursor.execute, psycopg.AsyncCursor.execute

    def execute(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
        note(self, query)
        return plain(self, query, *args, **kwargs)

    async def execute_on_loop(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
        note(self, query)
        return await on_loop(self, query, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(psycopg.Cursor, "execute", execute)
        patch.setattr(psycopg.AsyncCursor, "execute", execute_on_loop)
        yield sent
