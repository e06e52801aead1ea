"""Shadows: what a first tier served, answered once more by the last one, unseen, and compared."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from tests.support.database.rows import add_calibration, of_a_later_release
from tests.support.fake_servers.model_server import Reply
from tests.support.scenes.bench import PRICED, RIGHT, Bench, by_model
from tierline.base.errors import NotEnoughData
from tierline.routing.thresholds.sampling import drawn_at
from tierline.services.evidence.calibration.calibrate import CalibrationRequest, calibrate
from tierline.services.evidence.watch.shadows import compare_open, keep_references, shadow_due
from tierline.services.features.versions import FeatureVersions
from tierline.services.steering.confidence_gate import ConfidenceGate
from tierline.services.upkeep.retention import remove_content
from tierline.storage.evidence import calibrations, shadows
from tierline.storage.jobs.job_pages import Filters, list_jobs
from tierline.views.evidence.calibrations import Calibration

EACH = "shadow: {share: 1}"


@pytest.fixture(autouse=True)
def no_others(bench: Bench) -> None:
    """What other tests left open is not this one's."""
    bench.all("UPDATE outcomes SET shadow_due = false, drawn = false RETURNING seq")
    bench.server.answer = by_model(small=RIGHT, large=RIGHT)


def forget_calibrations(bench: Bench) -> None:
    """Let the worker look anew for which are in force, as it does within seconds."""
    bench.executor.tier_path.gate = ConfidenceGate(bench.pool, bench.executor.embedding)


def served(bench: Bench, version: int, text: str = "it costs 12.50") -> UUID:
    job = bench.submit(version, text)
    bench.run(job)
    assert bench.job(job)["status"] == "completed"
    return job


def round_(bench: Bench) -> None:
    keep_references(bench.pool, time.monotonic() + 30)


def shadow_of(bench: Bench, job: UUID) -> UUID:
    shadow: UUID = bench.one("SELECT shadow_job_id FROM outcomes WHERE job_id = %s", job)
    return shadow


def compared(bench: Bench, job: UUID) -> tuple[Any, ...]:
    rows = bench.all("SELECT differs, reference_by FROM outcomes WHERE job_id = %s", job)
    return rows[0]


def run_shadows(bench: Bench) -> None:
    bench.executor.queues = (*bench.executor.queues, "deeper-analysis-backfill")
    for (job,) in bench.all(
        "SELECT id FROM jobs WHERE shadow_of IS NOT NULL AND status = 'queued' ORDER BY seq"
    ):
        bench.run(job)


def test_what_was_served_is_answered_once_more_and_compared(bench: Bench) -> None:
    bench.server.answer = by_model(small=RIGHT, large='{"amount": 13}')
    version, _ = bench.apply(EACH)
    job = served(bench, version)
    round_(bench)
    shadow = bench.job(shadow_of(bench, job))
    assert (shadow["tier"], shadow["queue"]) == ("frontier", "deeper-analysis-backfill")
    run_shadows(bench)
    round_(bench)
    assert compared(bench, job) == (True, "large-2026")
    assert bench.job(job)["tier"] == "slm"  # what was served stays as it is
    assert [purpose for purpose, _, _ in bench.calls(job)] == ["answer"]
    assert [purpose for purpose, _, _ in bench.calls(shadow_of(bench, job))] == ["shadow"]
    deliveries = bench.all(
        "SELECT routing ->> 'policy', routing -> 'signals' ->> 'shadow_of' FROM attempts"
        " WHERE job_id = %s",
        shadow_of(bench, job),
    )
    assert deliveries == [("shadow", str(job))]


def test_every_call_of_a_shadow_has_its_purpose(bench: Bench) -> None:
    bench.server.answer = by_model(small=RIGHT, large="no idea")
    version, _ = bench.apply(EACH)
    bench.all(
        "UPDATE feature_versions SET document = jsonb_set(document, '{tiers,1,reask}', 'true')"
        " WHERE id = %s RETURNING id",
        version,
    )
    job = served(bench, version)
    round_(bench)
    run_shadows(bench)
    calls = bench.calls(shadow_of(bench, job))
    assert [(purpose, model) for purpose, model, _ in calls] == [("shadow", "openai:large")] * 2


