"""Removing content while others do what they do: deliver, label, delete, answer too late."""

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from uuid import UUID, uuid4

import pytest

from tests.support.database.retention import RetentionScene
from tests.support.database.rows import add_job
from tests.support.waiting import DEADLINE_S
from tierline.base.errors import Conflict
from tierline.rules.jobs import JobState, Passed, Route, Status, next_state
from tierline.rules.verdicts import Verdict
from tierline.services.evidence.labels.feedback import AnswerFeedback, give_feedback
from tierline.services.jobs.running.recover import recover_lost
from tierline.services.upkeep import retention
from tierline.services.upkeep.retention import remove_content, remove_due
from tierline.storage.jobs import claims, finishes
from tierline.storage.jobs.finishes import Ended, Settlement, Standing
from tierline.storage.webhooks import deliveries
from tierline.webhooks.schedule import Decision, DeliveryStatus, Met

JOBS = 60


def test_sweeps_deletes_labels_and_deliveries_at_once_leave_nothing_and_lose_nothing(
    kept: RetentionScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "AT_ONCE", 5)
    kept.keep_for(1, 1)
    jobs = [kept.ended_job(days=2, delivery="pending") for _ in range(JOBS)]
    with kept.pool.connection() as connection:
        connection.execute("UPDATE deliveries SET hint_no = 1")
    delivered: list[UUID] = []
    refused: list[UUID] = []

    def delete(job: UUID) -> None:
        with kept.pool.connection() as connection:
            remove_content(connection, kept.account, job)

    def label(job: UUID) -> None:
        with kept.pool.connection() as connection:
            try:
                give_feedback(
                    connection, kept.account, job, AnswerFeedback(True, {"text": "x"}, "why")
                )
            except Conflict:
                refused.append(job)

    def tell(job: UUID) -> None:
        delivery = kept.one("SELECT id FROM deliveries WHERE job_id = %s", job)
        with kept.pool.connection() as connection:
            taken = deliveries.claim(connection, delivery, uuid4())
            assert taken is not None
            assert taken.body
            done = Decision(DeliveryStatus.DELIVERED)
            assert deliveries.finish(connection, taken, Met(200, None), done)
        delivered.append(job)

    work: list[Callable[[], object]] = [
        *(lambda: remove_due(kept.pool, time.monotonic() + 60) for _ in range(8)),
        *(lambda job=job: delete(job) for job in jobs[::2]),
        *(lambda job=job: label(job) for job in jobs[::3]),
        *(lambda job=job: tell(job) for job in jobs),
    ]
    random.Random(4).shuffle(work)
    with ThreadPoolExecutor(8) as several:
        for one in [several.submit(do) for do in work]:
            one.result(DEADLINE_S)
    remove_due(kept.pool, time.monotonic() + 60)
    assert all(kept.holding(job) == set() for job in jobs)
    assert sorted(delivered) == sorted(jobs)
    # A label given before its content went is kept as a verdict; one that came later was refused.
    kept_labels = kept.one("SELECT count(*), count(expected), count(correct) FROM feedback")
    assert kept_labels == (len(jobs[::3]) - len(refused), 0, len(jobs[::3]) - len(refused))
    assert kept.one("SELECT sum(cost_usd) FROM calls") == Decimal("0.5") * JOBS


def test_an_answer_that_comes_after_the_removal_is_dropped_and_its_cost_is_booked(
    kept: RetentionScene,
) -> None:
    queues = ["slm"]
    with kept.pool.connection() as connection:
        job = add_job(connection, kept.account, kept.version)
        late = claims.claim(connection, job, uuid4(), queues, "frozen")
        assert late is not None
        assert recover_lost(kept.pool, {late.token: job}) == [job]
        taken = claims.claim(connection, job, uuid4(), queues, "quick")
        assert taken is not None

        def finish(by: claims.Claim, cost: str) -> bool:
            return finishes.finish(
                connection,
                by,
                tier="slm",
                queue="slm",
                transition=next_state(
                    JobState(Status.IN_PROGRESS, 0), Passed(), Route(tiers=(0, 1))
                ),
                assumed=Standing(Status.IN_PROGRESS, by.token, False, False, False, None),
                ended=Ended(Verdict.PASSED, None, 0.5, "m", '{"text": "x"}', {"text": "x"}, True),
                settled=Settlement(1, "answer", "openai:small", 0.4, cost_usd=Decimal(cost)),
                announced=False,
            )

        assert finish(taken, "1")
        remove_content(connection, kept.account, job)
        assert not finish(late, "2")
    assert kept.one("SELECT count(*) FROM answers") == 0
    assert kept.one("SELECT sum(cost_usd) FROM calls WHERE job_id = %s", job) == 3
