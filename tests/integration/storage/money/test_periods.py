"""Periods of budgets that are long over are removed."""

import psycopg

from tests.support.database.rows import add_account
from tierline.storage.money.budgets import forget_periods

ADD = """
INSERT INTO budget_periods (budget_id, key, starts_on)
SELECT b.id, p.key, current_date - p.days FROM budgets b,
    (VALUES ('ann', 200), ('ann', 101), ('bob', 99), ('bob', 0)) p (key, days)
"""


def test_periods_that_began_long_ago_are_removed_some_at_a_time(fresh_database_url: str) -> None:
    with psycopg.connect(fresh_database_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO budgets (account_id, scope, period, limit_usd)"
            " VALUES (%s, 'user', 'day', 1)",
            (add_account(connection, "acme"),),
        )
        connection.execute(ADD)
        assert forget_periods(connection, 100, 1) == 1
        assert forget_periods(connection, 100, 10) == 1
        assert forget_periods(connection, 100, 10) == 0
        left = connection.execute("SELECT DISTINCT key FROM budget_periods").fetchall()
        assert left == [("bob",)]