def test_a_shadow_is_in_no_list_and_nobody_is_told(bench: Bench) -> None:
    version, _ = bench.apply(EACH)
    endpoint = bench.one(
        "INSERT INTO webhook_endpoints (id, account_id, url, events, secret)"
        " VALUES (gen_random_uuid(), %s, 'http://127.0.0.1:9/', '{}', 'whsec_x') RETURNING id",
        bench.account,
    )
    try:
        job = served(bench, version)
        round_(bench)
        shadow = shadow_of(bench, job)
        run_shadows(bench)
        round_(bench)
        deliveries = bench.all("SELECT job_id FROM deliveries WHERE endpoint_id = %s", endpoint)
        assert deliveries == [(job,)]
    finally:
        bench.all("DELETE FROM deliveries WHERE endpoint_id = %s RETURNING id", endpoint)
        bench.all("DELETE FROM webhook_endpoints WHERE id = %s RETURNING id", endpoint)
    with bench.pool.connection() as connection:
        listed = list_jobs(connection, bench.account, Filters(), None, 200)
    ids = {row["id"] for row in listed}
    assert job in ids
    assert shadow not in ids
    assert compared(bench, job) == (False, "large-2026")


def test_what_a_shadow_answered_is_removed_with_what_its_job_was_answered(bench: Bench) -> None:
    version, _ = bench.apply(EACH)
    job = served(bench, version)
    round_(bench)
    run_shadows(bench)
    round_(bench)
    shadow = shadow_of(bench, job)
    kept = "SELECT count(*) FROM answers WHERE job_id = %s"
    assert bench.one(kept, shadow) == 1
    with bench.pool.connection() as connection:
        remove_content(connection, bench.account, job)
    assert bench.one(kept, shadow) == 0
    assert bench.one("SELECT output_removed_at IS NOT NULL FROM jobs WHERE id = %s", shadow)


def test_an_answer_that_a_shadow_gives_after_its_job_was_removed_is_not_kept(bench: Bench) -> None:
    version, _ = bench.apply(EACH)
    job = served(bench, version)
    round_(bench)
    bench.server.answer = removed_meanwhile(bench, job)
    run_shadows(bench)
    shadow = shadow_of(bench, job)
    assert bench.one("SELECT count(*) FROM answers WHERE job_id = %s", shadow) == 1
    round_(bench)
    assert bench.one("SELECT count(*) FROM answers WHERE job_id = %s", shadow) == 0
    assert compared(bench, job)[0] is None


def removed_meanwhile(bench: Bench, job: UUID) -> Any:
    """A model while which answers the job's content is removed."""

    def answer(_: dict[str, Any]) -> str:
        with bench.pool.connection() as connection:
            remove_content(connection, bench.account, job)
        return RIGHT

    return answer


def test_of_many_that_give_shadows_at_once_one_does(bench: Bench) -> None:
    version, _ = bench.apply(EACH)
    jobs = [served(bench, version, f"it costs {number}") for number in range(20)]

    def one(_: int) -> int:
        with bench.pool.connection() as connection:
            return shadow_due(connection)

    with ThreadPoolExecutor(8) as threads:
        made = sum(threads.map(one, range(8)))
    assert made == len(jobs)
    counted = bench.one("SELECT count(*) FROM jobs WHERE shadow_of = ANY(%s)", jobs)
    assert counted == len(jobs)


def test_of_many_that_compare_at_once_each_outcome_is_compared_once(bench: Bench) -> None:
    version, _ = bench.apply(EACH)
    jobs = [served(bench, version, f"it costs {number}") for number in range(30)]
    round_(bench)
    run_shadows(bench)

    def one(_: int) -> int:
        with bench.pool.connection() as connection:
            return compare_open(connection)

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(one, range(8))) == len(jobs)
    assert {compared(bench, job) for job in jobs} == {(False, "large-2026")}


