"""A table keeps to its width: columns are cut or left out, the least important first."""

from hypothesis import given
from hypothesis import strategies as st

from tierline.cli.shared.fitting import GAP, Column, cut, fitted

ID = Column(longest=36, least=None, rank=0)
FEATURE = Column(longest=20, least=12, rank=0)
STATUS = Column(longest=11, least=None, rank=0)
TIER = Column(longest=8, least=None, rank=1)
NOTE = Column(longest=60, least=12, rank=3)


def test_where_there_is_room_everything_is_shown_whole() -> None:
    assert fitted([ID, FEATURE, STATUS, TIER, NOTE], 200) == [36, 20, 11, 8, 60]


def test_the_highest_rank_is_left_out_first_and_the_rest_is_cut() -> None:
    assert fitted([ID, FEATURE, STATUS, TIER, NOTE], 80) == [36, 19, 11, 8, None]
    assert fitted([ID, FEATURE, STATUS, TIER, NOTE], 70) == [36, 19, 11, None, None]


def test_what_is_always_shown_stays_without_room() -> None:
    assert fitted([ID, FEATURE, STATUS], 40) == [36, 12, 11]


def test_a_text_that_is_cut_says_so() -> None:
    assert (cut("abcdef", 6), cut("abcdef", 5), cut("ab", 1)) == ("abcdef", "abcd…", "…")


columns = st.builds(
    Column,
    longest=st.integers(1, 60),
    least=st.none() | st.integers(1, 20),
    rank=st.integers(0, 4),
)


@given(st.lists(columns, min_size=1, max_size=8), st.integers(1, 200))
def test_a_table_is_no_wider_than_asked_unless_nothing_more_can_go(
    given_columns: list[Column], width: int
) -> None:
    widths = fitted(given_columns, width)
    shown = [one for one in widths if one is not None]
    total = sum(shown) + GAP * (len(shown) - 1)
    pairs = list(zip(given_columns, widths, strict=True))
    for column, width_shown in pairs:
        if width_shown is not None:
            assert width_shown <= column.longest
            assert column.least is not None or width_shown == column.longest
    if total > width:
        assert all(column.rank == 0 for column, width_shown in pairs if width_shown is not None)
