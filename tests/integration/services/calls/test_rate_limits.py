"""Limits a minute: shared by all workers through a real Redis, or each a share without it."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
import redis

from tests.support.scenes.bench import Bench
from tierline.base.settings import Settings
from tierline.providers.types import CallFailed
from tierline.rules.causes import Cause
from tierline.rules.rate_limits import RateLimit, burst
from tierline.services.calls import calls
from tierline.services.calls.admission import Admission
from tierline.services.calls.rate_limits import RateLimits
from tierline.services.jobs.dispatching.dispatch import Dispatch

MODEL = "openai:limited"
NOWHERE = "redis://127.0.0.1:1/0"


@pytest.fixture(autouse=True)
def full_buckets(redis_url: str) -> Iterator[None]:
    with redis.Redis.from_url(redis_url) as broker:
        for key in broker.scan_iter("tierline:rate:*"):
            broker.delete(key)
        yield


def limited(bench: Bench, text: str, **more: str) -> RateLimits:
    return RateLimits(bench.pool, settings(bench, text, **more))


def settings(bench: Bench, text: str, **more: str) -> Settings:
    known = {"REDIS_URL": bench.executor.settings.broker, "OPENAI_API_KEY": "sk-one", **more}
    return Settings(rate_limits=text, **known)  # type: ignore[arg-type]


def went(limits: RateLimits, tokens: int = 1, model: str = MODEL) -> bool:
    try:
        limits.take(model, tokens)
    except CallFailed:
        return False
    return True


def test_of_many_workers_at_once_no_more_go_than_the_limit_lets(bench: Bench) -> None:
    workers = [limited(bench, f"{MODEL}=200/-") for _ in range(4)]
    with ThreadPoolExecutor(16) as threads:
        gone = sum(threads.map(went, workers * 16))
    assert burst(200) <= gone <= burst(200) + 3  # what came in during the test itself


def test_who_may_not_go_is_told_how_long_to_wait(bench: Bench) -> None:
    limits = limited(bench, f"{MODEL}=6/-")
    assert went(limits)
    with pytest.raises(CallFailed) as stopped:
        limits.take(MODEL, 1)
    assert stopped.value.cause is Cause.RATE_LIMITED
    assert 5 < (stopped.value.retry_after_s or 0) <= 10


def test_the_tokens_of_all_workers_are_one_sum(bench: Bench) -> None:
    one, another = (limited(bench, f"{MODEL}=-/6000") for _ in range(2))
    assert went(one, 290)
    assert not went(another, 290)


def test_what_a_call_did_not_use_is_there_for_the_next(bench: Bench) -> None:
    limits = limited(bench, f"{MODEL}=-/6000")
    taken = limits.take(MODEL, 290)
    assert taken is not None
    limits.settle(taken, 10)
    assert went(limits, 280)


def test_what_redis_did_not_count_is_not_given_back_to_it(bench: Bench) -> None:
    limits = limited(bench, f"{MODEL}=-/6000")
    assert went(limits, 290)
    limits.away_until_s = time.monotonic() + 60
    taken = limits.take(MODEL, 290)
    limits.away_until_s = 0.0
    if taken is not None:
        limits.settle(taken, 0)
    assert not went(limits, 280)


def test_a_providers_limit_is_its_models_together(bench: Bench) -> None:
    limits = limited(bench, "openai=1")
    assert went(limits, model="openai:a")
    assert not went(limits, model="openai:b")
    assert went(limits, model="mistral:b")


def test_a_request_that_one_limit_stops_is_not_counted_by_the_other(bench: Bench) -> None:
    limits = limited(bench, "openai:a=60/-,openai=1")
    assert went(limits, model="openai:a")
    for _ in range(10):
        assert not went(limits, model="openai:a")
    assert went(limited(bench, "openai:a=60/-"), model="openai:a")


def test_another_key_has_limits_of_its_own_and_the_key_cannot_be_read_there(
    bench: Bench, redis_url: str
) -> None:
    assert went(limited(bench, "openai=1"))
    assert went(limited(bench, "openai=1", OPENAI_API_KEY="sk-two"))
    with redis.Redis.from_url(redis_url) as broker:
        names = [key.decode() for key in broker.scan_iter("tierline:rate:*")]
    assert len(names) == 2
    assert not any("sk-" in name for name in names)


def test_without_redis_each_process_keeps_to_its_share(bench: Bench) -> None:
    with bench.pool.connection() as connection:
        for place in range(4):
            connection.execute(
                "INSERT INTO worker_beats (worker, name, queues, threads, beat, tokens)"
                " VALUES (%s, %s, '{slm}', 16, 1, '{}')",
                (uuid4(), f"slm-{place}"),
            )
    try:
        alone = limited(bench, f"{MODEL}=400/-", REDIS_URL=NOWHERE)
        gone = sum(went(alone) for _ in range(50))
    finally:
        bench.all("DELETE FROM worker_beats RETURNING worker")
    assert gone == burst(100)


def test_a_job_over_the_limit_waits_and_nothing_is_sent(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = settings(bench, "openai:small=1/-")
    monkeypatch.setattr(bench.executor, "admission", Admission(bench.pool, config))
    bench.server.answer = lambda _: '{"amount": 12.5}'
    bench.server.calls.clear()
    version, _ = bench.apply()
    first, second = bench.submit(version), bench.submit(version)
    bench.run(first)
    bench.run(second)
    assert bench.job(first)["status"] == "completed"
    job_row = bench.job(second)
    assert (job_row["status"], job_row["failures"], job_row["tier"]) == ("queued", 0, "slm")
    assert bench.verdicts(second) == ["rate_limited"]
    assert len(bench.server.calls) == 1


def test_the_later_calls_of_an_attempt_wait_so_that_the_earlier_ones_are_not_paid_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = settings(bench, "openai:small=38/-")  # one call at once
    monkeypatch.setattr(bench.executor, "admission", Admission(bench.pool, config))
    answers = iter(["{}", '{"amount": 12.5}'])
    bench.server.answer = lambda _: next(answers)
    bench.server.calls.clear()
    version, _ = bench.apply(slm="    reask: true")
    job = bench.submit(version)
    bench.run(job)
    assert (bench.job(job)["status"], bench.verdicts(job)) == ("completed", ["passed"])
    assert len(bench.server.calls) == 2


def test_an_attempt_that_must_wait_too_long_gives_its_job_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = settings(bench, "openai:small=38/-")
    monkeypatch.setattr(bench.executor, "admission", Admission(bench.pool, config))
    monkeypatch.setattr(calls, "MOST_WAIT_S", 0.0)
    bench.server.answer = lambda _: "{}"
    version, _ = bench.apply(slm="    reask: true")
    job = bench.submit(version)
    bench.run(job)
    assert (bench.job(job)["status"], bench.verdicts(job)) == ("queued", ["rate_limited"])


def test_hints_go_out_no_faster_than_the_limit(bench: Bench) -> None:
    bench.all("UPDATE jobs SET run_after = 'infinity' WHERE status = 'queued' RETURNING id")
    version, _ = bench.apply(models="[openai:paced]")
    for _ in range(20):
        bench.submit(version)
    dispatch = Dispatch(4, rate_limits={"openai:paced": RateLimit(60)})
    assert len(dispatch.choose(bench.pool, "slm", 64).queue_of) == burst(60)
    assert len(dispatch.choose(bench.pool, "slm", 64).queue_of) <= 1


def test_a_job_of_several_calls_is_paced_by_all_of_them(bench: Bench) -> None:
    bench.all("UPDATE jobs SET run_after = 'infinity' WHERE status = 'queued' RETURNING id")
    five = "confidence: {signal: agreement, samples: 5, threshold: 0.6}"
    version, _ = bench.apply(more=five, models="[openai:paced]")
    for _ in range(20):
        bench.submit(version)
    dispatch = Dispatch(4, rate_limits={"openai:paced": RateLimit(600)})
    assert len(dispatch.choose(bench.pool, "slm", 64).queue_of) <= burst(600) // 5 + 1
