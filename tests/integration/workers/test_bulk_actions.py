"""A bulk action with the real processes and no client: it goes on, whoever is killed."""

import os
from uuid import UUID

import psycopg
import pytest

from tests.support.database.rows import add_account, add_feature, add_job, end_job, two_tiers
from tests.support.processes.started import process
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.rules.bulk_actions import Action
from tierline.services.operations import bulk_actions
from tierline.services.operations.bulk_actions import BulkRequest, Filters


@pytest.mark.usefixtures("environment")
def test_it_goes_on_by_itself_and_a_killed_worker_of_maintenance_repeats_nothing(
    database_url: str,
) -> None:
    with psycopg.connect(database_url, autocommit=True) as db:
        account, version = add_account(db, "acme"), add_feature(db, two_tiers())
        jobs = [add_job(db, account, version, input={"text": f"{number}"}) for number in range(20)]
        for job in jobs:
            end_job(db, str(job), "failed")
        environment = dict(os.environ)
        worker = ("-m", "workers", "--queues", "maintenance", "--name")
        made, _ = bulk_actions.begin(db, account, 1, BulkRequest(Action.RETRY, Filters()))

        def done() -> int:
            return bulk_actions.action_of(db, account, made.id).done

        with process(["-m", "workers.dispatcher"], environment):
            with psycopg.connect(database_url) as holding:
                holding.execute("SELECT FROM jobs WHERE id = %s FOR UPDATE", (jobs[10],))
                with process([*worker, "first"], environment) as first:
                    wait_until(lambda: done() >= 9, DEADLINE_S, "the first jobs to be done")
                    first.kill()
                    first.wait(30)
            with process([*worker, "second"], environment):
                wait_until(
                    lambda: bulk_actions.action_of(db, account, made.id).ended_at is not None,
                    DEADLINE_S,
                    "the action to end",
                )
        action = bulk_actions.action_of(db, account, made.id)
        again = db.execute(
            "SELECT decision #>> '{signals,of_job}' FROM job_requests"
            " WHERE decision #>> '{signals,bulk_action}' = %s",
            (str(made.id),),
        ).fetchall()
    assert (action.status, action.done + action.failed) == ("completed", len(jobs))
    assert len(again) == len(set(again)) == action.done
    assert {UUID(job) for (job,) in again} <= set(jobs)
