"""Where jobs begin, that it is kept, and the route that is read from it."""

import asyncio
import json
from uuid import UUID

import pytest

from tests.support.database.rows import add_account, add_job
from tests.support.scenes.bench import PRICED, RIGHT, Bench, by_model
from tierline.base.errors import NotFound
from tierline.base.ids import new_id
from tierline.features import Feature
from tierline.routing.first_tier import by_signals
from tierline.services.batches.batch import Opening, accept_part, open_batch
from tierline.services.jobs.running import decision_log
from tierline.services.jobs.running.decision_log import decisions_of, decisions_page
from tierline.services.jobs.submitting.submission import Submission
from tierline.services.jobs.submitting.submit import Submitter
from tierline.storage.db.async_pool import create_async_pool
from tierline.storage.jobs.decisions import Filters
from tierline.storage.jobs.job_reads import attempt_rows
from tierline.views.jobs.decisions import Alternative

CANARY = "canary: {tier: frontier, share: 0.5}"
PINNED = "pinned: {acme: frontier}"


def submit(bench: Bench, feature: Feature, users: list[str], account: str = "acme") -> list[UUID]:
    """A job for each user, by the door that REST takes."""

    async def all_of_them() -> list[UUID]:
        pool = create_async_pool(bench.executor.settings.database, "test", 2)
        await pool.open()
        try:
            submitter = Submitter(pool)
            return [
                (
                    await submitter.submit(
                        bench.account,
                        Submission(feature.name, {"text": "it costs 12.50"}, user=user),
                        account=account,
                    )
                ).job_id
                for user in users
            ]
        finally:
            await pool.close()

    return asyncio.run(all_of_them())


def test_an_account_that_is_pinned_begins_on_its_tier(bench: Bench) -> None:
    bench.server.answer = by_model(small=RIGHT, large=RIGHT)
    _, feature = bench.apply(PINNED)
    pinned, other = submit(bench, feature, ["u"]) + submit(bench, feature, ["u"], account="beta")
    assert bench.job(pinned)["queue"] == "deeper-analysis"
    assert bench.job(other)["queue"] == "slm"
    bench.run(pinned)
    assert bench.job(pinned)["tier"] == "frontier"
    routing = bench.one("SELECT routing FROM attempts WHERE job_id = %s", pinned)
    assert routing["policy"] == "pinned"
    assert routing["signals"] == {"account": "acme"}


def test_every_kept_decision_is_made_again_from_what_is_kept(bench: Bench) -> None:
    _, feature = bench.apply(CANARY)
    jobs = submit(bench, feature, [f"user-{number}" for number in range(30)])
    kept = bench.all("SELECT decision FROM job_requests WHERE job_id = ANY(%s)", jobs)
    assert {row["choice"] for (row,) in kept} == {"slm", "frontier"}
    for (row,) in kept:
        assert by_signals(feature, row["signals"]).to_dict() == row
    again = submit(bench, feature, [f"user-{number}" for number in range(30)])
    tiers = [[bench.job(job)["tier"] for job in some] for some in (jobs, again)]
    assert tiers[0] == tiers[1]


def test_rows_of_a_batch_are_drawn_one_by_one(bench: Bench) -> None:
    _, feature = bench.apply(CANARY)
    lines = "\n".join(
        json.dumps({"input": {"text": "x"}, "custom_id": f"row-{number}"}) for number in range(40)
    )
    with bench.pool.connection() as connection:
        batch = open_batch(connection, bench.account, Opening(feature.name))[0]["id"]
        accept_part(connection, bench.account, batch, 1, lines.encode())
    rows = bench.all(
        "SELECT j.tier, j.queue, r.decision ->> 'choice' FROM jobs j"
        " JOIN job_requests r ON r.job_id = j.id WHERE j.batch_id = %s ORDER BY j.batch_row",
        batch,
    )
    assert len(rows) == 40
    queues = {"slm": "slm-backfill", "frontier": "deeper-analysis-backfill"}
    assert {tier for tier, _, _ in rows} == set(queues)
    assert all(queue == queues[tier] and choice == tier for tier, queue, choice in rows)


