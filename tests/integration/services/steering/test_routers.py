"""Routing by complexity: before the first tier is asked, by rules and by a trained router."""

from typing import Any

import pytest

from tests.support.database.rows import add_calibration
from tests.support.scenes.bench import RIGHT, Bench, by_model
from tierline.base.errors import Conflict, InvalidInput
from tierline.base.json_text import digest_of
from tierline.routing.learned.gain_training import train_gain
from tierline.routing.learned.router_training import LoggedRows
from tierline.routing.learned.trained import again, from_parts, predict, to_parts
from tierline.routing.thresholds.promise import fits_scores
from tierline.services.evidence.calibration.calibration_outcomes import draw_for_labels
from tierline.services.evidence.calibration.calibrations import withdraw
from tierline.services.evidence.labels.feedback import AnswerFeedback, give_feedback
from tierline.services.jobs.running.decision_log import decisions_of
from tierline.services.steering.confidence_gate import ConfidenceGate
from tierline.services.steering.routers import Routers
from tierline.services.training.artefacts import Trained, routers_of, withdraw_router
from tierline.services.training.routers import add_uploaded, training_data
from tierline.views.training.steering import Router, TrainingRow

COMPLEX = "complexity: {max_risk: 0.5, longest: 200}"
CALIBRATED = f"{COMPLEX}\nconfidence: {{signal: agreement, samples: 2, threshold: calibrated}}"
# Long texts are expected to fail: log odds of being right fall with the logarithm of the length.
SHORT_IS_RIGHT = {
    "intercept": 0.0,
    "terms": {"log_length": {"mean": 4.0, "scale": 0.5, "weight": -3.0}},
}
LONG = "and so on, " * 12  # 132 characters: a router's business, not the rule's


def kept(bench: Bench, name: str, document: dict[str, Any] = SHORT_IS_RIGHT) -> Router:
    with bench.pool.connection() as connection:
        trained = Trained(100, 50, "0" * 64, {"auroc": 0.8}, document, None)
        made = add_uploaded(connection, name, trained)
    bench.executor.tier_path.routers = Routers(bench.pool, bench.executor.embedding)
    return made


@pytest.fixture(autouse=True)
def answers(bench: Bench) -> None:
    bench.server.answer = by_model(small=RIGHT, large=RIGHT)
    bench.executor.tier_path.routers = Routers(bench.pool, bench.executor.embedding)


def asked(bench: Bench, job: Any) -> list[str]:
    """The models that were really called for a job."""
    rows = bench.all(
        "SELECT model FROM calls WHERE job_id = %s AND error IS NULL ORDER BY attempt, number", job
    )
    return [model for (model,) in rows]


def test_a_cold_start_goes_by_the_rule_of_length(bench: Bench) -> None:
    version, _ = bench.apply(COMPLEX)
    short, long = bench.submit(version, "it costs 12.50"), bench.submit(version, "x" * 300)
    bench.run(short)
    bench.run(long, 2)
    assert asked(bench, short) == ["openai:small"]
    assert asked(bench, long) == ["openai:large"]
    assert bench.verdicts(long) == ["too_complex", "passed"]
    assert bench.calls(long)[0] == ("answer", "openai:small", 0)
    with bench.pool.connection() as connection:
        first, second = decisions_of(connection, bench.account, long).decisions
    assert (first.policy, first.threshold) == ("complexity", 0.5)
    assert first.signals["by"] == "rules"
    assert second.reason.startswith("escalated: too_complex: the rules expect it to fail")


def test_a_trained_router_sends_what_would_fail_to_the_next_tier(bench: Bench) -> None:
    version, feature = bench.apply(COMPLEX)
    made = kept(bench, feature.name)
    short, long = bench.submit(version, "it costs 12.50"), bench.submit(version, LONG)
    bench.run(short)
    bench.run(long, 2)
    assert asked(bench, short) == ["openai:small"]
    assert asked(bench, long) == ["openai:large"]
    with bench.pool.connection() as connection:
        first = decisions_of(connection, bench.account, long).decisions[0]
    assert first.signals["by"] == f"router {made.id}"
    risk = again(from_parts(SHORT_IS_RIGHT, None), first.signals)
    assert risk == first.signals["risk"] > first.threshold


