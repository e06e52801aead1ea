"""Retries and waits, as steps without I/O: each outcome is given, and time stands still."""

import json
from typing import Any

import pytest

from tierline_client import calls
from tierline_client.calls import Answer, Submission
from tierline_client.errors import (
    InvalidInput,
    LimitReached,
    NotFound,
    TierlineError,
    Unavailable,
    WaitTimeout,
)
from tierline_client.steps import (
    POLL,
    STREAM,
    WATCH,
    AskRoom,
    Follow,
    Followed,
    Now,
    Retries,
    Send,
    Sleep,
    Step,
    Steps,
    Watch,
    advance,
    send,
)
from tierline_client.waiting import GIVE_UP_S, submit_and_wait, wait_for

SILENCE = Unavailable("nothing answers")


def answer(status: int, body: Any = None, **headers: str) -> Answer:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, names, json.dumps(body).encode())


def job(status: str = "completed") -> dict[str, str]:
    return {"id": "j-1", "status": status}


class Played:
    """Carries out steps with outcomes from a list; time passes only in Sleep, Follow and Watch."""

    def __init__(self, *outcomes: Any, way: str = STREAM) -> None:
        self.outcomes = list(outcomes)
        self.way = way
        self.now_s = 0.0
        self.slept: list[float] = []
        self.done: list[Step] = []

    def run(self, steps: Steps[Any]) -> Any:
        outcome: tuple[Any, TierlineError | None] = (None, None)
        while True:
            try:
                step = advance(steps, outcome)
            except StopIteration as end:
                return end.value
            outcome = self._do(step)

    def _do(self, step: Step) -> tuple[Any, TierlineError | None]:
        if isinstance(step, Now):
            return self.now_s, None
        if isinstance(step, AskRoom):
            return self.way, None
        if isinstance(step, Sleep):
            self.slept.append(step.seconds)
            self.now_s += step.seconds
            return None, None
        self.done.append(step)
        outcome = self.outcomes.pop(0)
        self.now_s += 1.0
        return (None, outcome) if isinstance(outcome, TierlineError) else (outcome, None)

    @property
    def sent(self) -> list[calls.Call[Any]]:
        return [step.call for step in self.done if isinstance(step, Send)]


CALL = calls.submit(Submission("echo", {"text": "a"}), "key-1")


def test_a_passing_failure_is_repeated_with_the_same_key() -> None:
    played = Played(SILENCE, answer(503, {}), answer(202, job()))
    assert played.run(send(CALL, Retries())) == job()
    assert {call.headers["Idempotency-Key"] for call in played.sent} == {"key-1"}
    assert len(played.sent) == 3
    assert all(0 < pause_s <= 0.5 for pause_s in played.slept)


def test_retry_after_is_obeyed() -> None:
    played = Played(answer(429, {}, retry_after="7"), answer(202, job()))
    played.run(send(CALL, Retries()))
    assert played.slept == [7.0]


def test_a_longer_retry_after_than_a_caller_would_wait_is_an_error() -> None:
    played = Played(answer(429, {"detail": "full"}, retry_after="3600"))
    with pytest.raises(LimitReached) as full:
        played.run(send(CALL, Retries()))
    assert full.value.retry_after_s == 3600
    assert played.slept == []


@pytest.mark.parametrize(("retries", "sent"), [(0, 1), (2, 3), (5, 6)])
def test_retries_end(retries: int, sent: int) -> None:
    played = Played(*[answer(503, {"detail": "away"})] * 9)
    with pytest.raises(Unavailable, match="away"):
        played.run(send(CALL, Retries(most=retries)))
    assert len(played.sent) == sent


def test_what_is_wrong_is_not_repeated() -> None:
    problem = {
        "type": "urn:tierline:problem:invalid",
        "detail": "x",
        "errors": [{"path": "/input", "message": "is missing"}],
    }
    played = Played(answer(422, problem, request_id="r-1"))
    with pytest.raises(InvalidInput, match="/input: is missing") as wrong:
        played.run(send(CALL, Retries()))
    assert (wrong.value.type, wrong.value.request_id) == ("invalid", "r-1")
    assert len(played.sent) == 1


def test_pauses_grow_and_vary() -> None:
    retries = Retries()
    pauses = [[retries.pause_s(tries, None) for _ in range(50)] for tries in (1, 2, 3, 20)]
    for pause_s, most_s in zip(pauses, (0.25, 0.5, 1.0, 8.0), strict=True):
        assert most_s / 2 <= min(pause_s) < max(pause_s) <= most_s


def test_a_wait_reads_the_stream() -> None:
    played = Played(Followed(job(), "4"))
    assert played.run(wait_for("j-1", None, Retries())) == job()


def test_a_broken_stream_is_resumed_after_its_last_event() -> None:
    played = Played(Followed(None, "1"), Followed(job(), "4"))
    assert played.run(wait_for("j-1", None, Retries())) == job()
    follows = [step for step in played.done if isinstance(step, Follow)]
    assert [step.last_id for step in follows] == [None, "1"]


