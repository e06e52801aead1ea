"""Signals of an answer that passed."""

import pytest

from tierline.checks.signals import LONGEST_INPUT, signals_of


@pytest.mark.parametrize(
    ("output", "share"),
    [
        ({"number": "A-17", "total": 12.5}, 1.0),
        ({"number": "A-18", "total": 12.5}, 0.5),
        ({"lines": ["A-17", "B-9"], "paid": True}, 0.5),
    ],
)
def test_the_share_of_values_that_stand_in_the_input(output: object, share: float) -> None:
    signals = signals_of({"text": "Invoice A-17, 12,50 EUR"}, output, repaired=False)
    assert signals["grounded"] == share
    assert signals["repaired"] == 0.0


def test_an_answer_without_values_has_no_such_signal() -> None:
    assert "grounded" not in signals_of({"text": "x"}, {"paid": None, "open": True}, repaired=True)


def test_in_a_very_long_input_nothing_is_looked_up() -> None:
    signals = signals_of("x" * LONGEST_INPUT, "x", repaired=False)
    assert set(signals) == {"input_length", "output_length", "repaired"}
