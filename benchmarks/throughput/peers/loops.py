"""The job for peers whose workers are an event loop: asyncpg, aiohttp and uvloop."""

import json
import os
from uuid import UUID, uuid4

import aiohttp
import asyncpg

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

_CLAIM = CLAIM.format(job_id="$1", token="$2")
_FINISH = FINISH.format(
    job_id="$1", token="$2", **{name: f"${place}" for place, name in enumerate(Answer._fields, 3)}
)


class Connection(asyncpg.Connection):  # type: ignore[misc]
    """Nothing here changes a session, so none is reset: that would be one more round trip each."""

    def get_reset_query(self) -> str:
        return ""


async def open_pool() -> asyncpg.Pool:
    """The process's connections to Postgres."""
    return await asyncpg.create_pool(
        os.environ["DATABASE_URL"],
        min_size=CONNECTIONS,
        max_size=CONNECTIONS,
        connection_class=Connection,
    )


class Job:
    """Runs jobs for one event loop. Made inside the loop, with `await Job.open(…)`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
            headers=HEADERS,
        )

    @classmethod
    async def open(cls) -> "Job":
        return cls(await open_pool())

    async def run(self, job_id: str) -> None:
        held = (UUID(job_id), uuid4())
        value = await self._pool.fetchval(_CLAIM, *held)
        if value is None:
            return
        async with self._http.post(URL, data=request(json.loads(value))) as response:
            answer = read(await response.read())
        await self._pool.execute(_FINISH, *held, *answer)
