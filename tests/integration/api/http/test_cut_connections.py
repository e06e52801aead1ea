"""Postgres cuts connections, as in a restart or a failover: who asks next need not know of it."""

import pytest

from tests.support.api.served import Api
from tests.support.database.rows import Connection

CUT = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = %s
"""


@pytest.mark.parametrize(
    ("path", "pool"), [("/v1/jobs", "tierline-api-cold"), ("/v1/usage", "tierline-api-reports")]
)
def test_what_is_asked_next_is_answered(api: Api, rows: Connection, path: str, pool: str) -> None:
    assert api.get(path).status_code == 200
    cut = rows.execute(CUT, (pool,)).fetchall()
    assert cut, f"{pool} has no connection to cut"
    assert api.get(path).status_code == 200
