"""The job for peers whose workers are threads: psycopg and urllib3."""

import os
from uuid import UUID, uuid4

import urllib3
from psycopg_pool import ConnectionPool

from benchmarks.throughput.peers.job import (
    CLAIM,
    CONNECTIONS,
    FINISH,
    HEADERS,
    TIMEOUT_S,
    URL,
    Answer,
    read,
    request,
)

_CLAIM = CLAIM.format(token="%(token)s", job_id="%(job_id)s")
_FINISH = FINISH.format(
    token="%(token)s",
    job_id="%(job_id)s",
    **{name: f"%({name})s" for name in Answer._fields},
)


class Job:
    """Runs jobs for the threads of one process."""

    def __init__(self, threads: int) -> None:
        self._pool = ConnectionPool(
            os.environ["DATABASE_URL"],
            kwargs={"autocommit": True},
            min_size=CONNECTIONS,
            max_size=CONNECTIONS,
            open=True,
        )
        self._http = urllib3.PoolManager(maxsize=threads, retries=False, timeout=TIMEOUT_S)

    def run(self, job_id: str) -> None:
        held = {"job_id": UUID(job_id), "token": uuid4()}
        with self._pool.connection() as connection:
            row = connection.execute(_CLAIM, held).fetchone()
        if row is None:
            return
        response = self._http.request("POST", URL, body=request(row[0]), headers=HEADERS)
        answer = read(response.data)
        with self._pool.connection() as connection:
            connection.execute(_FINISH, {**held, **answer._asdict()})
