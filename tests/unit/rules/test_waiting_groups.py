"""What a dispatcher remembers of the groups that wait."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tierline.rules.scheduling import Turns, in_turn
from tierline.rules.waiting_groups import GroupKey, Kind, WaitingGroups

SLM, FRONTIER = Kind(1, "slm"), Kind(1, "frontier")
NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)


def at(seconds: int) -> datetime:
    return NOON + timedelta(seconds=seconds)


def test_a_groups_mark_is_the_earliest_time_that_was_seen() -> None:
    groups = WaitingGroups()
    key = GroupKey(7, SLM)
    for seconds in (5, 3, 9):
        groups.arrived(key, at(seconds))
    assert groups.mark(key) == at(3)
    groups.begins(key, at(8))
    assert groups.mark(key) == at(8)
    groups.arrived(key, at(4))  # its transaction was committed late
    assert groups.mark(key) == at(4)


def test_an_empty_group_is_forgotten_until_a_job_arrives() -> None:
    groups = WaitingGroups()
    key = GroupKey(7, SLM)
    groups.arrived(key, at(1))
    groups.is_empty(key)
    groups.is_empty(key)
    assert not groups
    assert groups.kinds() == []
    groups.begins(key, at(2))  # a look that began before
    assert not groups
    groups.arrived(key, at(3))
    assert groups.kinds() == [SLM]
    assert groups.mark(key) == at(3)


KEYS = st.builds(GroupKey, st.integers(1, 9), st.sampled_from([SLM, FRONTIER]))
ACTS = st.lists(st.tuples(st.sampled_from(["arrived", "empty", "begins"]), KEYS, st.integers(0, 9)))


@given(st.dictionaries(KEYS, st.integers(0, 9)), ACTS, st.integers(0, 10), st.integers(0, 2))
def test_accounts_come_in_the_order_of_their_turns(
    scanned: dict[GroupKey, int], acts: list[tuple[str, GroupKey, int]], turn: int, left: int
) -> None:
    groups = WaitingGroups()
    groups.replace((key, at(seconds)) for key, seconds in scanned.items())
    there = set(scanned)
    for act, key, seconds in acts:
        match act:
            case "arrived":
                groups.arrived(key, at(seconds))
                there.add(key)
            case "empty":
                groups.is_empty(key)
                there.discard(key)
            case _:
                groups.begins(key, at(seconds))
    turns = Turns(turn, left)
    assert len(groups) == len(there)
    assert set(groups.kinds()) == {key.kind for key in there}
    for kind in (SLM, FRONTIER):
        accounts = [key.account_id for key in there if key.kind == kind]
        assert groups.count(kind) == len(accounts)
        expected = sorted(accounts, key=lambda account_id: in_turn(account_id, turns))
        assert list(groups.in_turn(kind, turns)) == expected
