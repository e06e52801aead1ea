"""What judges cost, and which budgets hold them back."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from tests.support.scenes.bench import Bench
from tests.support.scenes.judging import (
    applied,
    compared,
    jobs,
    judge,
    judged_by,
    judging,
    keep,
    priced,
)
from tierline.features import Feature
from tierline.services.evidence.evaluation import judgements
from tierline.storage.evidence import shadows

pytestmark = pytest.mark.usefixtures("fresh")


PRICE = Decimal(2) * (100 * Decimal(10) + 10 * Decimal(40)) / 1_000_000
"""USD of a judge that is asked in both orders, by the prices below."""


def spent(bench: Bench, feature: Feature) -> Decimal:
    with bench.pool.connection() as connection:
        return shadows.spent_on_comparing(connection, feature.name)


def test_what_it_costs_counts_as_its_features_shadows_do(
    bench: Bench, numbers: Iterator[int]
) -> None:
    version, feature = applied(bench)
    priced(bench)
    jobs(bench, version, numbers, 1)
    keep(bench)
    assert spent(bench, feature) > PRICE  # at most, until it is known
    judge(bench)
    assert spent(bench, feature) == PRICE


def test_the_features_day_refuses_a_judge_and_no_callers_budget_pays(
    bench: Bench, numbers: Iterator[int]
) -> None:
    version, feature = applied(bench, "shadow: {share: 1, usd_per_day: 0.06}")
    priced(bench)
    bench.one(
        "INSERT INTO budgets (account_id, scope, period, limit_usd, hard)"
        " VALUES (%s, 'account', 'day', 100, true) RETURNING id",
        bench.account,
    )
    made = jobs(bench, version, numbers, 3)
    paid = "SELECT sum(spent_usd + reserved_usd) FROM budget_periods"
    before = bench.one(paid)
    assert before > 0
    # Before it is asked each could cost about 0.04 USD, and the day holds 0.06.
    assert keep(bench) == 1
    first, *others = (judged_by(bench, job) for job in made)
    assert others == [None, None]
    bench.run(first)
    assert spent(bench, feature) == PRICE
    assert keep(bench) == 1  # what is left of the day holds one more
    assert bench.one(paid) == before
    assert bench.all("SELECT number FROM reservations WHERE job_id = %s", first) == []


def test_sweeps_at_once_spend_a_features_day_once(bench: Bench, numbers: Iterator[int]) -> None:
    version, _ = applied(bench, "shadow: {share: 1, usd_per_day: 0.06}")
    priced(bench)
    jobs(bench, version, numbers, 6)
    with ThreadPoolExecutor(6) as threads:
        assert sum(threads.map(lambda _: keep(bench), range(12))) == 1


def test_a_judge_without_a_price_is_not_asked_within_a_budget(
    bench: Bench, numbers: Iterator[int]
) -> None:
    version, _ = applied(bench, "shadow: {share: 1, usd_per_day: 5}")
    (job,) = jobs(bench, version, numbers, 1)
    judge(bench)
    assert judged_by(bench, job) is None
    priced(bench)
    judge(bench)
    assert compared(bench, job) is False


def test_a_feature_that_may_judge_no_more_today_holds_up_no_other(
    bench: Bench, numbers: Iterator[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judgements, "AT_ONCE", 2)
    stuck, _ = applied(bench, "shadow: {share: 1, usd_per_day: 5}")  # and has no price
    jobs(bench, stuck, numbers, 5)
    free, _ = applied(bench)
    (job,) = jobs(bench, free, numbers, 1)
    judge(bench)
    assert compared(bench, job) is False


def test_no_more_of_a_feature_wait_than_fill_no_queue(
    bench: Bench, numbers: Iterator[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judgements, "MOST_WAITING", 2)
    version, _ = applied(bench)
    jobs(bench, version, numbers, 5)
    assert (keep(bench), keep(bench)) == (2, 0)
    bench.run(judging(bench)[0])
    assert keep(bench) == 1
