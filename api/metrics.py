"""The numbers behind /metrics. Those of the queues are read from Postgres at each scrape."""

from typing import TYPE_CHECKING, Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    disable_created_metrics,
    generate_latest,
)
from psycopg import Connection

from tierline.storage import queue_reads

if TYPE_CHECKING:
    from api.state import State


class Metrics:
    """One per process."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "tierline_http_requests",
            "Requests that this process answered",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._waiting = self._gauge("queue_waiting", "Jobs in Postgres with no hint out", "queue")
        self._hinted = self._gauge("queue_hinted", "Jobs on their way to a worker", "queue")
        self._running = self._gauge("queue_running", "Jobs that a worker holds", "queue")
        self._oldest = self._gauge(
            "queue_oldest_seconds", "How long the first waiting job has waited", "queue"
        )
        self._threads = self._gauge("queue_threads", "Threads of live workers", "queue")
        self._ended = self._gauge(
            "jobs_ended_last_hour", "Jobs submitted in the last hour that ended", "status"
        )
        self._failed = self._gauge(
            "failed_checks_last_hour",
            "Attempts that failed a check, of jobs submitted in the last hour",
            *("feature", "tier", "verdict"),
        )

    def text(self, connection: Connection[Any], state: "State") -> bytes:
        """The exposition, read anew."""
        threads = state.health.threads
        for depth in queue_reads.depths(connection):
            self._waiting.labels(depth.queue).set(depth.waiting)
            self._hinted.labels(depth.queue).set(depth.hinted)
            self._running.labels(depth.queue).set(depth.running)
            self._oldest.labels(depth.queue).set(depth.oldest_s or 0.0)
            self._threads.labels(depth.queue).set(threads.get(depth.queue, 0))
        self._ended.clear()
        for status, count in queue_reads.ended_lately(connection).items():
            self._ended.labels(status).set(count)
        self._failed.clear()
        for row in state.failed_checks(connection):
            self._failed.labels(row["feature"], row["tier"], row["verdict"]).set(row["attempts"])
        return generate_latest(self._registry)

    def _gauge(self, name: str, words: str, *labels: str) -> Gauge:
        return Gauge(f"tierline_{name}", words, labels, registry=self._registry)
