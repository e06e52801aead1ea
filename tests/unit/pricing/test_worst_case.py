"""What is reserved for a call is never less than what it can cost."""

from decimal import Decimal

from tierline.base.usage import Usage
from tierline.pricing import FREE, LongContext, Price, cost_usd
from tierline.pricing.worst_case import most_input_tokens, worst_case_usd

ONE, TWO, FOUR = Decimal(1), Decimal(2), Decimal(4)
PLAIN = Price(ONE, FOUR, Decimal("0.1"))
WRITES = Price(ONE, FOUR, Decimal("0.1"), Decimal("1.25"), TWO)


def test_input_costs_its_dearest_rate_and_output_all_that_may_be_written() -> None:
    assert worst_case_usd(PLAIN, 1_000_000, 500_000, 5.0) == Decimal(3)
    assert worst_case_usd(WRITES, 1_000_000, 500_000, 5.0) == Decimal(4)


def test_a_prompt_that_may_be_long_costs_the_long_ones_rate() -> None:
    stepped = Price(ONE, FOUR, ONE, long_context=(LongContext(1_000, WRITES),))
    assert worst_case_usd(stepped, 1_000, 0, 5.0) == Decimal("0.001")
    assert worst_case_usd(stepped, 1_001, 0, 5.0) == Decimal("0.002002")


def test_a_server_by_the_hour_costs_the_whole_time_that_the_call_may_take() -> None:
    assert worst_case_usd(Price(*[Decimal(0)] * 2, usd_per_hour=ONE), 9, 9, 36.0) == Decimal("0.01")


def test_a_model_that_is_free_reserves_nothing() -> None:
    assert worst_case_usd(FREE, 10**6, 10**6, 60.0) == 0


def test_no_split_of_the_tokens_into_kinds_costs_more() -> None:
    sent = most_input_tokens(5_000)
    most = worst_case_usd(WRITES, sent, 300, 5.0)
    for cached, for_5m, for_1h in ((0, 0, 0), (sent, 0, 0), (0, sent, 0), (0, 0, sent), (9, 9, 9)):
        usage = Usage(sent - cached - for_5m - for_1h, 100, cached, for_5m, for_1h, 200)
        cost = cost_usd(usage, WRITES, 5.0)
        assert cost is not None
        assert cost <= most
