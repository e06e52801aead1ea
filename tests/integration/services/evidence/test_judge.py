"""A judge: free text is compared by a model that does not know whose the answers are."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from tests.support.bench import Bench
from tests.support.model_server import Reply
from tests.support.rows import add_feature
from tierline.base.errors import Conflict
from tierline.base.settings import settings
from tierline.features import Feature
from tierline.features.parse import FeatureError, parse_feature
from tierline.services.calls.admission import Admission
from tierline.services.evidence.calibrations import CalibrationRequest, calibrate, draw_for_labels
from tierline.services.evidence.judge import Judges, said_same
from tierline.services.evidence.shadows import keep_references
from tierline.services.money.prices import BOOK
from tierline.services.steering.confidence_gate import ConfidenceGate
from tierline.storage.evidence import shadows

SUMMARY = """
feature: {name}
instructions: Say it in a few words.
input: {{type: object, required: [text], properties: {{text: {{type: string}}}}}}
output: {{type: string}}
comparison: {{kind: judge, model: "openai:judge", instructions: The amount has to be the same.}}
confidence: {{signal: agreement, samples: 2, threshold: calibrated}}
shadow: {{share: 1}}
tiers:
  - {{name: slm, models: [openai:small], max_tokens: 50, timeout_s: 5}}
  - {{name: frontier, models: [openai:large], max_tokens: 50, timeout_s: 5}}
