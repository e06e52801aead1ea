"""A problem's answer is short, whatever was sent and however much of it is wrong."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from psycopg_pool import PoolTimeout

from api.http.problems import MOST_BYTES, Refused, of_error, problem
from tierline.base.errors import MOST_PROBLEMS, FeatureError, InvalidInput, Problem


def told(error: Exception) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(bytes(of_error(error).body))
    return document


def test_twenty_problems_are_told_and_how_many_more_there_are() -> None:
    answer = told(InvalidInput(Problem("is wrong", f"/{place}") for place in range(5_000)))
    assert [one["path"] for one in answer["errors"]] == [f"/{n}" for n in range(MOST_PROBLEMS)]
    assert answer["errors_left_out"] == 4_980
    assert answer["detail"].endswith("; and 4,980 more")


def test_an_answer_that_tells_all_says_nothing_of_more() -> None:
    answer = told(FeatureError([Problem("is wrong", line=3)] * MOST_PROBLEMS))
    assert len(answer["errors"]) == MOST_PROBLEMS
    assert "errors_left_out" not in answer
    assert "more" not in answer["detail"]


def test_those_that_were_not_written_down_are_counted_as_well() -> None:
    answer = told(InvalidInput([Problem("is wrong")] * 21, left_out=7))
    assert answer["errors_left_out"] == 8


def test_too_few_connections_are_not_called_a_database_that_is_away() -> None:
    answer = told(PoolTimeout("couldn't get a connection after 2.00 sec"))
    assert answer["status"] == 503
    assert "or the API is busy" in answer["detail"]


@given(st.text(st.characters(), min_size=1, max_size=8), st.integers(1, 60_000))
def test_no_answer_is_longer_than_64_kb(unit: str, times: int) -> None:
    text = unit * times
    wrong = [Problem(text, text, line=10**9) for _ in range(50)]
    response = problem("invalid", text, wrong)
    assert len(response.body) <= MOST_BYTES
    body = json.loads(bytes(response.body))
    assert len(body["errors"]) + body["errors_left_out"] == 50
    assert len(body["errors"]) >= 1
    assert len(Refused("malformed-json", text).response().body) <= MOST_BYTES


def test_characters_that_take_six_bytes_each_take_problems_out_and_count_them() -> None:
    wrong = [Problem("\x01" * 1_000, "\x02" * 1_000)] * MOST_PROBLEMS
    body = json.loads(bytes(problem("invalid", "\x03" * 10_000, wrong).body))
    assert len(body["errors"]) + body["errors_left_out"] == MOST_PROBLEMS
    assert 0 < len(body["errors"]) < MOST_PROBLEMS
