"""Staying under a provider's limits per minute: one token bucket for all workers, in Redis.

Without Redis each process keeps to its share of the limits, by the number of worker processes. An
emptied Redis lets one more burst through, and nothing else is lost.
"""

import hashlib
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import redis
import structlog
from psycopg_pool import ConnectionPool

from tierline.base.errors import TierlineError
from tierline.base.settings import Settings
from tierline.providers.types import CallFailed
from tierline.rules.causes import Cause
from tierline.rules.rate_limits import Bucket, RateLimit, burst, limits_of, refill_per_s
from tierline.storage.db.repeat import PASSING
from tierline.storage.jobs.beats import worker_count

log = structlog.get_logger(__name__)

ANSWER_S = 0.5  # if Redis takes longer, it counts as away
AWAY_S = 5.0  # how long Redis is not used after it did not answer
COUNT_EVERY_S = 5.0  # how late a process without Redis sees others start and stop
KEPT_S = 3600  # after which an unused bucket is deleted: it is full by then
NO_LIMIT = 0

# Takes both amounts or neither. Levels are stored with the time at which they were right, by
# Redis's clock. Returns the seconds to wait, as text; "0": taken.
TAKE = """
local now = redis.call('TIME')
now = tonumber(now[1]) + tonumber(now[2]) / 1000000
local kept = redis.call('HMGET', KEYS[1], 'at', 'requests', 'tokens')
local at = tonumber(kept[1]) or now
local wait, levels = 0, {}
for i = 1, 2 do
    local burst = tonumber(ARGV[3 * i - 2])
    if burst > 0 then
        local per_s, amount = tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i])
        local level = tonumber(kept[i + 1]) or burst
        level = math.min(burst, level + math.max(0, now - at) * per_s)
        local lacking = math.min(amount, burst) - level
        if lacking > 0 then wait = math.max(wait, lacking / per_s) end
        levels[i] = { level, amount }
    end
end
if wait > 0 then return tostring(wait) end
for i, name in ipairs({ 'requests', 'tokens' }) do
    if levels[i] then redis.call('HSET', KEYS[1], name, levels[i][1] - levels[i][2]) end
end
redis.call('HSET', KEYS[1], 'at', now)
redis.call('EXPIRE', KEYS[1], ARGV[7])
return '0'
"""


@dataclass(frozen=True)
class CountedCall:
    """What a call was counted as, to be corrected once its tokens are known."""

    names: tuple[str, ...]  # the limits that Redis counted it under
    tokens: int


