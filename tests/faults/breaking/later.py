"""What a later release wrote, beside processes of this one, in the middle of a rollout."""

import uuid

import httpx
import psycopg
from celery import Celery

from tests.faults.breaking import fault
from tests.faults.orders import ACCOUNTS
from tests.faults.scene import PATIENCE_S, ROWS_EVERY_S, Scene
from tests.support.database.rows import add_feature, add_job, of_a_later_release, two_tiers
from tests.support.waiting import wait_until
from tierline.base.network.broker_urls import kombu_url
from tierline.rules import queues
from workers.hints import publish

JOBS = 40
# What its worker gave back waits for a while; nothing else tells that one had it.
GIVEN_BACK = "SELECT count(*) FROM jobs WHERE id = ANY(%s) AND run_after > created_at + '5 s'"
HARMED = """
SELECT count(*) FROM jobs WHERE id = ANY(%s) AND (status <> 'queued' OR attempts > 0 OR losses > 0)
"""
PASSED_SINCE = (
    "SELECT 1 FROM attempts WHERE verdict = 'passed' AND started_at > %s OFFSET 4 LIMIT 1"
)


@fault("a feature version of a later release", others_unharmed=True)
def later_version(scene: Scene) -> None:
    """Jobs of it wait, one process says so, and the jobs of others go on."""
    name = f"later-{uuid.uuid4().hex[:8]}"
    ((account,),) = scene.rows("SELECT id FROM accounts WHERE name = %s", ACCOUNTS[0])
    with scene.database() as connection:
        version = add_feature(connection, two_tiers(name), version=3)
        of_a_later_release(connection, version)
        jobs = [add_job(connection, account, version) for _ in range(JOBS)]
        try:
            _reach_workers(scene, jobs)
            _others_go_on(scene)
            wait_until(lambda: _told(scene, f"feature:{name}:3"), PATIENCE_S, "/readyz to name it")
            scene.last(scene.times.lease_s)  # were a claim of one still held, it would be lost now
            assert scene.rows(HARMED, jobs) == [(0,)], "jobs that nobody here can read were touched"
        finally:
            _remove(connection, name, version)


def _reach_workers(scene: Scene, jobs: list[uuid.UUID]) -> None:
    """Hints of a dispatcher of that release come to workers of this one."""
    with Celery("faults", broker=kombu_url(str(scene.up.line["redis_url"]))) as app:
        publish(app, [(queues.SLM, (str(job_id),)) for job_id in jobs])
    wait_until(
        lambda: scene.rows(GIVEN_BACK, jobs) == [(JOBS,)],
        PATIENCE_S,
        "the workers to give them back",
        ROWS_EVERY_S,
    )


def _others_go_on(scene: Scene) -> None:
    ((now,),) = scene.rows("SELECT clock_timestamp()")
    wait_until(
        lambda: scene.rows(PASSED_SINCE, now), PATIENCE_S, "jobs of others to go on", ROWS_EVERY_S
    )


def _told(scene: Scene, part: str) -> bool:
    answer = httpx.get(f"{scene.apis[0]}/readyz", trust_env=False, timeout=10)
    assert answer.status_code == 200, answer.text
    return part in answer.json()["degraded"]


def _remove(connection: psycopg.Connection, name: str, version: int) -> None:  # type: ignore[type-arg]
    with connection.transaction():
        connection.execute("DELETE FROM features WHERE name = %s", (name,))
        connection.execute(
            "DELETE FROM job_requests WHERE job_id IN"
            " (SELECT id FROM jobs WHERE feature_version_id = %s)",
            (version,),
        )
        connection.execute("DELETE FROM jobs WHERE feature_version_id = %s", (version,))
        connection.execute("DELETE FROM feature_versions WHERE id = %s", (version,))
