"""Checks in a worker know when the job was submitted."""

import json

import pytest

from tests.support.database.rows import add_feature
from tests.support.scenes.bench import Bench
from tierline.features.parse import parse_feature

FEATURE = """
feature: dates-{number}
instructions: Give the date.
input: {{type: object, required: [text], properties: {{text: {{type: string}}}}}}
output:
  type: object
  required: [date]
  properties: {{date: {{type: string, format: date}}}}
checks: [{{grounded: [date]}}]
tiers: [{{name: slm, models: [openai:small]}}]
"""


@pytest.mark.parametrize(
    ("answer", "verdict"), [("2018-02-20", "passed"), ("2118-02-20", "ungrounded")]
)
def test_a_year_of_two_digits_is_near_the_jobs_creation(
    bench: Bench, answer: str, verdict: str
) -> None:
    feature = parse_feature(FEATURE.format(number=next(bench.numbers)))
    with bench.pool.connection() as connection:
        version = add_feature(connection, feature)
    bench.server.answer = lambda body: json.dumps({"date": answer})
    job = bench.submit(version, "paid on 20/02/18")
    bench.run(job)
    assert bench.verdicts(job) == [verdict]