class RateLimits:
    """The limits of one process. Shared by its threads."""

    def __init__(self, pool: ConnectionPool[Any], settings: Settings) -> None:
        self._pool = pool
        self._settings = settings
        self._limits = settings.rate_limits
        self._lock = threading.Lock()
        self._redis: redis.Redis | None = None
        self.away_until_s = 0.0  # monotonic
        self._processes = (0, 0.0)  # how many, and when that was counted
        self._own: dict[tuple[str, RateLimit], tuple[Bucket | None, Bucket | None]] = {}

    def take(self, model: str, tokens: int) -> CountedCall | None:
        """Count a call of about `tokens` that goes to `model` now. None: nothing to correct later.

        Raises CallFailed, with the time to wait, if it would exceed a limit.
        """
        limits = limits_of(model, self._limits)
        counted: list[str] = []
        for name, limit in limits.items():
            wait_s = self._take_shared(name, limit, tokens)
            if wait_s is None:
                # Not corrected later: the process's own buckets are on the safe side.
                wait_s = self._take_own(name, limit, tokens)
            elif wait_s == 0:
                counted.append(name)
            if wait_s > 0:
                self._give_back(counted, tokens)
                reason = f"not sent: it would go over the limit that is set for {name}"
                raise CallFailed(Cause.RATE_LIMITED, reason, retry_after_s=wait_s)
        return CountedCall(tuple(counted), tokens) if counted else None

    def settle(self, counted: CountedCall, tokens: int | None) -> None:
        """The call used so many tokens; None: unknown, and the estimate stays."""
        if tokens is not None and tokens != counted.tokens:
            self._give_back(counted.names, counted.tokens - tokens, requests=0)

    def _take_shared(self, name: str, limit: RateLimit, tokens: int) -> float | None:
        """The seconds to wait; None: Redis is away."""
        client = self._client()
        if client is None:
            return None
        try:
            wait: Any = client.eval(TAKE, 1, self._key(name), *_terms(limit, tokens), str(KEPT_S))
            return float(wait)
        except (redis.RedisError, OSError, TimeoutError) as error:
            self._lose(error)
            return None

    def _take_own(self, name: str, limit: RateLimit, tokens: int) -> float:
        now_s = time.monotonic()
        share = limit.share(self._count(now_s))
        with self._lock:
            buckets = self._buckets(name, share, now_s)
            waits = [
                bucket.wait_s(amount, now_s)
                for bucket, amount in zip(buckets, (1, tokens), strict=True)
                if bucket is not None
            ]
            if not any(waits):
                for bucket, amount in zip(buckets, (1, tokens), strict=True):
                    if bucket is not None:
                        bucket.take(amount)
            return max(waits, default=0.0)

    def _buckets(
        self, name: str, share: RateLimit, now_s: float
    ) -> tuple[Bucket | None, Bucket | None]:
        buckets = self._own.get((name, share))
        if buckets is None:
            buckets = (
                None if share.requests is None else Bucket(share.requests, now_s),
                None if share.tokens is None else Bucket(share.tokens, now_s),
            )
            self._own[name, share] = buckets
        return buckets

    def _give_back(self, names: Iterable[str], tokens: int, requests: int = 1) -> None:
        client = self._client()
        if client is None:
            return  # what stays counted makes a wait longer, and exceeds no limit
        try:
            for name in names:
                limit = self._limits[name]
                pipeline = client.pipeline(transaction=False)
                if limit.tokens is not None:
                    pipeline.hincrbyfloat(self._key(name), "tokens", tokens)
                if limit.requests is not None and requests:
                    pipeline.hincrbyfloat(self._key(name), "requests", requests)
                pipeline.expire(self._key(name), KEPT_S)
                pipeline.execute()
        except (redis.RedisError, OSError, TimeoutError) as error:
            self._lose(error)

    def _client(self) -> redis.Redis | None:
        if time.monotonic() < self.away_until_s:
            return None
        with self._lock:
            if self._redis is None:
                try:
                    url = self._settings.broker
                except TierlineError as error:
                    self._lose(error)
                    return None
                self._redis = redis.Redis.from_url(
                    url, socket_timeout=ANSWER_S, socket_connect_timeout=ANSWER_S
                )
            return self._redis

    def _lose(self, error: Exception) -> None:
        self.away_until_s = time.monotonic() + AWAY_S
        log.warning("rate_limits_alone", error=type(error).__name__)

    def _key(self, name: str) -> str:
        """A name for the bucket with a hash of the provider's key, by which the provider counts."""
        provider = name.partition(":")[0]
        secret = self._settings.key_of(provider)
        text = "" if secret is None else secret.get_secret_value()
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        return f"tierline:rate:{name}:{digest}"

    def _count(self, now_s: float) -> int:
        count, counted_s = self._processes
        if not count or now_s - counted_s > COUNT_EVERY_S:
            try:
                with self._pool.connection() as connection:
                    count = max(1, worker_count(connection))
            except PASSING:
                count = max(1, count)
            self._processes = (count, now_s)
        return count


def _terms(limit: RateLimit, tokens: int) -> list[str]:
    terms: list[float] = []
    for most, amount in ((limit.requests, 1), (limit.tokens, tokens)):
        terms += (
            [NO_LIMIT, NO_LIMIT, NO_LIMIT]
            if most is None
            else [burst(most), refill_per_s(most), amount]
        )
    return [repr(term) for term in terms]