def test_what_is_trained_on_the_gain_is_what_serves(bench: Bench) -> None:
    """Texts with digits are mended by a later tier; the stored decision can be computed again."""
    version, feature = bench.apply(COMPLEX)
    texts = [("7 " if place % 2 else "word ") * (10 + place % 7) for place in range(120)]
    rows = LoggedRows(texts, [place % 2 == 0 or place % 9 == 0 for place in range(120)])
    trained = train_gain(rows.gain_rows())
    made = kept(bench, feature.name, to_parts(trained)[0])
    plain, digits = bench.submit(version, "word " * 12), bench.submit(version, "7 " * 12)
    bench.run(plain)
    bench.run(digits, 2)
    assert asked(bench, plain) == ["openai:small"]
    assert asked(bench, digits) == ["openai:large"]
    with bench.pool.connection() as connection:
        first = decisions_of(connection, bench.account, digits).decisions[0]
    assert first.signals["by"] == f"router {made.id}"
    assert first.signals["digits"] == 0.5
    document = bench.one("SELECT document, id FROM routers WHERE id = %s", made.id)[0]
    risk = again(from_parts(document, None), first.signals)
    assert risk == first.signals["risk"] > first.threshold
    assert predict(trained, "7 " * 12, None, "").risk == pytest.approx(risk)


def test_the_log_says_what_a_step_costs_and_how_many_inputs_a_row_stands_for(bench: Bench) -> None:
    version, feature = bench.apply(COMPLEX)
    bench.server.answer = by_model(small="no idea", large=RIGHT)
    failed = bench.submit(version, "it costs 1")
    bench.run(failed, 2)
    bench.server.answer = by_model(small=RIGHT, large=RIGHT)
    served = bench.submit(version, "it costs 2")
    bench.run(served)
    with bench.pool.connection() as connection:
        connection.execute(
            "UPDATE calls SET cost_usd = 0.001 * attempt * attempt WHERE job_id = ANY(%s)",
            ([failed, served],),
        )
        connection.execute(
            "INSERT INTO outcomes (job_id, attempt, feature, recipe, fingerprint, models, signals,"
            " served, inclusion, drawn, differs, repeated)"
            " VALUES (%s, 1, %s, 'r', 'f', 'm', '{}', true, 0.02, true, false, false)",
            (served, feature.name),
        )
    with bench.pool.connection() as connection:
        rows = {row.job_id: row for row in training_data(connection, feature.name)}
    assert (rows[failed].stands_for, rows[served].stands_for) == (1.0, 50.0)
    assert rows[failed].step_usd == pytest.approx(0.003)
    assert rows[served].step_usd is None


def test_a_withdrawn_router_leaves_the_rules(bench: Bench) -> None:
    version, feature = bench.apply(COMPLEX)
    made = kept(bench, feature.name)
    with bench.pool.connection() as connection:
        withdraw_router(connection, feature.name, int(made.id))
        (listed,) = routers_of(connection, feature.name)
    assert listed.withdrawn_at is not None
    bench.executor.tier_path.routers = Routers(bench.pool, bench.executor.embedding)
    job = bench.submit(version, LONG)
    bench.run(job)
    assert asked(bench, job) == ["openai:small"]


def test_the_labelled_log_is_of_what_is_known(bench: Bench) -> None:
    """Failed checks are bad; what was served and never compared says nothing."""
    version, feature = bench.apply(COMPLEX)
    bench.run(bench.submit(version, "it costs 1"))
    bench.server.answer = by_model(small="no idea", large=RIGHT)
    bad = bench.submit(version, "it costs 2")
    bench.run(bad, 2)
    with bench.pool.connection() as connection:
        rows = training_data(connection, feature.name)
        others = training_data(connection, feature.name, bench.account + 1)
    assert rows == [TrainingRow(job_id=bad, input={"text": "it costs 2"}, right=False)]
    assert others == []


def test_what_no_later_tier_mends_is_no_reason_to_skip_the_first(bench: Bench) -> None:
    version, feature = bench.apply(COMPLEX)
    bench.server.answer = by_model(small="no idea", large="no idea")
    lost = bench.submit(version, "it costs 1")
    bench.run(lost, 2)
    assert bench.job(lost)["error_code"] == "checks_failed"
    bench.server.answer = by_model(small="no idea", large=RIGHT)
    mended, wrong = bench.submit(version, "it costs 2"), bench.submit(version, "it costs 3")
    bench.run(mended, 2)
    bench.run(wrong, 2)
    with bench.pool.connection() as connection:
        give_feedback(connection, bench.account, wrong, AnswerFeedback(correct=False))
        rows = training_data(connection, feature.name)
    assert {row.job_id: row.right for row in rows} == {lost: True, mended: False, wrong: True}