def test_a_route_tells_each_decision_and_what_came_of_it(bench: Bench) -> None:
    bench.server.answer = by_model(small="not json", large=RIGHT)
    _, feature = bench.apply(slm=PRICED)
    (job,) = submit(bench, feature, ["u"])
    with bench.pool.connection() as connection:
        before = decisions_of(connection, bench.account, job)
    assert [one.attempt for one in before.decisions] == [None]
    assert before.decisions[0].outcome is None
    bench.run(job, times=2)
    with bench.pool.connection() as connection:
        decisions = decisions_of(connection, bench.account, job)
    first, second = decisions.decisions
    assert (first.choice, first.policy, first.outcome) == ("slm", "slm_first", "escalated")
    assert (second.choice, second.outcome) == ("frontier", "served")
    assert second.reason is not None
    assert second.reason.startswith("escalated: malformed")
    slm, frontier = decisions.alternatives
    assert slm.expected_cost_usd is not None
    assert slm.expected_cost_usd > 0
    # Nobody knows its price.
    assert frontier == Alternative(tier="frontier", model="openai:large", expected_cost_usd=None)


def test_the_usual_decision_is_told_although_it_is_not_stored(bench: Bench) -> None:
    bench.server.answer = by_model(small=RIGHT)
    _, feature = bench.apply()
    (job,) = submit(bench, feature, ["u"])
    bench.run(job)
    assert bench.all("SELECT routing FROM attempts WHERE job_id = %s", job) == [(None,)]
    usual = {
        "policy": "slm_first",
        "choice": "slm",
        "reason": "first allowed tier",
        "signals": {"failures": 0, "leases_lost": 0},
    }
    with bench.pool.connection() as connection:
        (attempt,) = attempt_rows(connection, job)
        assert attempt["routing"] == usual
        for condition in ({"policy": "slm_first"}, {"reason": "first allowed"}):
            filters = Filters(feature=feature.name, **condition)
            (listed,) = decisions_page(connection, bench.account, filters, None, 50)[0]
            assert (listed.policy, listed.choice) == ("slm_first", "slm")
            assert listed.signals == usual["signals"]


def test_decisions_are_listed_by_what_they_were(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.server.answer = by_model(small="not json", large=RIGHT)
    _, feature = bench.apply()
    jobs = submit(bench, feature, ["u"] * 5)
    for job in jobs:
        bench.run(job, times=2)

    def listed(
        before: int | None = None, most: int = 50, **filters: str
    ) -> tuple[list[str], int | None]:
        with bench.pool.connection() as connection:
            made, after = decisions_page(
                connection, bench.account, Filters(feature=feature.name, **filters), before, most
            )
        return [f"{one.choice} {one.outcome}" for one in made], after

    assert listed() == (["slm escalated", "frontier served"] * 5, None)
    assert listed(reason="MALFORMED")[0] == ["frontier served"] * 5
    assert listed(tier="slm")[0] == ["slm tried_again_or_escalated"] * 5
    assert listed(policy="canary")[0] == []
    first, after = listed(most=2)
    assert len(first) == 4
    assert after is not None
    rest, end = listed(before=after)
    assert len(rest) == 6
    assert end is None
    monkeypatch.setattr(decision_log, "MOST_EXAMINED", 2)
    made, after = listed(policy="canary")
    assert made == []
    assert after is not None, "a page examines a bounded number, and the next one goes on"
    made, after = listed(before=after, reason="MALFORMED")
    assert made == ["frontier served"] * 2
    assert listed(before=after, reason="MALFORMED")[0] == ["frontier served"]


def test_nobody_reads_the_route_of_another_account(bench: Bench) -> None:
    version, _ = bench.apply()
    job = bench.submit(version)
    with bench.pool.connection() as connection:
        with pytest.raises(NotFound):
            decisions_of(connection, bench.account + 1_000, job)
        with pytest.raises(NotFound):
            decisions_of(connection, bench.account, new_id())


def test_all_accounts_decisions_come_in_one_order_and_each_says_whose_it_is(bench: Bench) -> None:
    bench.server.answer = by_model(small=RIGHT, large=RIGHT)
    version, feature = bench.apply()
    with bench.pool.connection() as connection:
        other = add_account(connection, "umbrella")
        jobs = [
            add_job(connection, account, version, input={"text": "it costs 1"})
            for account in (bench.account, other, bench.account, other)
        ]
    for job in jobs:
        bench.run(job)
    decisions: list[dict[str, object]] = []
    before: int | None = None
    while True:
        with bench.pool.connection() as connection:
            made, before = decisions_page(
                connection, None, Filters(feature=feature.name), before, 3
            )
        decisions += made
        if before is None:
            break
    assert [one.job_id for one in decisions] == [*reversed(jobs)]
    assert [one.account for one in decisions] == ["umbrella", "acme", "umbrella", "acme"]
