"""Checks for drift: the newest are kept."""

from datetime import UTC, datetime

import psycopg

from tierline.storage.evidence.drift import LOOKS_KEPT, LOOKS_SHOWN, add_look

NOW = datetime(2026, 12, 1, tzinfo=UTC)


def test_of_each_reference_the_newest_checks_are_kept(fresh_database_url: str) -> None:
    assert LOOKS_KEPT >= LOOKS_SHOWN
    with psycopg.connect(fresh_database_url, autocommit=True) as connection:
        for reference, looks in ((1, LOOKS_KEPT + 3), (2, 2)):
            for number in range(1, looks + 1):
                values = {"reference_id": reference, "number": number, "inputs": 1, "money": 1.0}
                rest = {"alarm": False, "document": {}, "up_to": NOW}
                assert add_look(connection, values | rest, b"")
        checks = connection.execute(
            "SELECT reference_id, count(*), max(number) FROM drift_looks GROUP BY 1 ORDER BY 1"
        ).fetchall()
        assert checks == [(1, LOOKS_KEPT, LOOKS_KEPT + 3), (2, 2, 2)]
