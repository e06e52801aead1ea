"""Budgets of an account, a feature with prices, and what was spent."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from tests.support.scenes.bench import PRICED, Bench

SMALL_CALL = Decimal("0.000014")  # 100 tokens in, 10 out


LARGE_CALL = Decimal("0.0014")
# A large call is reserved at some 1,500 tokens in and 50 out: about 0.017 USD.


@pytest.fixture
def no_budgets(bench: Bench) -> Iterator[None]:
    yield
    with bench.pool.connection() as connection:
        connection.execute("TRUNCATE reservations, budget_periods, budgets")


def budget(bench: Bench, limit: str, **more: Any) -> None:
    columns = {"scope": "account", "key": "", "period": "day", "hard": False} | more
    bench.all(
        "INSERT INTO budgets (account_id, scope, key, period, limit_usd, hard)"
        " VALUES (%s, %s, %s, %s, %s, %s) RETURNING id",
        *(
            bench.account,
            columns["scope"],
            columns["key"],
            columns["period"],
            limit,
            columns["hard"],
        ),
    )


def priced(bench: Bench, more: str = "") -> int:
    """A feature both of whose tiers have a price; its version."""
    version, _ = bench.apply(more, slm=PRICED)
    bench.all(
        "UPDATE feature_versions SET document = jsonb_set(document::jsonb, '{tiers,1,prices}',"
        """ '{"openai:large": {"input_usd_per_mtok": "10", "output_usd_per_mtok": "40"}}')::json"""
        " WHERE id = %s RETURNING id",
        version,
    )
    return version


def blocked_reason(bench: Bench, job: UUID) -> Any:
    return bench.one("SELECT blocked_reason FROM jobs WHERE id = %s", job)


def spent(bench: Bench) -> tuple[Decimal, Decimal]:
    found: tuple[Decimal, Decimal] = bench.one(
        "SELECT sum(reserved_usd), sum(spent_usd) FROM budget_periods"
    )
    return found
