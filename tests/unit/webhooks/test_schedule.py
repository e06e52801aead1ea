"""When a webhook is tried again."""

from itertools import accumulate

import pytest

from tierline.webhooks.schedule import (
    MOST_TRIES,
    WAITS_S,
    Decision,
    DeliveryStatus,
    Met,
    after_try,
)

NEVER_ANSWERED = Met(None, "no answer within 15 s")


def test_the_tries_stand_where_the_specification_puts_them() -> None:
    waits = [after_try(n, NEVER_ANSWERED, chance=0.0).wait_s for n in range(1, MOST_TRIES)]

    hours = [seconds / 3600 for seconds in accumulate(waits)]

    assert MOST_TRIES == 10
    assert waits[:3] == [5, 300, 1800]
    assert hours[-1] == pytest.approx(75 + 35 / 60 + 5 / 3600)


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_any_2xx_is_delivered(status: int) -> None:
    assert after_try(1, Met(status)) == Decision(DeliveryStatus.DELIVERED)


@pytest.mark.parametrize("status", [None, 101, 301, 302, 307, 400, 401, 404, 429, 500, 502, 503])
def test_all_else_is_tried_again(status: int | None) -> None:
    decision = after_try(1, Met(status, "…"))

    assert decision.status is DeliveryStatus.PENDING
    assert 5.0 <= decision.wait_s <= 5.5


def test_gone_fails_and_disables_at_the_first_try() -> None:
    assert after_try(1, Met(410)) == Decision(DeliveryStatus.FAILED, disable=True)


def test_the_last_try_is_the_last() -> None:
    assert after_try(MOST_TRIES - 1, Met(500)).status is DeliveryStatus.PENDING
    assert after_try(MOST_TRIES, Met(500)) == Decision(DeliveryStatus.FAILED)
    assert after_try(MOST_TRIES, Met(200)).status is DeliveryStatus.DELIVERED


def test_a_wait_is_at_most_a_tenth_longer() -> None:
    assert after_try(3, Met(500), chance=1.0).wait_s == pytest.approx(WAITS_S[2] * 1.1)


def test_a_later_retry_after_is_obeyed_and_an_earlier_one_changes_nothing() -> None:
    assert after_try(1, Met(503, None, 120.0), chance=0.0).wait_s == 120.0
    assert after_try(2, Met(503, None, 1.0), chance=0.0).wait_s == 300.0


def test_a_retry_after_of_a_year_is_cut_to_a_day() -> None:
    assert after_try(1, Met(503, None, 365 * 86_400.0)).wait_s == 86_400.0
