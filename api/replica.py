"""The API's connections to the replica of DATABASE_READ_URL."""

from typing import Any

from psycopg_pool import AsyncConnectionPool

from api.http.cold import COLD_CONNECTIONS, COLD_WAIT_S, REPORT_CONNECTIONS, ReplicaPool
from tierline.base.settings import Settings
from tierline.services.processes.connections import bounded_pool
from tierline.services.processes.replica import Replica


class ReplicaPools:
    """The connections to the replica of DATABASE_READ_URL; without one, all are None."""

    def __init__(self, name: str, config: Settings, primary: AsyncConnectionPool[Any]) -> None:
        self.replica: Replica | None = None
        self.cold: ReplicaPool | None = None
        self.reports: ReplicaPool | None = None
        url = config.replica
        if url is None:
            return
        self.replica = Replica(url, name, primary, config.replica_lag_s)

        lists = bounded_pool(
            url, f"{name}-replica-cold", COLD_CONNECTIONS, config.statement_timeout_s
        )
        reports = bounded_pool(
            url, f"{name}-replica-reports", REPORT_CONNECTIONS, config.report_timeout_s
        )
        lists.timeout = reports.timeout = COLD_WAIT_S
        self.cold = ReplicaPool(lists, self.replica)
        self.reports = ReplicaPool(reports, self.replica)

    def open(self) -> None:
        """Open the pools. They open even if the replica is away."""
        for one in (self.cold, self.reports):
            if one is not None:
                one.pool.open()

    def close(self) -> None:
        """Close the pools."""
        for one in (self.cold, self.reports):
            if one is not None:
                one.pool.close(2.0)
