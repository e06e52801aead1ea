"""A judge: free text is compared by a model that does not know whose the answers are."""

import asyncio
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from psycopg import AsyncConnection

from tests.support.database.rows import add_job
from tests.support.fake_servers.model_server import Reply
from tests.support.samples.judged_feature import model
from tests.support.scenes.bench import Bench
from tests.support.scenes.judging import applied, compared, jobs, judge, judged_by, judging, keep
from tierline.base.ids import new_id
from tierline.base.settings import settings
from tierline.services.evidence.evaluation.evaluation_judge import keep_judge
from tierline.services.evidence.evaluation.judge import judge_of
from tierline.services.evidence.watch.shadows import keep_references
from tierline.services.jobs.running.recover import recover_lost
from tierline.services.upkeep.retention import remove_content, remove_due
from tierline.storage.features.features import draft_version_async, load_version
from tierline.storage.jobs import claims
from tierline.storage.jobs.job_pages import Filters, list_jobs

pytestmark = pytest.mark.usefixtures("fresh")


def test_it_says_what_differs_and_is_asked_in_both_orders(
    bench: Bench, numbers: Iterator[int]
) -> None:
    version, feature = applied(bench)
    easy, _, hard = jobs(bench, version, numbers, 3)
    keep_references(bench.pool, time.monotonic() + 30)
    assert bench.all("SELECT noted_at FROM outcomes WHERE job_id = %s", easy) == [(None,)]
    judge(bench)
    assert (compared(bench, easy), compared(bench, hard)) == (False, True)
    calls = bench.all(
        "SELECT purpose, model, answered_model FROM calls WHERE job_id = %s ORDER BY number",
        judged_by(bench, easy),
    )
    assert calls == [("judge", "openai:judge", "judge-2026")] * 2
    assert len(bench.calls(judged_by(bench, hard))) == 1  # once is enough to differ
    messages = [call.last_message for call in bench.server.calls if call.model == "judge"]
    assert not any(
        name in text for text in messages for name in ("small", "large", "slm", "frontier")
    )
    first, second = (text for text in messages if "an easy one: 1 euros" in text)
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
        message = body["messages"][-1]["content"]
        return json.dumps({"same": message.index("About") < message.index("It is")})

    bench.server.answer = partial
    judge(bench)
    assert compared(bench, job) is True


def test_equal_answers_need_no_judge(bench: Bench, numbers: Iterator[int]) -> None:
    version, _ = applied(bench)
    bench.server.calls.clear()
    bench.server.answer = lambda _: "It is  so"
    (job,) = jobs(bench, version, numbers, 1)
    judge(bench)
    assert compared(bench, job) is False
    assert judged_by(bench, job) is None
    assert not [call for call in bench.server.calls if call.model == "judge"]


def test_of_many_sweeps_and_workers_at_once_each_outcome_is_judged_once(
    bench: Bench, numbers: Iterator[int]
) -> None:
    version, _ = applied(bench)
    made = jobs(bench, version, numbers, 24)
    with ThreadPoolExecutor(6) as threads:
        assert sum(threads.map(lambda _: keep(bench), range(6))) == 24
        # Two workers get the same hint: one takes the job, and the other finds nothing.
        list(threads.map(bench.run, [job for job in judging(bench) for _ in range(2)]))
        list(threads.map(lambda _: keep(bench), range(6)))
    outcomes = bench.all(
        "SELECT count(*), g.attempts, g.status, count(c.*) FROM outcomes o"
        " JOIN jobs g ON g.shadow_of = o.job_id AND g.judged_attempt = o.attempt"
        " JOIN calls c ON c.job_id = g.id WHERE o.job_id = ANY(%s) AND o.judged_at IS NOT NULL"
        " GROUP BY o.job_id, g.id, g.attempts, g.status",
        made,
    )
    assert len(outcomes) == 24
    assert {row[1:3] for row in outcomes} == {(1, "completed")}
    assert {row[3] for row in outcomes} <= {1, 2}


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


def test_a_judges_job_is_in_no_list_waits_behind_callers_and_is_told_to_nobody(
    bench: Bench, numbers: Iterator[int]
) -> None:
    version, _ = applied(bench)
    bench.all(
        "INSERT INTO webhook_endpoints (id, account_id, url, events, secret)"
        " VALUES (%s, %s, 'https://example.invalid/', '{}', 's') RETURNING id",
        new_id(),
        bench.account,
    )
    (job,) = jobs(bench, version, numbers, 1)
    deliveries = bench.all("SELECT id FROM deliveries")
    judge(bench)
    row = bench.job(judged_by(bench, job))
    assert (row["status"], row["queue"]) == ("completed", "deeper-analysis-backfill")
    with bench.pool.connection() as connection:
        listed = list_jobs(connection, bench.account, Filters(), None, 1000)
    assert judged_by(bench, job) not in {one["id"] for one in listed}
    assert bench.all("SELECT id FROM deliveries") == deliveries


