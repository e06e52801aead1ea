"""What the API refuses, as a command's user is told."""

import httpx

from api.problems import of_error
from tierline.base.errors import InvalidInput, Problem
from tierline.cli.shared.client import problem_of


def test_how_many_more_problems_there_are_comes_over_from_the_api() -> None:
    sent = of_error(InvalidInput(Problem("is wrong", f"/{place}") for place in range(5_000)))
    got = problem_of(httpx.Response(sent.status_code, content=bytes(sent.body)))
    assert isinstance(got, InvalidInput)
    assert len(got.problems) == 20
    assert got.left_out == 4_980
    assert got.message.endswith("and 4,980 more")
