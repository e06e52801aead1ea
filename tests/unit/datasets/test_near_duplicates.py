"""Duplicates, exact and near, stand together, and on one side of a split."""

import random

from tierline.datasets.near_duplicates import groups
from tierline.datasets.split import sides

WORDS = (
    *("account", "card", "fee", "limit", "refund", "transfer"),
    *("charge", "invoice", "pending", "order", "street", "city"),
)


def texts(count: int, seed: int = 1) -> list[str]:
    draw = random.Random(seed)
    return [f"{' '.join(draw.choices(WORDS, k=9))} {draw.randrange(10**9)}" for _ in range(count)]


def test_case_width_and_blanks_make_no_other_text() -> None:
    assert groups(["My card is lost", "my  CARD is lost ", "My card was stolen"]) == [0, 0, 2]


def test_a_word_more_is_a_near_duplicate_and_another_text_is_none() -> None:
    originals = texts(300)
    changed = [f"{text} please" for text in originals]
    group_of = groups([*originals, *changed])
    assert group_of[:300] == list(range(300))
    assert sum(group_of[300 + place] == place for place in range(300)) >= 295


def test_what_is_like_what_is_like_it_is_of_one_group() -> None:
    text = texts(1)[0] * 2
    chain = [text, f"{text} now", f"{text} now please", f"{text} now please thank you"]
    assert groups(chain) == [0, 0, 0, 0]


def test_short_and_empty_texts_are_compared_too() -> None:
    assert groups(["", "a", "a", "", "b"]) == [0, 1, 1, 0, 4]
    assert groups([]) == []


def test_no_group_stands_on_two_sides_and_the_sides_have_their_shares() -> None:
    originals = texts(2_000)
    rows = [*originals, *(f"{text} please" for text in originals)]
    group_of = groups(rows)
    side = sides([f"{place:08d}" for place in range(len(rows))], group_of)
    for place, group in enumerate(group_of):
        assert side[place] == side[group]
    assert 0.55 < side.count("train") / len(side) < 0.65
    assert 0.15 < side.count("calibration") / len(side) < 0.25


def test_a_row_keeps_its_side_when_others_come() -> None:
    before = texts(500)
    keys = [f"{place:08d}" for place in range(1_000)]
    first = sides(keys[:500], groups(before))
    more = [*before, *texts(500, seed=2)]
    assert sides(keys, groups(more))[:500] == first