"""


def number_of(text: str) -> str:
    return next(word for word in text.replace("<", " ").split() if word.isdigit())


def model(body: dict[str, Any]) -> str | Reply:
    """Both say the amount in their own words; small is wrong about what is hard, and unsure."""
    asked = body["messages"][-1]["content"]
    if body["model"] == "judge":
        first, second = asked.split("Answer A:")[1].split("Answer B:")
        return json.dumps({"same": number_of(first) == number_of(second)})
    number = int(number_of(asked))
    if body["model"] == "large":
        return f"It is {number} euros"
    return f"About {number + (body['seed'] if 'hard' in asked else 0)} euros"


@pytest.fixture(autouse=True)
def fresh(bench: Bench) -> None:
    bench.all("UPDATE outcomes SET shadow_due = false, drawn = false RETURNING seq")
    bench.server.answer = model
    look_again(bench)


def look_again(bench: Bench) -> None:
    bench.executor.tier_path.gate = ConfidenceGate(bench.pool, bench.executor.embedding)


@pytest.fixture
def numbers() -> Iterator[int]:
    return iter(range(1, 100_000))


def applied(bench: Bench) -> tuple[int, Feature]:
    feature = parse_feature(SUMMARY.format(name=f"summary-{next(bench.numbers)}"))
    with bench.pool.connection() as connection:
        return add_feature(connection, feature), feature


def jobs(bench: Bench, version: int, numbers: Iterator[int], count: int) -> list[UUID]:
    made = []
    for number, _ in zip(numbers, range(count), strict=False):
        kind = "hard" if number % 3 == 0 else "easy"
        made.append(bench.submit(version, f"an {kind} one: {number} euros"))
        bench.run(made[-1], 2)
    return made


def judges(bench: Bench) -> Judges:
    return Judges(bench.pool, Admission(bench.pool, settings()))


def judge(bench: Bench) -> None:
    judges(bench).judge_due(time.monotonic() + 60)
    keep_references(bench.pool, time.monotonic() + 30)


def compared(bench: Bench, job: UUID) -> Any:
    return bench.one("SELECT differs FROM outcomes WHERE job_id = %s", job)


def test_it_says_what_differs_and_is_asked_in_both_orders(
    bench: Bench, numbers: Iterator[int]
) -> None:
    version, feature = applied(bench)
    easy, _, hard = jobs(bench, version, numbers, 3)
    keep_references(bench.pool, time.monotonic() + 30)
    assert bench.all("SELECT noted_at FROM outcomes WHERE job_id = %s", easy) == [(None,)]
    judge(bench)
    assert (compared(bench, easy), compared(bench, hard)) == (False, True)
    asked = bench.all(
        "SELECT swapped, same, model, answered_model, cost_usd FROM judge_calls"
        " WHERE job_id = %s ORDER BY id",
        easy,
    )
    assert [row[:2] for row in asked] == [(False, True), (True, True)]
    assert {row[2:4] for row in asked} == {("openai:judge", "judge-2026")}
    assert bench.all("SELECT swapped, same FROM judge_calls WHERE job_id = %s", hard) == [
        (False, False)  # once is enough to differ
    ]
    told = [call.last_message for call in bench.server.calls if call.model == "judge"]
    assert not any(name in text for text in told for name in ("small", "large", "slm", "frontier"))
    first, second = (text for text in told if "an easy one: 1 euros" in text)
    assert first.index("About") < first.index("It is")
    assert second.index("It is") < second.index("About")
    assert feature.compared_by.model == "openai:judge"


def test_one_that_goes_by_the_order_holds_nothing_to_be_the_same(
    bench: Bench, numbers: Iterator[int]
) -> None:
    version, _ = applied(bench)
    (job,) = jobs(bench, version, numbers, 1)

    def partial(body: dict[str, Any]) -> str | Reply:
        if body["model"] != "judge":
            return model(body)
        asked = body["messages"][-1]["content"]
        return json.dumps({"same": asked.index("About") < asked.index("It is")})

    bench.server.answer = partial
    judge(bench)
    assert compared(bench, job) is True


def test_equal_answers_need_no_judge(bench: Bench, numbers: Iterator[int]) -> None:
    version, _ = applied(bench)
    bench.server.answer = lambda _: "It is  so"
    (job,) = jobs(bench, version, numbers, 1)
    judge(bench)
    assert compared(bench, job) is False
    assert bench.all("SELECT FROM judge_calls WHERE job_id = %s", job) == []


def test_of_many_that_judge_at_once_each_outcome_is_judged_once(
    bench: Bench, numbers: Iterator[int]
) -> None:
    version, _ = applied(bench)
    made = jobs(bench, version, numbers, 24)
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda _: judges(bench).judge_due(time.monotonic() + 60), range(6)))
    counts = bench.all(
        "SELECT count(*) FROM judge_calls WHERE job_id = ANY(%s) GROUP BY job_id, swapped", made
    )
    assert {count for (count,) in counts} == {1}
    unjudged = "SELECT count(*) FROM outcomes WHERE job_id = ANY(%s) AND judged_at IS NULL"
    assert bench.one(unjudged, made) == 0


def test_a_judge_that_fails_is_asked_again_later_and_given_up_in_the_end(
    bench: Bench, numbers: Iterator[int]
) -> None:
    version, _ = applied(bench)
    (job,) = jobs(bench, version, numbers, 1)
    bench.server.answer = lambda body: "I cannot say" if body["model"] == "judge" else model(body)
    for tries in (1, 2, 3):
        judge(bench)
        assert bench.one("SELECT judge_tries FROM outcomes WHERE job_id = %s", job) == tries
        bench.all(
            "UPDATE outcomes SET judge_due_at = clock_timestamp() WHERE job_id = %s RETURNING seq",
            job,
        )
    noted = "SELECT noted_at IS NOT NULL, differs FROM outcomes WHERE job_id = %s"
    assert bench.all(noted, job) == [(True, None)]


def test_what_it_costs_counts_as_its_features_shadows_do(
    bench: Bench, numbers: Iterator[int]
) -> None:
    version, feature = applied(bench)
    bench.all(
        "INSERT INTO prices (model, terms, price, since) VALUES"
        ' (\'openai:judge\', \'\', \'{"input_usd_per_mtok": "10", "output_usd_per_mtok": "40"}\','
        " clock_timestamp()) RETURNING id"
    )
    jobs(bench, version, numbers, 1)
    BOOK.forget()
    judge(bench)
    with bench.pool.connection() as connection:
        spent = shadows.spent_on_comparing(connection, feature.name)
    assert spent == Decimal(2) * (100 * Decimal(10) + 10 * Decimal(40)) / 1_000_000


def labelled(bench: Bench, feature: Feature, lies: int = 0) -> None:
    """People label a sample; they find the first `lies` of it wrong."""
    with bench.pool.connection() as connection:
        drawn = draw_for_labels(connection, feature.name, 5_000)
        for place, one in enumerate(drawn):
            said = "something else" if place < lies else one["answer"]
            connection.execute(
                "INSERT INTO feedback (job_id, account_id, expected) VALUES (%s, %s, %s)",
                (one["job_id"], bench.account, json.dumps(said)),
            )


def test_without_labels_of_people_its_word_promises_nothing(
    bench: Bench, numbers: Iterator[int]
) -> None:
    version, feature = applied(bench)
    jobs(bench, version, numbers, 60)
    judge(bench)
    with bench.pool.connection() as connection, pytest.raises(Conflict) as refused:
        calibrate(connection, feature.name, CalibrationRequest(0.3, 0.95))
    assert "nothing can be promised by the word of openai:judge" in str(refused.value)
    assert "feedback sample" in str(refused.value)


def test_with_labels_its_own_error_is_part_of_the_promise(
    bench: Bench, numbers: Iterator[int]
) -> None:
    version, feature = applied(bench)
    jobs(bench, version, numbers, 180)
    judge(bench)
    labelled(bench, feature)
    with bench.pool.connection() as connection:
        made = calibrate(connection, feature.name, CalibrationRequest(0.2, 0.95))
    assert made["state"] == "in_force"
    assert made["judge"]["model"] == "openai:judge"
    assert (made["judge"]["samples"], made["judge"]["wrong"]) == (120, 0)
    assert 0.0 < made["judge"]["missed"] < 0.05
    assert made["bound"] < 0.2 - made["judge"]["missed"]  # what it sees to differ has less room


def test_a_judge_that_people_find_wrong_too_often_promises_nothing(
    bench: Bench, numbers: Iterator[int]
) -> None:
    version, feature = applied(bench)
    jobs(bench, version, numbers, 90)
    judge(bench)
    labelled(bench, feature, lies=60)
    with bench.pool.connection() as connection, pytest.raises(Conflict, match="were wrong"):
        calibrate(connection, feature.name, CalibrationRequest(0.2, 0.95))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"same": true}', True),
        ('Sure: {"same": false}.', False),
        ("yes", None),
        ('{"same": "yes"}', None),
        ("[]", None),
    ],
)
def test_only_what_it_was_asked_for_is_read(text: str, said: bool | None) -> None:
    assert said_same(text) is said


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("{kind: judge}", "give it as model: provider:model"),
        ("{kind: judge, model: judge}", "a model is named provider:model"),
        ('{kind: judge, model: "class:small"}', "one exact model"),
        ("{kind: fields, fields: {a: {kind: judge}}}", "must be exact or"),
    ],
)
def test_a_mistake_in_the_file_is_told_with_its_line(given: str, said: str) -> None:
    text = SUMMARY.format(name="summary")
    start = text.index("comparison: ")
    text = text[:start] + f"comparison: {given}\n" + text[text.index("confidence: ") :]
    with pytest.raises(FeatureError) as caught:
        parse_feature(text, "f.yaml")
    assert any(said in one.message for one in caught.value.problems), caught.value.problems
    assert all(one.line for one in caught.value.problems)
