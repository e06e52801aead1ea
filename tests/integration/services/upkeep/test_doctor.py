"""Each flaw is planted in a sound database, and found by its name."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest
from psycopg.errors import LockNotAvailable

from tests.support.database.past import Past, past_weeks
from tests.support.database.rows import add_job
from tests.support.database.sums import roll_up_all
from tierline.base.ids import new_id
from tierline.base.settings import settings
from tierline.cli import main
from tierline.rules.partitions import WEEK, name_of, week_of
from tierline.services.upkeep.doctor import Checked, examine
from tierline.storage.upkeep import doctor, history, partitions

Plant = Callable[[Past, UUID], object]


def sql(*statements: str) -> Plant:
    """Statements on a job that ended, whose id stands for each %s."""

    def plant(past: Past, job: UUID) -> None:
        for statement in statements:
            past.connection.execute(statement.encode(), [job] * statement.count("%s"))

    return plant


def feedback_of_nothing(past: Past, _: UUID) -> None:
    past.connection.execute(
        "INSERT INTO feedback (job_id, account_id, correct) VALUES (%s, %s, true)",
        (new_id(), past.account),
    )


def in_two_parts(past: Past, job: UUID) -> None:
    past.connection.execute(
        "INSERT INTO jobs (id, account_id, feature_version_id, status, tier, tier_index, queue)"
        " SELECT id, account_id, feature_version_id, 'queued', tier, tier_index, queue FROM jobs"
        " WHERE id = %s",
        (job,),
    )


def webhook_of_nothing(past: Past, _: UUID) -> None:
    past.delivery(new_id(), 0, "pending")


ORPHANED = sql("DELETE FROM jobs WHERE id = %s")
FLAWS: dict[str, Plant] = {
    "job_requests_without_job": ORPHANED,
    "attempts_without_job": ORPHANED,
    "calls_without_job": ORPHANED,
    "answers_without_job": ORPHANED,
    "outcomes_without_job": ORPHANED,
    "feedback_without_job": feedback_of_nothing,
    "evaluation_answers_without_job": sql(
        "INSERT INTO evaluation_answers (job_id, evaluation_id, tier, number)"
        " VALUES (%s, 1, 'slm', 1)",
        "DELETE FROM jobs WHERE id = %s",
    ),
    "evaluation_judgements_without_job": sql(
        "INSERT INTO evaluation_judgements (job_id, evaluation_id, tier, number, swapped)"
        " VALUES (%s, 1, 'slm', 1, false)",
        "DELETE FROM jobs WHERE id = %s",
    ),
    "reservations_without_job": sql(
        "INSERT INTO reservations (job_id, attempt, number, periods, amount_usd)"
        " VALUES (%s, 1, 1, '{}', 1)",
        "DELETE FROM jobs WHERE id = %s",
    ),
    "jobs_without_request": sql("DELETE FROM job_requests WHERE job_id = %s"),
    "jobs_without_account": sql("UPDATE jobs SET account_id = 12345 WHERE id = %s"),
    "jobs_without_version": sql("UPDATE jobs SET feature_version_id = 12345 WHERE id = %s"),
    "jobs_without_batch": sql("UPDATE jobs SET batch_id = gen_random_uuid() WHERE id = %s"),
    "calls_of_another_account": sql("UPDATE calls SET account_id = 12345 WHERE job_id = %s"),
    "webhooks_without_job": webhook_of_nothing,
    "ended_among_live_jobs": sql("UPDATE jobs SET part = 1 WHERE id = %s"),
    "jobs_in_two_parts": in_two_parts,
    "ended_without_end": sql(
        "UPDATE jobs SET part = 1, completed_at = NULL, status = 'failed' WHERE id = %s"
    ),
    "sums_differ": sql("UPDATE calls SET cost_usd = 7 WHERE job_id = %s"),
}


@pytest.fixture(scope="module")
def sound(environment: None, database_url: str) -> Iterator[tuple[Past, UUID]]:
    """A sound database, and a job of this or the last week that ended and is in the sums."""
    with past_weeks(database_url) as past:
        past.job(3)
        job = past.job(1)
        add_job(past.connection, past.account, past.version)
        roll_up_all(past.pool)
        yield past, job


@pytest.fixture
def past(past_database_url: str) -> Iterator[Past]:
    with past_weeks(past_database_url) as made:
        yield made


def flaws(past: Past, days: float = 14) -> dict[str, Checked]:
    return {one.flaw: one for one in examine(past.connection, days) if not one.ok}


def test_a_sound_database_has_no_flaw(sound: tuple[Past, UUID]) -> None:
    assert flaws(sound[0]) == {}


def test_each_flaw_of_rows_is_planted_here() -> None:
    assert set(FLAWS) == set(doctor.STATEMENTS)


@pytest.mark.parametrize("flaw", FLAWS)
def test_a_flaw_is_found_by_its_name(flaw: str, sound: tuple[Past, UUID]) -> None:
    past, job = sound
    with past.connection.transaction(force_rollback=True):
        FLAWS[flaw](past, job)
        found = flaws(past)
    assert found[flaw].count == 1
    assert found[flaw].meaning
    assert flaws(past) == {}


def test_what_is_older_than_the_days_asked_for_is_not_read(sound: tuple[Past, UUID]) -> None:
    past, job = sound
    with past.connection.transaction(force_rollback=True):
        ORPHANED(past, job)
        assert "calls_without_job" in flaws(past, 14)
        assert flaws(past, 0.01) == {}


def test_partitions_that_run_out_are_told(past: Past) -> None:
    for weeks in (1, 2, 3):
        name = name_of("answers", week_of(past.now) + weeks * WEEK)
        past.connection.execute(f"DROP TABLE IF EXISTS {name}".encode())
    left = (week_of(past.now) + WEEK - past.now) / timedelta(days=1)
    told = flaws(past).get("partitions_missing")
    assert (told is not None) == (left < 3)
    past.connection.execute(f"DROP TABLE {name_of('answers', week_of(past.now))}".encode())
    assert flaws(past)["partitions_missing"].examples == ["answers: 0.0 days left"]


def test_a_removal_that_was_interrupted_is_told(past: Past) -> None:
    first, following = partitions.every(past.connection)["calls"][:2]
    with history.alone(past.connection):
        history.detach(past.connection, "calls", first)
    assert flaws(past)["removal_unfinished"].examples == [first.name]
    with psycopg.connect(past.url) as reader:
        reader.execute("SELECT count(*) FROM calls")
        with pytest.raises(LockNotAvailable), history.alone(past.connection):
            history.detach(past.connection, "calls", following)
    assert flaws(past)["detach_interrupted"].examples == [following.name]


def test_what_there_is_no_time_for_is_not_said_to_be_sound(past: Past) -> None:
    with psycopg.connect(past.url) as locking:
        locking.execute("LOCK TABLE feedback IN ACCESS EXCLUSIVE MODE")
        flaws = {one.flaw: one for one in examine(past.connection, 7, 2.0)}
    assert flaws["calls_without_job"].ok
    assert flaws["feedback_without_job"].count is None
    assert flaws["sums_differ"].why == "there was no time left of 2 s"


def test_the_command_exits_with_1_if_it_finds_something(
    past: Past, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", past.url)
    settings.cache_clear()
    job = past.job(1)
    assert main.run(["doctor", "--days", "14"]) == 0
    assert "checks found nothing" in capsys.readouterr().out
    past.connection.execute("DELETE FROM job_requests WHERE job_id = %s", (job,))
    assert main.run(["doctor", "--days", "14"]) == 1
    assert "jobs_without_request" in capsys.readouterr().out
    assert main.run(["doctor", "--days", "14", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["ok"] is False
    (flaw,) = [one for one in document["checks"] if one["found"]]
    assert flaw["flaw"] == "jobs_without_request"
    assert flaw["examples"] == [str(job)]
    settings.cache_clear()
