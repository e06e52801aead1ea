"""How much of a shared thing one network address may use."""

import pytest

from tierline.rules import address_turns
from tierline.rules.address_turns import AT_ONCE, SECONDS, WINDOW_S, AddressTurns, network_of


def test_an_address_has_a_few_turns_at_once_and_others_have_their_own() -> None:
    turns = AddressTurns()
    assert [turns.begin("a", 0.0) for _ in range(AT_ONCE + 1)] == [True] * AT_ONCE + [False]
    assert turns.begin("b", 0.0)
    turns.end("a", 0.1, 0.1)
    assert turns.begin("a", 0.1)


def test_an_address_that_used_up_its_seconds_waits_until_they_are_back() -> None:
    turns = AddressTurns()
    turns.begin("a", 0.0)
    turns.end("a", SECONDS, 0.0)
    assert not turns.begin("a", 0.0)
    assert turns.begin("b", 0.0)
    assert turns.begin("a", 1.0), "a part of the seconds is back"
    turns.end("a", SECONDS, 1.0)
    assert not turns.begin("a", 10.0)
    assert turns.begin("a", WINDOW_S + 2.0)


def test_a_bounded_number_of_addresses_is_remembered_those_with_a_turn_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(address_turns, "MOST_ADDRESSES", 3)
    turns = AddressTurns()
    assert all(turns.begin("busy", 0.0) for _ in range(AT_ONCE))
    for number in range(10):
        assert turns.begin(str(number), 0.0)
        turns.end(str(number), 1.0, 0.0)
    assert len(turns) <= 3
    assert not turns.begin("busy", 0.0)


@pytest.mark.parametrize(
    ("peer", "forwarded", "proxies", "network"),
    [
        ("192.0.2.1", "", 0, "192.0.2.1"),
        ("192.0.2.1", "192.0.2.9", 0, "192.0.2.1"),  # nobody vouches for the header
        ("127.0.0.1", "192.0.2.9", 1, "192.0.2.9"),
        ("127.0.0.1", "192.0.2.66, 192.0.2.9", 1, "192.0.2.9"),
        ("127.0.0.1", "192.0.2.66, 192.0.2.9, 192.0.2.2", 2, "192.0.2.9"),
        ("127.0.0.1", "192.0.2.9", 2, "127.0.0.1"),  # it came past a proxy
        ("127.0.0.1", "192.0.2.9:5555", 1, "192.0.2.9"),
        ("127.0.0.1", "[2001:db8:1:2::3]:99", 1, "2001:db8:1:2::/64"),
        ("127.0.0.1", "", 1, "127.0.0.1"),
        ("::ffff:192.0.2.1", "", 0, "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "", 0, "2001:db8:1:2::/64"),
        ("127.0.0.1", "unknown", 1, "unknown"),
    ],
)
def test_whose_turns_they_are(peer: str, forwarded: str, proxies: int, network: str) -> None:
    assert network_of(peer, forwarded, proxies) == network