def test_shadows_stay_within_what_a_day_may_cost(bench: Bench) -> None:
    # A shadow is reserved at about 50 tokens of prompt and 50 of answer: some 0.0026 USD.
    text = f"{EACH[:-1]}, usd_per_day: 0.006}}"
    version, feature = bench.apply(text)
    bench.all(
        "UPDATE feature_versions SET document = jsonb_set(document::jsonb, '{tiers,1,prices}',"
        """ '{"openai:large": {"input_usd_per_mtok": "10", "output_usd_per_mtok": "40"}}')::json"""
        " WHERE id = %s RETURNING id",
        version,
    )
    bench.executor.versions = FeatureVersions(bench.pool)
    for number in range(6):
        served(bench, version, f"it costs {number}")
    round_(bench)
    count = "SELECT count(*) FROM outcomes WHERE feature = %s AND shadow_job_id IS NOT NULL"
    made = bench.one(count, feature.name)
    assert 1 <= made < 6
    with bench.pool.connection() as connection:
        before = shadows.spent_on_comparing(connection, feature.name)
    assert Decimal("0.003") < before <= Decimal("0.006")
    run_shadows(bench)
    round_(bench)  # what they really cost leaves room for others, as long as it does
    with bench.pool.connection() as connection:
        assert shadows.spent_on_comparing(connection, feature.name) <= Decimal("0.006")


