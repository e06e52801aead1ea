"""Reviews: who is asked to label which answer, and that no label counts twice."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest

from tests.support.scenes.bench import RIGHT, Bench, by_model
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.base.errors import Conflict, NotFound
from tierline.base.ids import new_id
from tierline.services.evidence.calibration.calibration_outcomes import draw_for_labels
from tierline.services.evidence.labels import label_outcomes, reviews
from tierline.services.evidence.labels.feedback import AnswerFeedback, give_feedback, give_many
from tierline.services.evidence.labels.reviews import LabelledByAnother, Reviewer
from tierline.services.jobs.read_jobs import Filters
from tierline.services.upkeep.retention import remove_content
from tierline.storage.evidence import outcome_labels
from tierline.storage.evidence.reviews import lock_of_job

EXPECTED = AnswerFeedback(expected={"amount": 12.5})


class Room:
    """A feature with ended jobs, and people who label them."""

    def __init__(self, bench: Bench, jobs: int, *, second_share: float = 0.0) -> None:
        self.bench = bench
        bench.server.answer = by_model(small=RIGHT, large=RIGHT)
        version, feature = bench.apply()
        self.name = feature.name
        self.jobs = [bench.submit(version, f"{number}: it costs 12.50") for number in range(jobs)]
        for job in self.jobs:
            bench.run(job)
        self.ann, self.bob = Reviewer(bench.account, 1), Reviewer(bench.account, 2)
        if jobs:
            self.draw(jobs, second_share)

    def draw(self, count: int, second_share: float = 0.0) -> int:
        with self.bench.pool.connection() as connection:
            drawn = draw_for_labels(
                connection,
                self.name,
                count,
                account_id=self.bench.account,
                second_share=second_share,
                only_new=True,
            )
        return len(drawn)

    def take(self, who: Reviewer) -> UUID | None:
        with self.bench.pool.connection() as connection:
            review = reviews.take_next(connection, who, self.name)
        return None if review is None else review.job_id

    def label(self, who: Reviewer, job: UUID, feedback: AnswerFeedback = EXPECTED) -> bool:
        with self.bench.pool.connection() as connection:
            return reviews.label(connection, who, job, feedback)

    def queue(self) -> list[UUID]:
        with self.bench.pool.connection() as connection:
            rows = reviews.requested_labels(connection, self.bench.account, self.name, None, 100)
        return [row.job_id for row in rows]

    def labels(self, job: UUID) -> int:
        return len(self.bench.all("SELECT FROM feedback WHERE job_id = %s", job))


def test_what_was_drawn_is_in_the_queue_until_it_has_a_label(bench: Bench) -> None:
    room = Room(bench, 3)
    assert set(room.queue()) == set(room.jobs)
    assert room.draw(3) == 0, "what is asked is not drawn again"
    first = room.take(room.ann)
    assert first is not None
    assert room.label(room.ann, first)
    with bench.pool.connection() as connection:
        give_feedback(connection, bench.account, room.jobs[1], EXPECTED)  # without a key
    left = set(room.jobs) - {first, room.jobs[1]}
    assert set(room.queue()) == left
    assert room.take(room.bob) in (left or {None})


def test_the_queue_is_paged_by_its_rows(bench: Bench) -> None:
    room = Room(bench, 5)
    jobs: list[UUID] = []
    after: int | None = None
    with bench.pool.connection() as connection:
        while page := reviews.requested_labels(connection, bench.account, room.name, after, 2):
            jobs += [row.job_id for row in page]
            after = page[-1].id
        others = reviews.requested_labels(connection, bench.account + 1, room.name, None, 10)
    assert jobs == room.queue()
    assert len(jobs) == 5
    assert others == []


def test_people_at_once_get_different_answers_and_each_keeps_its_own(bench: Bench) -> None:
    room = Room(bench, 4)
    people = [Reviewer(bench.account, number) for number in range(1, 6)]
    start = threading.Barrier(len(people))

    def take(who: Reviewer) -> UUID | None:
        start.wait()
        return room.take(who)

    with ThreadPoolExecutor(len(people)) as crowd:
        taken = list(crowd.map(take, people))
    got = [job for job in taken if job is not None]
    assert len(got) == len(set(got))
    assert len(got) >= 3, "a row that another just takes may be passed by"
    for who, job in zip(people, taken, strict=True):
        if job is not None:
            assert room.take(who) == job, "the page opened again shows the same answer"


def test_two_people_with_the_same_answer_at_once_do_not_both_count(bench: Bench) -> None:
    room = Room(bench, 1)
    (job,) = room.jobs
    people = [Reviewer(bench.account, number) for number in range(1, 5)]
    start = threading.Barrier(len(people))

    def label(who: Reviewer) -> str:
        start.wait()
        try:
            return "stored" if room.label(who, job) else "said before"
        except LabelledByAnother:
            return "another"

    with ThreadPoolExecutor(len(people)) as crowd:
        results = sorted(crowd.map(label, people))
    assert results == ["another", "another", "another", "stored"]
    assert room.labels(job) == 1


def test_a_form_sent_again_and_at_once_is_stored_once(bench: Bench) -> None:
    room = Room(bench, 1)
    (job,) = room.jobs
    start = threading.Barrier(3)

    def label(_: int) -> bool:
        start.wait()
        return room.label(room.ann, job)

    with ThreadPoolExecutor(3) as tabs:
        assert sorted(tabs.map(label, range(3))) == [False, False, True]
    assert room.label(room.ann, job, AnswerFeedback(correct=False)) is False
    assert room.labels(job) == 1


def test_an_answer_that_one_person_left_open_goes_to_another_after_a_while(bench: Bench) -> None:
    room = Room(bench, 1)
    (job,) = room.jobs
    assert room.take(room.ann) == job
    assert room.take(room.bob) is None
    bench.all("UPDATE reviews SET held_until = clock_timestamp() RETURNING id")
    assert room.take(room.bob) == job
    assert room.label(room.bob, job)
    with pytest.raises(LabelledByAnother):
        room.label(room.ann, job)


def test_what_is_skipped_goes_to_others_until_it_is_asked_again(bench: Bench) -> None:
    room = Room(bench, 1)
    (job,) = room.jobs
    assert room.take(room.ann) == job
    with bench.pool.connection() as connection:
        for _ in range(2):
            reviews.skip(connection, room.ann, job)
        counts = {one.feature: one for one in reviews.open_counts(connection, room.ann)}
    assert (counts[room.name].open, counts[room.name].for_me) == (1, 0)
    assert room.take(room.ann) is None
    assert room.take(room.bob) == job
    with bench.pool.connection() as connection:
        reviews.skip(connection, room.bob, job)
        assert reviews.ask_again(connection, room.ann, room.name) == 1
        with pytest.raises(NotFound):
            reviews.skip(connection, room.ann, new_id())
    assert room.take(room.ann) == job


def test_a_share_is_labelled_by_two_people_and_their_agreement_is_shown(bench: Bench) -> None:
    room = Room(bench, 4, second_share=1.0)
    assert len(room.queue()) == 8
    for number, job in enumerate(room.jobs):
        room.label(room.ann, job, AnswerFeedback(correct=number < 2))
        assert room.label(room.ann, job) is False, "the second label is another person's"
        room.label(room.bob, job, AnswerFeedback(correct=number < 3))
    assert room.queue() == []
    with bench.pool.connection() as connection:
        agreed = reviews.progress(connection, bench.account, room.name).agreement
    # Cohen's kappa: observed 3/4; expected 1/2 * 3/4 + 1/2 * 1/4 = 1/2
    assert (agreed.answers, agreed.same, agreed.kappa) == (4, 3, 0.5)


def test_a_corrected_answer_counts_as_right_if_it_says_the_same(bench: Bench) -> None:
    room = Room(bench, 2)
    room.label(room.ann, room.jobs[0], AnswerFeedback(expected={"amount": 12.5}))
    room.label(room.ann, room.jobs[1], AnswerFeedback(expected={"amount": 13}))
    labels = dict(bench.all("SELECT job_id, is_right FROM reviews WHERE feature = %s", room.name))
    assert labels == {room.jobs[0]: True, room.jobs[1]: False}


def test_removing_content_takes_the_answer_out_of_the_queue(bench: Bench) -> None:
    room = Room(bench, 2)
    with bench.pool.connection() as connection:
        remove_content(connection, bench.account, room.jobs[0])
    assert room.queue() == [room.jobs[1]]
    with pytest.raises(Conflict, match="removed"):
        room.label(room.ann, room.jobs[0])


def test_the_jobs_of_a_filter_are_asked_once(bench: Bench) -> None:
    room = Room(bench, 0)
    version, feature = bench.apply()
    jobs = [bench.submit(version, f"{number}: it costs 12.50") for number in range(4)]
    for job in jobs[:3]:
        bench.run(job)

    def ask(filters: Filters, count: int = 10) -> Any:
        with bench.pool.connection() as connection:
            return reviews.ask_for_filter(connection, bench.account, filters, count, 0.0)

    of_feature = Filters(feature=feature.name)
    assert ask(Filters(feature=feature.name, status="queued")) == 0
    assert ask(of_feature, 2) == 2
    assert ask(of_feature) == 1
    assert ask(of_feature) == 0
    room.name = feature.name
    assert set(room.queue()) == set(jobs[:3])


def test_progress_says_what_a_promise_and_an_evaluation_need(bench: Bench) -> None:
    bench.server.answer = by_model(small=RIGHT, large=RIGHT)
    version, feature = bench.apply("shadow: {share: 1.0}")
    jobs = [bench.submit(version, f"{number}: it costs 12.50") for number in range(3)]
    for job in jobs:
        bench.run(job)
    with bench.pool.connection() as connection:
        drawn = draw_for_labels(connection, feature.name, 2)
        give_feedback(connection, bench.account, drawn[0].job_id, EXPECTED, 1)
        progress = reviews.progress(connection, bench.account, feature.name)
        plain = reviews.progress(connection, bench.account, Room(bench, 0).name)
    assert progress.needed_for_evaluation == 500
    assert progress.labels == 1
    assert progress.promise is not None
    assert (progress.promise.asked, progress.promise.labelled) == (2, 1)
    assert progress.promise.needed is not None
    assert progress.promise.needed > 50
    assert plain.promise is None
    assert plain.agreement.kappa is None


def test_feedback_on_many_jobs_locks_them_in_one_order(bench: Bench) -> None:
    room = Room(bench, 2)
    low, high = sorted(room.jobs)
    waits = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'"
    with (
        bench.pool.connection() as first,
        bench.pool.connection() as second,
        ThreadPoolExecutor(1) as thread,
    ):
        pid = second.info.backend_pid
        with first.transaction():
            lock_of_job(first, low)
            given = [(high, EXPECTED), (low, EXPECTED)]
            other = thread.submit(give_many, second, bench.account, given, key_id=2)
            wait_until(lambda: bench.one(waits, pid) == 1, DEADLINE_S, "the other call to wait")
            lock_of_job(first, high)  # the other one does not hold it
        assert other.result(DEADLINE_S) == 2


def test_only_the_content_of_drawn_jobs_is_read_and_not_all_at_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = Room(bench, 5)
    bench.all("DELETE FROM reviews WHERE job_id = ANY(%s) RETURNING id", room.jobs)
    bench.all("DELETE FROM outcomes WHERE job_id = ANY(%s) RETURNING job_id", room.jobs)
    monkeypatch.setattr(label_outcomes, "AT_ONCE", 2)
    read: list[int] = []
    ended_jobs = outcome_labels.ended_jobs

    def note(connection: Any, feature: str, tier: str, jobs: Sequence[UUID]) -> Any:
        read.append(len(jobs))
        return ended_jobs(connection, feature, tier, jobs)

    monkeypatch.setattr(outcome_labels, "ended_jobs", note)
    assert room.draw(3) == 3
    assert read == [2, 1]
    assert len(room.queue()) == 3
