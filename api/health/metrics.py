"""The numbers of /metrics, read from Postgres at each scrape. docs/operations.md explains them.

They describe the whole installation and are the same in each API process, except for the number of
requests, which is the process's own.
"""

import math
import threading
import time
from collections.abc import Sequence
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    disable_created_metrics,
    generate_latest,
)
from psycopg import Connection

from api.health.readiness import Health
from tierline.rules.verdicts import Verdict
from tierline.services.reports.installation import QueueDepths, numbers
from tierline.services.reports.last_hour import Fared, LastHour
from tierline.services.upkeep.partitions import days_left

PARTITIONS_S = 60.0  # between two reads of how far ahead the partitions are made


class Metrics:
    """One per process."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self._lock = threading.Lock()
        self._partitions_at_s = 0.0  # monotonic: when they are read again
        self.requests = Counter(
            "tierline_http_requests",
            "Requests that this process answered",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._waiting = self._gauge(
            "queue_waiting", "Waiting jobs in Postgres, without a hint under way", "queue"
        )
        self._hinted = self._gauge(
            "queue_hinted", "Jobs whose hint is on its way to a worker", "queue"
        )
        self._running = self._gauge("queue_running", "Jobs that workers are running", "queue")
        self._oldest = self._gauge(
            "queue_oldest_seconds", "How long the first waiting job has waited", "queue"
        )
        self._counted = self._gauge(
            "queue_counted_seconds_ago", "0: queue_waiting is of now; else its age", "queue"
        )
        self._threads = self._gauge("queue_threads", "Threads of live workers", "queue")
        self._ended = self._gauge(
            "jobs_ended_last_hour", "Jobs submitted in the last hour that ended", "status"
        )
        self._attempts = self._gauge(
            "attempts_last_hour",
            "Attempts that began in the last hour and ended, by verdict",
            *("feature", "tier", "verdict"),
        )
        self._leases_lost = self._gauge(
            "leases_lost_last_hour", "Of those attempts, the ones that lost their worker"
        )
        self._cost = self._gauge(
            "cost_usd_last_hour",
            "Known cost in USD of calls booked in the last hour",
            *("feature", "tier", "model"),
        )
        # A separate metric, because another label on the one above would change sums in alerts.
        self._purpose_cost = self._gauge(
            "cost_by_purpose_usd_last_hour",
            "The same cost in USD, by purpose of the calls",
            *("feature", "purpose"),
        )
        self._unknown_cost = self._gauge(
            "unknown_cost_calls_last_hour",
            "Calls booked in the last hour with an unknown cost",
            "model",
        )
        self._webhooks_failed = self._gauge(
            "webhooks_failed_last_hour", "Webhooks that finally failed in the last hour"
        )
        self._disabled = self._gauge("webhook_endpoints_disabled", "Disabled webhook endpoints")
        self._circuit_open = self._gauge(
            "circuit_open", "1: calls to the model are held, except for probes", "model"
        )
        self._paused = self._gauge(
            "model_paused_seconds", "Time until a rate-limited model gets calls again", "model"
        )
        self._partition_days = self._gauge(
            "partition_days_ahead", "For how many days the table has partitions", "table"
        )
        self._broker = self._gauge("broker_up", "1: the broker answered the last check")
        self._replica_lag = self._gauge(
            "replica_lag_seconds",
            "The replica's lag, as this process sees it; NaN: unknown",
            "name",
        )
        self._replica_read = self._gauge(
            "replica_read", "1: the replica is read; 0: the primary is read instead", "name"
        )
        self._dispatchers = self._gauge("dispatchers", "Dispatchers connected to Postgres")

    def text(
        self,
        connection: Connection[Any],
        queues: QueueDepths,
        last_hour: LastHour,
        health: Health,
    ) -> bytes:
        """The metrics, read now. One scrape at a time, so that each shows one consistent state."""
        with self._lock:
            return self._text(connection, queues, last_hour, health)

    def _text(
        self,
        connection: Connection[Any],
        queues: QueueDepths,
        last_hour: LastHour,
        health: Health,
    ) -> bytes:
        threads = health.threads
        now = numbers(connection, queues)
        for depth in now.depths:
            self._waiting.labels(depth.queue).set(depth.waiting)
            self._hinted.labels(depth.queue).set(depth.hinted)
            self._running.labels(depth.queue).set(depth.running)
            self._oldest.labels(depth.queue).set(depth.oldest_s or 0.0)
            self._counted.labels(depth.queue).set(depth.counted_s_ago or 0.0)
            self._threads.labels(depth.queue).set(threads.get(depth.queue, 0))
        self._ended.clear()
        for status, count in last_hour.ended(connection).items():
            self._ended.labels(status).set(count)
        self._set_last_hour(last_hour.fared(connection))
        self._webhooks_failed.set(now.webhooks.failed)
        self._disabled.set(now.webhooks.disabled_endpoints)
        for one in now.circuits:
            self._circuit_open.labels(one.model).set(one.open)
            self._paused.labels(one.model).set(max(0.0, one.paused_s))
        self._set_partition_days(connection)
        self._broker.set(health.broker.answers)
        self._dispatchers.set(health.dispatchers)
        if health.replica is not None:
            lag_s = health.replica.lag_s
            self._replica_lag.labels("DATABASE_READ_URL").set(math.nan if lag_s is None else lag_s)
            self._replica_read.labels("DATABASE_READ_URL").set(health.replica.usable)
        return generate_latest(self._registry)

    def _set_partition_days(self, connection: Connection[Any]) -> None:
        """Not at each scrape: reading a partition's bounds waits for whoever locks it."""
        if time.monotonic() < self._partitions_at_s:
            return
        for table, days in days_left(connection).items():
            self._partition_days.labels(table).set(days)
        self._partitions_at_s = time.monotonic() + PARTITIONS_S

    def _set_last_hour(self, fared: Sequence[Fared]) -> None:
        for gauge in (self._attempts, self._cost, self._purpose_cost, self._unknown_cost):
            gauge.clear()
        lost = 0
        for one in fared:
            self._cost.labels(one.feature, one.tier, one.model).inc(float(one.cost_usd))
            self._purpose_cost.labels(one.feature, one.purpose).inc(float(one.cost_usd))
            self._unknown_cost.labels(one.model).inc(one.unknown_cost_calls)
            if one.verdict is None:
                continue
            self._attempts.labels(one.feature, one.tier, one.verdict).inc(one.attempts)
            if one.verdict == Verdict.WORKER_LOST:
                lost += one.attempts
        self._leases_lost.set(lost)

    def _gauge(self, name: str, words: str, *labels: str) -> Gauge:
        return Gauge(f"tierline_{name}", words, labels, registry=self._registry)
