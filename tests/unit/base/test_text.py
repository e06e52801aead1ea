"""Text in one form for comparing: what Unicode says, whatever the length, and in linear time."""

import sys
import time
import unicodedata
from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tierline.base import text as text_module
from tierline.base.text import BLOCKS, MOST_MARKS, folded, slices

ACCENTS = "\u0301\u0327"  # in this order, so that normalising has to change them


def plain(text: str) -> str:
    """What `folded` gives for text without long runs of marks."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("STRASSE", "straße"),
        ("e\u0301", "É"),
        ("ﬁn", "FIN"),
        ("１２", "12"),
        ("a\u0327\u0301", "A" + ACCENTS),
        ("ｶﾞ", "ガ"),
    ],
)
def test_texts_that_read_the_same_are_the_same(one: str, other: str) -> None:
    assert folded(one) == folded(other)


@settings(max_examples=300, deadline=None)
@given(
    st.text(
        st.sampled_from(
            [
                *map(chr, range(0x20, 0x250)),
                *map(chr, range(0x300, 0x370)),
                *map(chr, range(0x900, 0xE00)),
                *map(chr, range(0x1100, 0x1200)),
                *map(chr, range(0xAC00, 0xAC20)),
                *map(chr, range(0xFF61, 0xFFA0)),
                *map(chr, range(0x11080, 0x11140)),
                *map(chr, range(0x1D15E, 0x1D170)),
            ]
        ),
        max_size=MOST_MARKS,
    )
)
def test_slices_change_nothing_in_what_unicode_says(text: str) -> None:
    before = text_module.SLICE
    text_module.SLICE = 2
    try:
        assert folded(text) == plain(text)
        assert "".join(slices(text)) == text
    finally:
        text_module.SLICE = before


def test_no_character_outside_the_blocks_is_a_mark_or_joins_what_is_before() -> None:
    """The patterns are made from two planes; a newer Unicode may need more."""
    known = set(chain(*BLOCKS))
    others = [chr(one) for one in range(sys.maxunicode + 1) if one not in known]
    assert [one for one in others if unicodedata.combining(one)] == []
    parted = {one for one in others if unicodedata.decomposition(one)}
    # Ideographs of older lists: each is another ideograph, which nothing joins.
    assert {unicodedata.normalize("NFKD", one)[0] for one in parted} <= set(
        map(chr, (*range(0x3400, 0xA000), *range(0x20000, 0x30000)))
    )


def test_a_run_of_marks_is_cut_by_a_joiner_and_stays_different_from_a_shorter_one() -> None:
    run = "a" + "\u0301" * 100
    assert folded(run).count("\u034f") == 3
    assert folded(run) != folded(run[:-1])


@pytest.mark.parametrize("mark", [ACCENTS, "\uff9e\u0327", "\u0f75\u0301", "\U0001d165\u0301"])
def test_a_body_of_unordered_marks_takes_time_by_its_length(mark: str) -> None:
    def seconds(size: int) -> float:
        text = "a" + mark * size
        begun = time.thread_time()
        folded(text)
        return time.thread_time() - begun

    folded("é" + mark)  # the patterns are made once
    short, long = (min(seconds(size) for _ in range(3)) for size in (20_000, 160_000))
    assert long < 40 * short + 0.05  # by the square it would be 64 times
    assert long < 1.0
