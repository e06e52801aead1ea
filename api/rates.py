"""How often, and with how many bytes, an account may come: token buckets of this process.

Each API process counts for itself, so an account that comes to several may have its rate at each.
That needs neither the broker nor a statement more, and protects what it is for: the process.
"""

import time
from collections.abc import MutableMapping
from typing import Any

from api.problems import limit_reached
from tierline.rules.limits import Limits, TokenBucket

BODY_BYTES = "tierline.body_bytes"
"""Where the front says in a request's scope how long its body is announced to be."""
CHARGE = "tierline.charge_body"
"""Where the front finds in the scope whom to charge for a body of unannounced length."""


class Rates:
    """The buckets of every account that came to this process; there are few accounts."""

    def __init__(self) -> None:
        self._buckets: dict[int, tuple[TokenBucket, TokenBucket]] = {}

    def admit(self, account_id: int, limits: Limits, scope: MutableMapping[str, Any]) -> None:
        """Count a request and its body. Raises Refused (429) when the account has to wait.

        A body is charged as announced, before it is read; one that comes in chunks as it comes.
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
