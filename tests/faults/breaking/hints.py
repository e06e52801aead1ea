"""Hints that come too often, in any order, and for jobs that nobody waits for; more dispatchers."""

import random

from celery import Celery

from tests.faults.breaking import fault
from tests.faults.scene import Scene
from tierline.base.ids import new_id
from tierline.base.network.broker_urls import kombu_url
from tierline.rules import queues
from workers.hints import publish

OPEN = "SELECT id, queue FROM jobs WHERE completed_at IS NULL"
ENDED = "SELECT id, queue FROM jobs WHERE completed_at IS NOT NULL ORDER BY seq DESC LIMIT 20"
DISPATCHER = ("-m", "workers.dispatcher")


@fault("the same hint ten times")
def repeat_hints(scene: Scene) -> None:
    with _broker(scene) as app:
        for _ in range(5):
            job_rows = scene.rows(OPEN)
            publish(app, [(queue, (str(job_id),)) for job_id, queue in job_rows for _ in range(10)])
            scene.last(0.3)


@fault("hints in any order, of jobs that have ended and of none")
def shuffle_hints(scene: Scene) -> None:
    rng = random.Random(scene.seed)
    with _broker(scene) as app:
        for _ in range(5):
            job_rows = [*scene.rows(OPEN), *scene.rows(ENDED), (new_id(), queues.SLM)]
            rng.shuffle(job_rows)
            publish(app, [(queue, (str(job_id),)) for job_id, queue in job_rows])
            scene.last(0.3)


@fault("two dispatchers")
def two_dispatchers(scene: Scene) -> None:
    with scene.process(*DISPATCHER):
        scene.last(scene.times.lease_s)


@fault("three dispatchers, one of them killed", short=False)
def three_dispatchers(scene: Scene) -> None:
    with scene.process(*DISPATCHER), scene.process(*DISPATCHER) as third:
        scene.last(scene.times.lease_s)
        third.kill()


def _broker(scene: Scene) -> Celery:
    return Celery("faults", broker=kombu_url(str(scene.up.line["redis_url"])))
