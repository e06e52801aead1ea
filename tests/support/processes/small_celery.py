"""A Celery app with two tasks, to look at Flower with: one that ends well, one that fails."""

import os
import sys

import celery
from kombu import Queue

from tierline.base.network.broker_urls import kombu_url

app = celery.Celery("small")
app.conf.update(
    broker_url=kombu_url(os.environ["REDIS_URL"]),
    task_queues=[Queue("slm", routing_key="slm"), Queue("webhooks", routing_key="webhooks")],
    task_default_queue="slm",
    task_send_sent_event=True,
    worker_send_task_events=True,
    task_ignore_result=True,
    broker_connection_retry_on_startup=True,
)


@app.task(name="answer a job")
def answer(job_id: str) -> str:
    return "the-secret-output"


@app.task(name="deliver a webhook")
def deliver(delivery_id: str) -> None:
    raise RuntimeError("the-secret-reason")


def serve_flower() -> None:
    from workers.flower import build

    flower = build(app, int(os.environ["FLOWER_PORT"]), "tester", "open-sesame")
    flower.start_http_server()
    flower.start()


if __name__ == "__main__":
    if sys.argv[1] == "flower":
        serve_flower()
    else:
        app.worker_main(["worker", "--pool=threads", "-c", "2", "-n", "slm@here", "-l", "warning"])
