"""What is remembered, and what is forgotten for it."""

from tierline.base.recent import CachedByIdentity, Recent


def test_what_was_used_longest_ago_is_forgotten_first() -> None:
    recent: Recent[str, int] = Recent(2)
    assert recent.keep("a", 1) == 1
    recent.keep("b", 2)
    assert recent.get("a") == 1
    recent.keep("c", 3)
    assert [recent.get(key) for key in "abc"] == [1, None, 3]


def test_a_value_that_is_kept_again_takes_no_other_ones_place() -> None:
    recent: Recent[str, int] = Recent(2)
    recent.keep("a", 1)
    recent.keep("b", 2)
    recent.keep("a", 3)
    assert [recent.get(key) for key in "ab"] == [3, 2]


def test_what_is_made_of_an_object_is_made_once_for_it_and_again_for_an_equal_one() -> None:
    made: list[dict[str, int]] = []

    def make(thing: dict[str, int]) -> int:
        made.append(thing)
        return thing["a"]

    of_same = CachedByIdentity(make, most=2)
    first, equal = {"a": 1}, {"a": 1}
    assert [of_same(first), of_same(first), of_same(equal), of_same(equal)] == [1, 1, 1, 1]
    assert len(made) == 2
    of_same({"a": 3})
    assert of_same(first) == 1  # it was forgotten
    assert len(made) == 4
