"""An answer that is too much to check: it escalates, and is never served as checked."""

import pytest

from tests.support.scenes.bench import Bench, by_model
from tierline.rules.verdicts import CHECK_FAILURES, Verdict

GROUNDED = "checks:\n  - grounded: [amount]"
CODES = "1-" * 50_000


@pytest.fixture
def much(monkeypatch: pytest.MonkeyPatch) -> None:
    """As little work as makes any long input too much."""
    monkeypatch.setattr("tierline.checks.work.Work.__init__.__defaults__", (1_000,))


def test_an_answer_that_is_too_much_to_check_goes_to_the_next_tier_and_fails_on_the_last(
    bench: Bench, much: None
) -> None:
    bench.server.answer = by_model(small='{"amount": 1}', large='{"amount": 2}')
    version, _ = bench.apply(more=GROUNDED)
    job = bench.submit(version, CODES)
    bench.run(job)
    waiting = bench.job(job)
    assert (waiting["status"], waiting["tier"]) == ("queued", "frontier")
    assert waiting["escalation_reason"].startswith("unchecked: too much to check")
    bench.run(job)
    row = bench.job(job)
    assert (row["status"], row["error_code"]) == ("failed", "checks_failed")
    assert row["error_message"].startswith("unchecked: too much to check")
    assert row["answer_attempt"] is None
    assert bench.verdicts(job) == ["unchecked", "unchecked"]


def test_a_feature_that_asks_for_unverified_answers_gets_it_marked(
    bench: Bench, much: None
) -> None:
    bench.server.answer = by_model(small='{"amount": 1}', large='{"amount": 2}')
    version, _ = bench.apply(more=f"{GROUNDED}\non_blocked: return_unverified")
    job = bench.submit(version, CODES)
    bench.run(job, 2)
    row = bench.job(job)
    assert (row["status"], row["unverified"]) == ("completed", True)


def test_a_worker_of_the_release_before_goes_on_with_a_job_that_was_unchecked(
    bench: Bench, much: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It knows no such verdict: its claim reads the verdicts that it knows, and tells no other."""
    bench.server.answer = by_model(small='{"amount": 1}', large='{"amount": 12.5}')
    version, _ = bench.apply(more=GROUNDED)
    job = bench.submit(version, CODES)
    bench.run(job)
    before = ", ".join(f"'{one}'" for one in sorted(CHECK_FAILURES - {Verdict.UNCHECKED}))
    now = ", ".join(f"'{one}'" for one in sorted(CHECK_FAILURES))
    for name in ("CLAIM_AND_READ", "READ_CLAIM"):
        statement = getattr(__import__("tierline.storage.jobs.claims", fromlist=[name]), name)
        assert now in statement
        monkeypatch.setattr(f"tierline.storage.jobs.claims.{name}", statement.replace(now, before))
    monkeypatch.setattr("tierline.checks.work.Work.__init__.__defaults__", (10_000_000,))
    bench.run(job)
    assert bench.verdicts(job) == ["unchecked", "ungrounded"]