def test_a_feature_whose_budget_is_spent_holds_up_no_other(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tierline.services.evidence.watch.shadows.AT_ONCE", 2)
    unpriced, _ = bench.apply("shadow: {share: 1, usd_per_day: 5}")
    version, _ = bench.apply(EACH)
    waiting = [served(bench, unpriced) for _ in range(5)]
    job = served(bench, version)
    with bench.pool.connection() as connection:
        assert shadow_due(connection) == 1
    assert shadow_of(bench, job) is not None
    assert [shadow_of(bench, one) for one in waiting] == [None] * 5


def test_an_unpriced_tier_gets_no_shadow_under_a_budget(bench: Bench) -> None:
    version, feature = bench.apply("shadow: {share: 1, usd_per_day: 5}")
    served(bench, version)
    round_(bench)
    assert (
        bench.all(
            "SELECT FROM jobs j JOIN feature_versions v ON v.id = j.feature_version_id"
            " WHERE v.name = %s AND shadow_of IS NOT NULL",
            feature.name,
        )
        == []
    )


def test_what_its_owner_removed_is_answered_by_no_shadow(bench: Bench) -> None:
    version, _ = bench.apply(EACH)
    job = served(bench, version)
    round_(bench)
    with bench.pool.connection() as connection:
        remove_content(connection, bench.account, job)
    run_shadows(bench)
    round_(bench)
    errors = bench.all("SELECT error FROM calls WHERE job_id = %s", shadow_of(bench, job))
    assert errors == [("not sent",)]
    assert bench.job(shadow_of(bench, job))["error_message"].endswith("was removed")
    assert compared(bench, job) == (None, None)
    assert bench.one("SELECT input_digest FROM outcomes WHERE job_id = %s", job) is None


@pytest.fixture
def numbers() -> Iterator[int]:
    return iter(range(1, 1000))


def test_a_promise_that_shadows_refute_is_withdrawn(bench: Bench, numbers: Iterator[int]) -> None:
    """The frontier disagrees with half of what is served; 10% were promised."""
    bench.server.answer = lambda body: Reply(
        text='{"amount": 1}'
        if body["model"] == "small" or len(bench.server.calls) % 2
        else '{"amount": 2}'
    )
    version, feature = bench.apply(
        f"{EACH}\nconfidence: {{signal: agreement, samples: 2, threshold: calibrated}}"
    )
    first = bench.submit(version, "it costs 0")
    bench.run(first, 2)
    print_ = bench.one("SELECT fingerprint FROM outcomes WHERE job_id = %s", first)
    with bench.pool.connection() as connection:
        id = add_calibration(connection, feature.name, print_)
        connection.execute("UPDATE calibrations SET max_error = 0.1 WHERE id = %s", (id,))
    forget_calibrations(bench)
    for _ in range(40):
        served(bench, version, f"it costs {next(numbers)}")
    round_(bench)
    run_shadows(bench)
    round_(bench)
    with bench.pool.connection() as connection:
        ended = calibrations.calibration(connection, id)
    assert ended is not None
    assert "shadow samples of its served answers differ" in ended.withdrawn_reason
    forget_calibrations(bench)
    later = bench.submit(version, "it costs 41")
    bench.run(later)
    assert bench.job(later)["tier"] == "frontier"


def test_a_promise_that_shadows_confirm_holds(bench: Bench, numbers: Iterator[int]) -> None:
    version, feature = bench.apply(
        f"{EACH}\nconfidence: {{signal: agreement, samples: 2, threshold: calibrated}}"
    )
    first = bench.submit(version, "it costs 0")
    bench.run(first, 2)
    print_ = bench.one("SELECT fingerprint FROM outcomes WHERE job_id = %s", first)
    with bench.pool.connection() as connection:
        id = add_calibration(connection, feature.name, print_)
    forget_calibrations(bench)
    for _ in range(20):
        served(bench, version, f"it costs {next(numbers)}")
    round_(bench)
    run_shadows(bench)
    round_(bench)
    with bench.pool.connection() as connection:
        assert shadows.watched(connection, id) == (20, 0)
        kept = calibrations.calibration(connection, id)
    assert kept is not None
    assert kept.withdrawn_at is None


def test_a_share_is_drawn_of_served_and_escalated_alike(bench: Bench) -> None:
    """By the job, not by its fate: what is drawn stands for all."""
    version, _ = bench.apply(
        "shadow: {share: 0.4}\nconfidence: {signal: agreement, samples: 2, threshold: 1.0}",
        slm=PRICED,
    )

    def answer(body: dict[str, Any]) -> str:
        hard = "hard" in body["messages"][-1]["content"]
        return f'{{"amount": {body.get("seed", 0) if hard else 1}}}'

    bench.server.answer = answer
    for number in range(30):
        text = f"{'hard' if number % 3 else 'easy'}: it costs {number}"
        bench.run(bench.submit(version, text), 2)
    rows = bench.all(
        "SELECT o.job_id, o.served, o.drawn, o.inclusion"
        " FROM outcomes o JOIN jobs j ON j.id = o.job_id WHERE j.feature_version_id = %s",
        version,
    )
    assert len(rows) == 30
    assert {served for _, served, *_ in rows} == {True, False}
    for job_id, _, drawn, inclusion in rows:
        assert (drawn, inclusion) == (drawn_at(job_id) < 0.4, 0.4)


def test_a_new_calibration_is_made_from_what_was_drawn_since(
    bench: Bench, numbers: Iterator[int]
) -> None:
    version, feature = bench.apply(
        f"{EACH}\nconfidence: {{signal: agreement, samples: 2, threshold: calibrated}}"
    )
    request = CalibrationRequest(max_error=0.3, confidence=0.95)

    def calibrated() -> Calibration:
        with bench.pool.connection() as connection:
            made = calibrate(connection, feature.name, request)
        forget_calibrations(bench)
        return made

    for _ in range(40):
        bench.run(bench.submit(version, f"it costs {next(numbers)}"), 2)
    first = calibrated()
    assert (first.attempt, first.state) == (1, "in_force")
    for _ in range(60):
        served(bench, version, f"it costs {next(numbers)}")
    with pytest.raises(NotEnoughData):
        calibrated()  # nothing was compared yet
    round_(bench)
    run_shadows(bench)
    second = calibrated()
    assert (second.attempt, second.state) == (2, "in_force")
    assert second.tested_at > first.tested_at
    assert second.samples + second.fitted == 60


def test_outcomes_of_a_later_releases_feature_keep_no_others_from_being_compared(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tierline.services.evidence.watch.shadows.AT_ONCE", 2)
    later, _ = bench.apply(EACH)
    version, _ = bench.apply(EACH)
    late = [served(bench, later) for _ in range(3)]
    job = served(bench, version)
    with bench.pool.connection() as connection:
        of_a_later_release(connection, later)
    round_(bench)
    run_shadows(bench)
    round_(bench)
    assert compared(bench, job) == (False, "large-2026")
    assert {compared(bench, one) for one in late} == {(None, None)}
