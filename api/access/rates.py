"""An account's requests and bytes per second, limited by token buckets of this process.

Each API process counts for itself, so an account that uses several processes may have its rate at
each. This needs neither the broker nor another statement, and it protects the process.
"""

import time
from collections.abc import MutableMapping
from typing import Any

from api.http.problems import limit_reached
from tierline.rules.limits import Limits, TokenBucket

BODY_BYTES = "tierline.body_bytes"
"""The key in a request's scope where the front puts the announced length of the body."""
CHARGE = "tierline.charge_body"
"""The key in the scope of the function that charges for a body of unannounced length."""


class Rates:
    """The buckets of every account that used this process; there are few accounts."""

    def __init__(self) -> None:
        self._buckets: dict[int, tuple[TokenBucket, TokenBucket]] = {}

    def admit(self, account_id: int, limits: Limits, scope: MutableMapping[str, Any]) -> None:
        """Count a request and its body. Raises Refused (429) if the account must wait.

        A body with an announced length is charged before it is read; a chunked one as it comes.
        """
        requests_per_s, bytes_per_s = limits.max_requests_per_s, limits.max_body_bytes_per_s
        if requests_per_s is None or bytes_per_s is None:
            raise ValueError("a rate without a default: Settings has one for each")
        now_s = time.monotonic()
        buckets = self._buckets.get(account_id)
        if buckets is None:
            buckets = TokenBucket(requests_per_s, now_s), TokenBucket(bytes_per_s, now_s)
            self._buckets[account_id] = buckets
        requests, bodies = buckets
        wait_s = requests.wait_s(requests_per_s, now_s)
        if wait_s:
            raise limit_reached(
                f"the account may make {requests_per_s:,} requests a second (max_requests_per_s)",
                wait_s,
            )
        body_bytes = scope.get(BODY_BYTES)
        wait_s = bodies.wait_s(bytes_per_s, now_s)
        if wait_s and body_bytes != 0:
            raise limit_reached(
                f"the account may send {bytes_per_s:,} bytes of bodies a second"
                " (max_body_bytes_per_s)",
                wait_s,
            )
        requests.take(1)
        if body_bytes is None:
            scope[CHARGE] = bodies.take
        elif body_bytes:
            bodies.take(body_bytes)