def test_without_room_for_a_stream_the_job_is_polled() -> None:
    refused = Followed(answer=answer(429, {}, retry_after="5"))
    waited = answer(200, job("queued"), preference_applied="wait=20")
    played = Played(refused, waited, waited, answer(200, job()))
    assert played.run(wait_for("j-1", None, Retries())) == job()
    assert [call.headers for call in played.sent] == [{"Prefer": "wait=20"}] * 3
    assert played.slept == []


def test_an_api_without_long_polls_is_asked_when_it_says() -> None:
    played = Played(answer(200, job("queued"), retry_after="3"), answer(200, job()), way=POLL)
    assert played.run(wait_for("j-1", None, Retries())) == job()
    assert played.slept == [3.0]


def test_a_wait_goes_on_while_the_api_is_away() -> None:
    away = [SILENCE] * 30
    played = Played(*away, answer(200, job()), way=POLL)
    assert played.run(wait_for("j-1", None, Retries())) == job()
    assert len(played.slept) == 30
    assert max(played.slept) <= 5.0


def test_a_wait_ends_if_the_api_stays_away() -> None:
    played = Played(*[SILENCE] * 1000, way=POLL)
    with pytest.raises(Unavailable):
        played.run(wait_for("j-1", None, Retries()))
    assert played.now_s > GIVE_UP_S


@pytest.mark.parametrize("way", [STREAM, POLL, WATCH])
def test_a_wait_has_a_timeout(way: str) -> None:
    quiet = {STREAM: Followed(), WATCH: None}.get(way)
    polled = answer(200, job("queued"), preference_applied="wait=20")
    played = Played(*([quiet, polled] if way != POLL else [polled]) * 50, way=way)
    with pytest.raises(WaitTimeout) as late:
        played.run(wait_for("j-1", 7.0, Retries()))
    assert late.value.job_id == "j-1"
    assert 7.0 <= played.now_s < 15.0


def test_a_job_that_is_not_there_ends_the_wait() -> None:
    played = Played(Followed(answer=answer(404, {})), answer(404, {"detail": "there is no job"}))
    with pytest.raises(NotFound):
        played.run(wait_for("j-1", None, Retries()))


def test_watched_jobs_are_asked_for_together() -> None:
    played = Played(job(), way=WATCH)
    assert played.run(wait_for("j-1", 9.0, Retries())) == job()
    assert played.done == [Watch("j-1", 9.0)]


def submitted(*outcomes: Any, timeout_s: float | None = None) -> tuple[Played, Any]:
    played = Played(*outcomes)
    return played, submit_and_wait(Submission("echo", 1), "key-1", timeout_s, Retries())


def test_a_submission_and_its_wait_are_one_request() -> None:
    played, steps = submitted(answer(200, job()))
    assert played.run(steps) == job()
    assert [call.headers["Prefer"] for call in played.sent] == ["wait=20"]


def test_a_job_that_takes_longer_is_followed() -> None:
    played, steps = submitted(answer(202, job("queued")), Followed(job(), "4"))
    assert played.run(steps) == job()
    assert played.done[-1] == Follow("j-1", None, None)


def test_the_wait_of_a_submission_is_no_longer_than_the_timeout() -> None:
    played, steps = submitted(answer(202, job("queued")), timeout_s=0.5)
    with pytest.raises(WaitTimeout) as late:
        played.run(steps)
    assert late.value.job_id == "j-1"
    assert [call.headers["Prefer"] for call in played.sent] == ["wait=0.5"]


def test_a_submission_that_the_api_may_have_is_repeated_with_its_key_until_it_answers() -> None:
    broken = Unavailable("the connection failed")
    broken.maybe_received = True
    played, steps = submitted(broken, *[SILENCE] * 20, answer(200, job()))
    assert played.run(steps) == job()
    assert {call.headers["Idempotency-Key"] for call in played.sent} == {"key-1"}
    assert len(played.sent) == 22


def test_a_submission_to_an_api_that_is_away_fails_after_its_retries() -> None:
    played, steps = submitted(*[SILENCE] * 9)
    with pytest.raises(Unavailable):
        played.run(steps)
    assert len(played.sent) == 3


def test_a_refused_submission_is_an_error_at_once() -> None:
    played, steps = submitted(answer(422, {"detail": "wrong"}))
    with pytest.raises(InvalidInput, match="wrong"):
        played.run(steps)
    assert len(played.sent) == 1


def test_one_of_many_waits_is_submitted_without_a_wait() -> None:
    played = Played(answer(202, job("queued")), job(), way=WATCH)
    steps = submit_and_wait(Submission("echo", 1), "key-1", None, Retries())
    assert played.run(steps) == job()
    assert "Prefer" not in played.sent[0].headers
