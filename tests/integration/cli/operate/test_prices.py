"""`tierline prices` against a real API."""

import json

import pytest

from tests.support.cli import Tierline


def test_a_price_is_set_and_listed(tierline: Tierline) -> None:
    ran = tierline(
        *("prices", "set", "openai:listed", "--input", "0.10", "--output", "0.40"),
        *("--service-tier", "flex", "--note", "by contract"),
    )
    assert ran.code == 0, ran.err
    assert "openai:listed (flex) costs $0.10 in and $0.40 out per million tokens" in ran.out
    listed = tierline("prices", "list")
    assert "by contract" in listed.out
    assert "genai-prices" in listed.err
    answer = json.loads(tierline("prices", "list", "openai:listed", "--json").out)
    assert [one["service_tier"] for one in answer["data"]] == ["flex"]


def test_a_price_by_the_hour_says_what_it_comes_to(tierline: Tierline) -> None:
    ran = tierline("prices", "set", "local:hourly", "--per-hour", "1.80", "--tokens-per-s", "1000")
    assert "costs $0.500000 in and $0.500000 out per million tokens" in ran.out


def test_a_price_is_withdrawn(tierline: Tierline) -> None:
    ran = tierline("prices", "set", "openai:gone", "--withdraw", "--json")
    assert json.loads(ran.out)["price"] is None


@pytest.mark.parametrize(
    "said",
    [
        ("openai:x",),
        ("openai:x", "--input", "0.1"),
        ("openai:x", "--input", "cheap", "--output", "1"),
        ("openai:x", "--input", "-1", "--output", "1"),
        ("openai:x", "--per-hour", "1", "--input", "1"),
        ("openai:x", "--withdraw", "--per-hour", "1"),
        ("gpt-5", "--input", "1", "--output", "1"),
        ("openai:x", "--input", "1", "--output", "1", "--since", "tomorrow"),
    ],
)
def test_what_cannot_be_a_price_is_one_line_and_exit_code_2(
    tierline: Tierline, said: tuple[str, ...]
) -> None:
    ran = tierline("prices", "set", *said)
    assert ran.code == 2, ran.err
    assert ran.out == ""
    assert len(ran.err.strip().splitlines()) <= 2
    assert "Traceback" not in ran.err
