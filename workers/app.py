"""The Celery application: queues, names of tasks, and the use of the broker.

A message is a hint and may be lost, so nothing is acknowledged, redelivered or stored as a result.
Postgres has the work, and the dispatcher sends hints again.
"""

from celery import Celery
from kombu import Queue

from tierline.base.network.broker_urls import kombu_url
from tierline.base.settings import settings
from tierline.rules import queues
from workers.consumer import BatchedEvents
from workers.take import ListedConsumer, TakeHints

# With no_ack there are no unacknowledged messages to restore. Each search for one costs a worker's
# consumer 20 ms, which was 4% of its time at one search a second.
RESTORE_S = 60


def create_app(tasks: tuple[str, ...] = ("workers.tasks",)) -> Celery:
    """The application of this process, for the broker in its settings.

    `tasks` are the modules that a worker imports; a process that runs no task needs none.
    """
    app = Celery("tierline", broker=kombu_url(settings().broker), include=tasks)
    app.amqp.Consumer = ListedConsumer
    app.conf.update(
        # The routing key keeps the queues separate; without it all would share the default's.
        task_queues=[Queue(name, routing_key=name, no_ack=True) for name in queues.ALL],
        task_default_queue=queues.MAINTENANCE,
        task_create_missing_queues=False,
        task_acks_late=False,
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        task_serializer="json",
        accept_content=["json"],
        result_backend=None,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        # Flower shows events.
        worker_send_task_events=True,
        task_send_sent_event=True,
        task_track_started=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # A broker that is out of memory, or may not write, answers a connecting worker with an
        # error. Without this setting the worker would end, with its running calls.
        broker_channel_error_retry=True,
        broker_pool_limit=4,
        broker_transport_options={
            "socket_timeout": 15,
            "socket_connect_timeout": 5,
            "socket_keepalive": True,
            "health_check_interval": 5,
            "unacked_restore_interval": RESTORE_S,
            "unacked_restore_throttle": 1,
        },
        task_publish_retry=False,
        event_queue_expires=60,
        timezone="UTC",
        enable_utc=True,
    )
    app.steps["consumer"].update((BatchedEvents, TakeHints))
    return app


app = create_app()
