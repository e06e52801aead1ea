"""Rows of a part that do not fit: each keeps as many problems as somebody reads."""

import json

from tests.support.samples.features import INVOICE
from tierline.base.errors import MOST_PROBLEMS
from tierline.features.parse import parse_feature
from tierline.services.batches.read_rows import read_rows


def test_a_row_of_thousands_of_unknown_fields_keeps_twenty_problems_and_how_many_more() -> None:
    row = {"custom_id": "a", "input": {}, **{f"field{place:04}": 1 for place in range(5_000)}}
    good, bad = read_rows(parse_feature(INVOICE), json.dumps(row).encode())
    assert good == []
    (problems,) = (one.problems for one in bad)
    assert len(problems) == MOST_PROBLEMS + 1
    assert problems[-1].message == "and 4,980 more"
