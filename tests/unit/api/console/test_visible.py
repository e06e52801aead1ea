"""What a template writes for texts of strangers."""

import pytest
from markupsafe import Markup

from api.console.visible import cut, finalize, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 漢 🙂", "plain é 漢 🙂"),
        ("a\tb\r\nc\nd", "a\tb\nc\nd"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("abc\u202egnp.exe", "abc\\u202egnp.exe"),
        ("\u2066x\u2069", "\\u2066x\\u2069"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("bell\x07 nul\x00", "bell\\x07 nul\\x00"),
        ("half \ud800", "half \\ud800"),
        ("\rover", "\\x0dover"),
    ],
)
def test_hidden_characters_are_shown_by_their_codes(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert finalize(text) == shown


def test_marks_of_the_templates_own_and_numbers_stay() -> None:
    assert finalize(Markup("<b>\u202e</b>")) == "<b>\u202e</b>"
    assert finalize(5) == 5


def test_a_long_text_is_cut_and_says_how_much_is_left_out() -> None:
    assert cut("x" * 25, 20) == ("x" * 20, 5)
    assert cut("short") == ("short", 0)
