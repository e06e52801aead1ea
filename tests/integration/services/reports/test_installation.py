"""The numbers of the queues are kept for a while, if reading them takes long."""

from collections.abc import Iterator
from typing import Any

import pytest
from psycopg import Connection

from tests.support.database.rows import add_account, add_feature, add_job, two_tiers
from tierline.services.reports import installation
from tierline.services.reports.installation import QueueDepths
from tierline.storage.db.engine import connect
from tierline.storage.jobs import queue_reads


@pytest.fixture
def connection(fresh_database_url: str) -> Iterator[Connection[Any]]:
    with connect(fresh_database_url, "test") as opened:
        yield opened


def waiting(queues: QueueDepths, connection: Connection[Any]) -> tuple[int, float | None]:
    (slm,) = (one for one in queues.read(connection) if one.queue == "slm")
    return slm.waiting, slm.counted_s_ago


def test_the_numbers_of_a_small_table_are_of_now(
    connection: Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installation, "SHARE", 1e9)
    account, version = add_account(connection, "acme"), add_feature(connection, two_tiers())
    queues = QueueDepths()
    for count in range(3):
        assert waiting(queues, connection) == (count, None)
        add_job(connection, account, version)


def test_the_numbers_of_a_large_table_are_kept_with_their_age(
    connection: Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installation, "SHARE", 1e9)
    monkeypatch.setattr(queue_reads, "LONG_BYTES", -1)
    account, version = add_account(connection, "acme"), add_feature(connection, two_tiers())
    queues = QueueDepths()
    assert waiting(queues, connection) == (0, None)
    add_job(connection, account, version)
    count, age_s = waiting(queues, connection)
    assert count == 0
    assert age_s is not None
    assert age_s > 0
    monkeypatch.setattr(installation, "SHARE", 0.0)
    assert waiting(QueueDepths(), connection) == (1, None)
