"""The first minutes of a real service's hour, sped up, against `tierline up`: nothing is leaked.

The short form of `python -m benchmarks.trace`, which also judges the memory over the whole hour.
"""

from pathlib import Path

import pytest

from benchmarks.trace.__main__ import FEW, most_left, run
from benchmarks.trace.asks import TRACE, read_mark, read_trace
from tests.support.processes.prepared_home import MakeHome

SPEED = 10.0


@pytest.mark.skipif(not TRACE.is_file(), reason=f"no trace at {TRACE}")
@pytest.mark.parametrize(
    ("requests", "first"), [(360, 180), pytest.param(900, 300, marks=pytest.mark.nightly)]
)
def test_a_real_services_requests_all_end_and_leave_nothing_open(
    tmp_path: Path, make_home: MakeHome, requests: int, first: int
) -> None:
    found = run(make_home(tmp_path / "home"), read_trace(TRACE, requests), SPEED, first, FEW)
    assert found.accepted == requests
    assert found.ended == requests
    assert found.announced == found.hooks > 0
    assert most_left(found) <= FEW, found.left


@pytest.mark.skipif(not TRACE.is_file(), reason=f"no trace at {TRACE}")
def test_a_prompt_of_the_trace_is_as_long_as_it_was_and_says_what_its_answer_is_to_be() -> None:
    (first, second) = read_trace(TRACE, 2)
    assert (first.at_s, second.at_s) == (0.0, pytest.approx(4.314579))
    assert (second.tokens_in, second.tokens_out) == (396, 109)
    assert abs(len(second.text) / 4 - 396) < 2
    assert read_mark(f"before {second.text}") == (1, 396, 109)
