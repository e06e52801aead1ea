"""Several servers of one model as one: each call goes to the server with the fewest open calls.

It counts the calls of this process. Other processes count theirs in the same way.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from tierline.providers.http.transport import Reply, Transport
from tierline.providers.types import CallFailed
from tierline.rules.causes import Cause

STAYS = 1
"""How many more open calls than the others the thread's last server may have. That server still has
the prompt of the attempt's last call in its cache, and the next call (a sample, a re-ask) repeats
it. Reading it again takes SmolLM2 two seconds."""


class Balanced:
    """The servers of one model. Shared by all threads."""

    def __init__(self, servers: Sequence[Transport]) -> None:
        self._servers = servers
        self._under_way = [0] * len(servers)
        self._lock = threading.Lock()
        self._here = threading.local()

    def post(self, path: str, body: Mapping[str, Any], timeout_s: float) -> Reply:
        """As Transport.post. A server that cannot be reached is skipped if another one can."""
        ends_at = time.monotonic() + timeout_s
        untried = set(range(len(self._servers)))
        while True:
            chosen = self._enter(untried)
            untried.discard(chosen)
            try:
                return self._servers[chosen].post(path, body, ends_at - time.monotonic())
            except CallFailed as failure:
                if failure.cause is not Cause.UNREACHABLE or not untried:
                    raise
            finally:
                with self._lock:
                    self._under_way[chosen] -= 1

    def close(self) -> None:
        """Close every server's connections."""
        for server in self._servers:
            server.close()

    def _enter(self, among: set[int]) -> int:
        last: int | None = getattr(self._here, "last", None)
        with self._lock:
            chosen = min(among, key=lambda one: self._under_way[one] - STAYS * (one == last))
            self._under_way[chosen] += 1
        self._here.last = chosen
        return chosen
