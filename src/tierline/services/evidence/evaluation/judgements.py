"""Adds the jobs that ask judges, and records their results. Part of the sweep.

No model is called here. Like shadows, the jobs wait on the backfill lane and are paid from the
feature's daily budget, `shadow.usd_per_day`. Their cost appears in the usage of the judged job's
account, but is not taken from the account's budgets.
"""

import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import structlog
from psycopg import Connection
from psycopg_pool import ConnectionPool

from tierline.base.ids import new_id
from tierline.features import Feature
from tierline.pricing import OwnPrices, PricedCall, price_of
from tierline.providers.types import CompletionRequest
from tierline.rules.purposes import Purpose
from tierline.rules.queues import lane
from tierline.services.evidence.evaluation.judge import ANSWER, CALLS, judge_messages, judge_of
from tierline.services.evidence.watch.readable_features import ReadableFeatures
from tierline.services.evidence.watch.shadows import between, left_today
from tierline.services.money.budgets import most_usd
from tierline.storage.evidence import judgements, shadows
from tierline.storage.evidence.judgements import DueJudgement
from tierline.storage.features import features
from tierline.storage.money.prices import own_prices

log = structlog.get_logger(__name__)

AT_ONCE = 50  # outcomes per transaction, with their texts
TAKEN_AT_ONCE = 500  # results recorded per transaction
MOST_WAITING = 200
"""The most judge's jobs of a feature that wait or run. Further outcomes get no job yet, so they do
not fill an account's queue while a judge is down."""


def keep_judged(pool: ConnectionPool[Any], until_s: float) -> int:
    """Run one round, in small transactions, until the monotonic time `until_s`. The next round
    continues.

    Safe to run in several processes at once. Returns how many jobs were added.
    """
    made = 0
    with pool.connection() as connection:
        while time.monotonic() < until_s:
            if judgements.take_in(connection, TAKEN_AT_ONCE) < TAKEN_AT_ONCE:
                break
        full: set[str] = set()
        while time.monotonic() < until_s:
            with connection.transaction():
                if not shadows.hold_spending(connection):
                    break
                batch = _Batch(connection, full)
                count = batch.judge()
            made += batch.made
            if count < AT_ONCE and not batch.filled:
                break
    return made


class _Batch:
    """The outcomes of one transaction. `full`: features that get no more jobs in this round."""

    def __init__(self, connection: Connection[Any], full: set[str]) -> None:
        self.made = 0
        self.filled = False  # a feature became full; its outcomes may hide those of others
        self._connection = connection
        self._full = full
        self._prices: OwnPrices = own_prices(connection)
        self._waiting = judgements.waiting(connection)
        self._left: dict[str, Decimal | None] = {}
        self._versions: dict[int, tuple[Feature, int]] = {}

    def judge(self) -> int:
        """Judge the due outcomes, or add the judge's jobs for them. Returns how many were due."""
        features = ReadableFeatures(self._connection)
        rows = features.readable(
            lambda without: judgements.due(self._connection, AT_ONCE, self._full, without)
        )
        for row in rows:
            feature = features.of(row)
            if feature.name in self._full:
                continue
            if between(feature, row):
                shadows.wait_for_shadows(self._connection, [row])
            elif not row["has_output"] or not row["has_reference"] or row["input"] is None:
                judgements.judged(self._connection, row, None)
            elif feature.compared_by.same(row["output"], row["reference"]):
                judgements.judged(self._connection, row, same=True)
            elif not self._queue(feature, row):
                self._full.add(feature.name)
                self.filled = True
        return len(rows)

    def _queue(self, feature: Feature, row: DueJudgement) -> bool:
        """Add the outcome's job. False if its feature may have no more jobs now."""
        name = feature.name
        if self._waiting.get(name, 0) >= MOST_WAITING:
            return False
        if name not in self._left:
            self._left[name] = left_today(self._connection, feature)
        left = self._left[name]
        at_most = self._at_most_usd(feature, row)
        if left is not None and (at_most is None or at_most > left):
            log.info("judge_not_asked", feature=name, reason="the daily budget does not cover it")
            return False
        version, version_id = self._version(feature, row["feature_version_id"])
        index = len(version.tiers) - 1
        judgements.queue(
            self._connection,
            row,
            id=new_id(),
            version_id=version_id,
            tier=version.tiers[index].name,
            tier_index=index,
            queue=lane(version.place(index), backfill=True),
            decision={
                "policy": Purpose.JUDGE,
                "choice": version.tiers[index].name,
                "reason": "two answers to one request are compared",
                "signals": {
                    "judges": str(row["job_id"]),
                    "attempt": row["attempt"],
                    "at_most_usd": None if at_most is None else f"{at_most:f}",
                },
            },
        )
        self.made += 1
        self._waiting[name] = self._waiting.get(name, 0) + 1
        if left is not None and at_most is not None:
            self._left[name] = left - at_most
        return True

    def _version(self, feature: Feature, of_version: int) -> tuple[Feature, int]:
        """The judge's version of the feature, and its id."""
        if of_version not in self._versions:
            version = judge_of(feature)
            # The version has no first call: see storage.jobs.claims.
            stored = features.add_draft(self._connection, version, "", calls={})
            self._versions[of_version] = version, stored.id
        return self._versions[of_version]

    def _at_most_usd(self, feature: Feature, row: DueJudgement) -> Decimal | None:
        """The highest possible cost of both calls. None if the judge has no price."""
        tier = judge_of(feature).tiers[-1]
        (model,) = tier.models
        price = price_of(model, PricedCall(datetime.now(UTC)), None, self._prices)
        if price is None:
            return None
        request = CompletionRequest(
            model=model,
            messages=judge_messages(feature, row["input"], row["output"], row["reference"]),
            max_tokens=tier.max_tokens,
            temperature=tier.temperature,
            timeout_s=tier.timeout_s,
            json_schema=ANSWER,
        )
        return CALLS * most_usd(request, price)
