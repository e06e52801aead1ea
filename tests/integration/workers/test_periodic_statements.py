"""No periodic statement reads a share of the history: what the sweep, the watcher and the
dispatcher do each second or minute costs the same after a year as on the first day.

Each statement is explained with ANALYZE on a database with a long history at rest and a little work
to do. A new statement that scans a table fails here.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from tests.support.database.explained import Explained, Recorded
from tests.support.database.history import ACCOUNTS, add_work, fill
from tierline.base.settings import settings
from tierline.services.evidence.watch.drift import Drift
from tierline.services.processes.connections import worker_pool
from tierline.services.reports.installation import QueueDepths, numbers
from tierline.services.upkeep.sweep import sweep
from tierline.storage.evidence import judgements, promotions, shadows
from tierline.storage.jobs import hints, queue_reads, recovery
from tierline.storage.reports import floors, last_hour, roll_up
from tierline.storage.steering import tiers_seen
from tierline.storage.upkeep import due_content, retention
from tierline.storage.webhooks import delivery_choice

JOBS = 60_000
SHARE = JOBS // ACCOUNTS  # of one account, the smallest share of the history that is in an index
MOST_ROWS = SHARE // 2
# Of 8 KiB, for each row that was read and beside them. A range of a BRIN index has 128, and the
# smallest whole index of the history more than 200.
BLOCKS_A_ROW = 60
MORE_BLOCKS = 200


@pytest.fixture(scope="module")
def past(environment: None, database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection to a database with a history that was swept, and work to do."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        history = fill(connection, JOBS)
        with worker_pool(database_url, "sweep", 1) as pool:
            sweep(pool, Drift(pool))
        add_work(connection, history)
        yield connection


def seen(recorded: Recorded, *statements: str) -> None:
    """Assert that these statements are among those that were explained. Where they say `@calls`,
    any partitions may stand.
    """
    texts = {one.text for one in recorded.statements}

    def is_there(statement: str) -> bool:
        parts = [re.escape(part) for part in re.split(r"@\w+", " ".join(statement.split()))]
        return any(re.fullmatch(".*".join(parts), text) for text in texts)

    assert [one for one in statements if not is_there(one)] == []


def too_much(recorded: Recorded) -> list[Explained]:
    return [
        one
        for one in recorded.statements
        if one.rows > MOST_ROWS or one.blocks > BLOCKS_A_ROW * one.rows + MORE_BLOCKS
    ]


def test_the_sweep_reads_no_share_of_the_history(past: psycopg.Connection[Any]) -> None:
    recorded = Recorded()
    with worker_pool(settings().database, "sweep", 1) as pool, recorded.recording():
        for _ in range(2):  # the second counts what the first was too early for
            sweep(pool, Drift(pool))
    seen(
        recorded,
        roll_up.NEW,
        floors.LIVE_FROM,
        floors.UNCOUNTED_FROM,
        tiers_seen.BEGIN,
        tiers_seen.END,
        judgements.DUE,
        judgements.TAKE_IN,
        judgements.WAITING,
        shadows.OPEN,
        shadows.DUE,
        retention.POLICIES,
        *(
            statement.format(kept=kept)
            for statement in (due_content.NEXT, due_content.LEFT)
            for kept in ("input_removed_at", "output_removed_at")
        ),
        retention.JOBS,
        retention.SHADOWS,
    )
    assert not too_much(recorded), "\n".join(str(one)[:500] for one in too_much(recorded))


def test_the_watcher_and_the_dispatcher_read_no_share_of_the_history(
    past: psycopg.Connection[Any],
) -> None:
    from workers.app import create_app
    from workers.dispatcher import Dispatcher
    from workers.watcher import Watcher

    dispatcher = Dispatcher(settings(), create_app())
    recorded = Recorded()
    with dispatcher.pool, Watcher(settings(), dispatcher) as watcher:
        dispatcher.see_threads({"slm": 16, "slm-backfill": 16, "webhooks": 16, "maintenance": 1})
        with recorded.recording():
            for _ in range(2):
                watcher.look()
                dispatcher.choose_once()
    seen(
        recorded,
        hints.HEADS,
        hints.DUE,
        hints.OUT,
        hints.MARK,
        recovery.OVERDUE,
        recovery.LOCK_FREE,
        recovery.WRITE,
        delivery_choice.OUT,
        delivery_choice.TARGETS,
        delivery_choice.HEADS,
        delivery_choice.MARK,
    )
    assert not too_much(recorded), "\n".join(str(one)[:500] for one in too_much(recorded))


def test_the_metrics_read_no_share_of_the_history(past: psycopg.Connection[Any]) -> None:
    recorded = Recorded()
    with recorded.recording():
        numbers(past, QueueDepths())
        last_hour.fared(past)
        queue_reads.ended_lately(past)
    seen(recorded, queue_reads.UNDER_WAY, last_hour.FARED, queue_reads.ENDED)
    assert not too_much(recorded), "\n".join(str(one)[:500] for one in too_much(recorded))


def test_what_refutes_a_promotion_is_a_bounded_number_of_answers(
    past: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(promotions, "MOST_COMPARED", 100)
    recorded = Recorded()
    begin = datetime(2000, 1, 1, tzinfo=UTC)
    with recorded.recording():
        assert promotions.compared_since(past, "summary", "r", begin) == (100, 0)
    seen(recorded, promotions.COMPARED)
    assert not too_much(recorded), "\n".join(str(one)[:500] for one in too_much(recorded))


def test_a_statement_that_scans_the_history_is_found(past: psycopg.Connection[Any]) -> None:
    recorded = Recorded()
    with recorded.recording():
        past.execute("SELECT count(*) FROM jobs WHERE tier = 'slm'")  # a table
        past.execute("SELECT FROM job_requests WHERE left(job_id::text, 1) = 'x'")  # finds nothing
        past.execute("SELECT FROM jobs ORDER BY id LIMIT 1")
    assert [one in too_much(recorded) for one in recorded.statements] == [True, True, False]
