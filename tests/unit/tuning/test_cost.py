"""What a training costs, and when it has paid for itself."""

from decimal import Decimal

import pytest

from tierline.tuning.cost import Estimate, cost, estimate, payback_days


def test_tokens_go_by_the_length_of_the_file_and_by_epochs() -> None:
    assert estimate(4_000_000, 3, Decimal("1.50")) == Estimate(3_000_000, Decimal("4.50"))
    assert estimate(5, 1, None) == Estimate(2, None)
    with pytest.raises(ValueError, match="at least one epoch"):
        estimate(100, 0, None)


def test_it_pays_back_once_the_savings_are_what_it_cost() -> None:
    assert cost(2_000_000, Decimal(25)) == 50
    assert cost(1, None) is None
    assert payback_days(Decimal(50), Decimal(20)) == Decimal("2.5")
    with pytest.raises(ValueError, match="never pays back"):
        payback_days(Decimal(50), Decimal(0))