def test_a_judge_whose_model_answers_first_waits_where_that_tier_does(bench: Bench) -> None:
    _, feature = applied(bench)
    first = replace(feature, comparison=replace(feature.compared_by, model="openai:small"))
    assert [judge_of(one).place(len(judge_of(one).tiers) - 1) for one in (first, feature)] == [0, 1]


def test_nobody_can_submit_a_job_of_a_judges_version(bench: Bench, numbers: Iterator[int]) -> None:
    version, feature = applied(bench)
    (job,) = jobs(bench, version, numbers, 1)
    keep(bench)
    made = bench.one("SELECT feature_version_id FROM jobs WHERE id = %s", judged_by(bench, job))

    async def found() -> object:
        async with await AsyncConnection.connect(settings().database) as connection:
            return await draft_version_async(connection, made)

    assert asyncio.run(found()) is None
    with bench.pool.connection() as connection:
        assert load_version(connection, made) == judge_of(feature)


def test_the_calls_of_an_evaluations_judge_have_the_same_purpose(bench: Bench) -> None:
    _, feature = applied(bench)
    bench.server.answer = lambda _: '{"same": true}'
    pair = {"request": {"text": "7 euros"}, "a": "It is 7", "b": "About 7"}
    with bench.pool.connection() as connection:
        version = keep_judge(connection, feature)
        assert version is not None
        job = add_job(connection, bench.account, version, tier="judge", input=pair)
    bench.run(job)
    assert bench.calls(job) == [("judge", "openai:judge", None)]


def test_what_a_judge_said_goes_when_its_features_days_are_over(
    bench: Bench, numbers: Iterator[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    days = "retention: {inputs_days: 30, outputs_days: 30}"
    version, _ = applied(bench, f"shadow: {{share: 1}}\n{days}")
    (job,) = jobs(bench, version, numbers, 1)
    judge(bench)
    answers = "SELECT count(*) FROM answers WHERE job_id = %s"
    assert bench.one(answers, judged_by(bench, job)) == 1
    later = datetime.now(UTC) + timedelta(days=31)
    monkeypatch.setattr("tierline.storage.upkeep.due_content.now", lambda _: later)
    remove_due(bench.pool, time.monotonic() + 30)
    assert bench.one(answers, judged_by(bench, job)) == 0
    assert len(bench.calls(judged_by(bench, job))) == 2  # the books stay


def test_a_lost_worker_costs_no_outcome_and_hides_no_call(
    bench: Bench, numbers: Iterator[int]
) -> None:
    version, _ = applied(bench)
    (job,) = jobs(bench, version, numbers, 1)
    keep(bench)
    judging_job = judged_by(bench, job)
    token = uuid4()
    with bench.pool.connection() as connection:
        taken = claims.claim(connection, judging_job, token, ["deeper-analysis-backfill"], "killed")
    assert taken is not None
    assert (taken.judges, taken.budgeted, taken.draft) == (True, False, False)
    recover_lost(bench.pool, {token: judging_job})
    judge(bench)
    assert compared(bench, job) is False
    assert bench.verdicts(judging_job) == ["worker_lost", "passed"]
    calls = bench.all(
        "SELECT attempt, number, purpose, settled_at IS NOT NULL FROM calls WHERE job_id = %s"
        " ORDER BY attempt, number",
        judging_job,
    )
    assert calls == [(1, 1, "judge", False), (2, 1, "judge", True), (2, 2, "judge", True)]


def test_a_judge_keeps_nothing_of_what_it_compared_and_its_word_goes_with_the_job(
    bench: Bench, numbers: Iterator[int]
) -> None:
    version, _ = applied(bench)
    bench.server.answer = lambda body: (
        json.dumps({"same": True, "because": body["messages"][-1]["content"]})
        if body["model"] == "judge"
        else model(body)
    )
    early, late = jobs(bench, version, numbers, 2)
    keep(bench)
    bench.run(judged_by(bench, early))
    held = "SELECT r.input::text, w.text, w.trace::text FROM job_requests r"
    held += " JOIN answers w ON w.job_id = r.job_id WHERE r.job_id = %s"
    assert bench.all(held, judged_by(bench, early)) == [(None, '{"same": true}', None)]
    with bench.pool.connection() as connection:
        remove_content(connection, bench.account, early)
        remove_content(connection, bench.account, late)
    assert bench.all(held, judged_by(bench, early)) == []
    bench.run(judged_by(bench, late))  # what it was to compare is gone
    assert bench.job(judged_by(bench, late))["error_code"] == "feature_error"
    keep(bench)
    keep_references(bench.pool, time.monotonic() + 30)