def test_labels_of_drawn_answers_are_rows_and_complaints_are_none(bench: Bench) -> None:
    """The feature compares nothing, so only people know. A job that was not drawn is no random one.
    No calibration decides about the tier, so every label counts, whichever side its input is on.
    """
    version, feature = bench.apply(COMPLEX)
    jobs = [bench.submit(version, f"{number}: it costs 12.50") for number in range(5)]
    for job in jobs:
        bench.run(job)
    with bench.pool.connection() as connection:
        drawn = [row.job_id for row in draw_for_labels(connection, feature.name, 4)]
        wrong, right, also_wrong, _ = drawn  # one has no label yet
        (complaint,) = set(jobs) - set(drawn)
        give_feedback(connection, bench.account, wrong, AnswerFeedback(correct=False))
        give_feedback(connection, bench.account, right, AnswerFeedback(expected={"amount": 12.5}))
        for job in (complaint, also_wrong):
            give_feedback(connection, bench.account, job, AnswerFeedback(correct=False))
        rows = training_data(connection, feature.name)
        assert bench.all("SELECT FROM outcomes WHERE NOT fits_scores AND job_id = ANY(%s)", drawn)
    assert {row.job_id: row.right for row in rows} == {wrong: False, right: True, also_wrong: False}
    assert {row.stands_for for row in rows} == {5 / 3}, "five inputs were answered"


def text_of_side(*, fits: bool) -> str:
    """An input that the scores of a calibration are fitted on, or one that its promise tests."""
    texts = (f"{number}: it costs 12.50" for number in range(100))
    return next(one for one in texts if fits_scores(digest_of({"text": one})) == fits)


def test_a_label_that_a_calibration_tests_trains_no_router(bench: Bench) -> None:
    """Both small answers differ from the large one's and are right by their labels. Only the label
    that no promise is tested on is used, until the calibration that tested the other has ended.
    """
    bench.server.answer = by_model(small=RIGHT, large='{"amount": 13}')
    bench.executor.tier_path.gate = ConfidenceGate(bench.pool, bench.executor.embedding)
    version, feature = bench.apply(CALIBRATED)
    fitted = bench.submit(version, text_of_side(fits=True))
    tested = bench.submit(version, text_of_side(fits=False))
    for job in (fitted, tested):
        bench.run(job, 2)
    with bench.pool.connection() as connection:
        assert len(draw_for_labels(connection, feature.name, 2)) == 2
        for job in (fitted, tested):
            give_feedback(connection, bench.account, job, AnswerFeedback(expected={"amount": 12.5}))
        rows = training_data(connection, feature.name)
        assert {row.job_id: row.right for row in rows} == {fitted: True, tested: False}
        print_ = bench.one("SELECT fingerprint FROM outcomes WHERE job_id = %s", tested)
        id = add_calibration(connection, feature.name, print_)
        connection.execute(
            "UPDATE calibrations SET recipe = o.recipe FROM outcomes o"
            " WHERE calibrations.id = %s AND o.job_id = %s",
            (id, tested),
        )
        connection.execute("UPDATE outcomes SET label_used_by = %s WHERE drawn", (id,))
        rows = training_data(connection, feature.name)
        assert {row.job_id: row.right for row in rows} == {fitted: True, tested: False}
        withdraw(connection, feature.name, id, "the form changed")
        rows = training_data(connection, feature.name)
    assert {row.job_id: row.right for row in rows} == {fitted: True, tested: True}


def test_a_router_that_is_none_is_refused_and_so_is_a_feature_that_asks_for_none(
    bench: Bench,
) -> None:
    _, feature = bench.apply(COMPLEX)
    with pytest.raises(InvalidInput, match="not a router"):
        kept(bench, feature.name, {"terms": {}})
    _, plain = bench.apply()
    with pytest.raises(Conflict, match="does not route by complexity"):
        kept(bench, plain.name)
