"""Budgets: setting them, refusing jobs under a spent hard budget, keeping calls within budgets.

A call reserves its worst case before it is sent, and settles what it really cost.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import structlog
from psycopg import Connection
from psycopg_pool import ConnectionPool

from tierline.base.errors import InvalidInput, LimitReached, NotFound, Problem
from tierline.base.formats import usd, when
from tierline.pricing import Price
from tierline.pricing.worst_case import most_input_tokens, worst_case_usd
from tierline.providers import capabilities
from tierline.providers.capabilities import output_limit
from tierline.providers.types import CallFailed, CompletionRequest
from tierline.rules.causes import Cause
from tierline.rules.jobs import Blocked
from tierline.rules.verdicts import Verdict
from tierline.services.accounts.read_accounts import account_id_of
from tierline.services.webhooks.announce import announce_budget
from tierline.storage.db.repeat import repeat
from tierline.storage.jobs.claims import Claim
from tierline.storage.money import budgets, reservations
from tierline.storage.money.budgets import Full, Holder
from tierline.storage.money.reservations import CallId

WAIT_S = 1.0  # until calls under way, whose reservations use up the budget, may have ended
MOST_WAIT_S = 60.0
"""How long a job waits in all for other calls' reservations: most calls cost less than that."""

log = structlog.get_logger(__name__)


@dataclass
class Purse:
    """The budgets that pay for an attempt's calls. Does nothing for an account without budgets."""

    pool: ConnectionPool[Any]
    claim: Claim
    keep_on: Callable[[], bool]
    _reserved: dict[int, Decimal] = field(default_factory=dict)  # USD, by number of the call

    def reserve(
        self, number: int, request: CompletionRequest, price: Price | None, *, answered: bool
    ) -> None:
        """Reserve the call's worst case. Raises CallFailed if a budget does not cover it, or if its
        price is unknown. `answered`: the attempt has answered calls, which would be repeated if the
        job were given back.
        """
        holder = _holder(self.claim)
        if price is None:
            self._refuse_unpriced(request, holder)
            return
        amount = most_usd(request, price)
        if not amount:
            return
        full = repeat(
            self.pool,
            lambda connection: reservations.reserve(
                connection,
                holder,
                self._call(number),
                amount,
                first_tier=self.claim.tier_index == 0,
            ),
            keep_on=self.keep_on,
        )
        if full is None:
            self._reserved[number] = amount
        elif full.waits and not answered and self.claim.held_s < MOST_WAIT_S:
            reason = refusal_of(full, amount)
            raise CallFailed(Cause.BUDGET_IN_USE, reason, retry_after_s=WAIT_S)
        else:
            raise CallFailed(Cause.BUDGET_SPENT, refusal_of(full, amount))

    def settle(self, number: int, cost: Decimal | None) -> None:
        """Replace the call's reservation by its cost; None: unknown, so the reservation counts."""
        if number not in self._reserved:
            return
        call, amount = self._call(number), self._reserved[number]

        def settled(connection: Connection[Any]) -> list[tuple[int, int]]:
            crossed = reservations.settle(connection, call, cost)
            if crossed is None:
                holder = _holder(self.claim)
                crossed = reservations.settle_anew(connection, holder, call, amount, cost)
            return crossed

        reached = repeat(self.pool, settled, keep_on=self.keep_on)
        for period, percent in reached:
            repeat(
                self.pool,
                lambda connection, period=period, percent=percent: alert(  # type: ignore[misc]
                    connection, period, percent
                ),
                keep_on=self.keep_on,
            )

    def _refuse_unpriced(self, request: CompletionRequest, holder: Holder) -> None:
        if repeat(
            self.pool,
            lambda connection: budgets.any_applies(connection, holder),
            keep_on=self.keep_on,
        ):
            raise CallFailed(
                Cause.UNPRICED,
                f"{request.model} has no price, and calls without a price cannot run under a"
                " budget: set one with 'tierline prices set'",
            )

    def _call(self, number: int) -> CallId:
        return CallId(self.claim.job_id, self.claim.attempt, number)


def most_usd(request: CompletionRequest, price: Price) -> Decimal:
    """The most that a call can cost, in USD, before it is sent."""
    schema = "" if request.json_schema is None else json.dumps(request.json_schema)
    sent = sum(len(one.content.encode()) for one in request.messages) + len(schema.encode())
    limit = output_limit(request.max_tokens, capabilities(request.model), request.reasoning_effort)
    return worst_case_usd(price, most_input_tokens(sent), limit, request.timeout_s)


def blocked(pool: ConnectionPool[Any], claim: Claim, keep_on: Callable[[], bool]) -> Blocked | None:
    """The spent budget that keeps the job from a later tier, or None."""
    if not claim.budgeted:
        return None
    holder = _holder(claim)
    full = repeat(pool, lambda connection: budgets.blocking(connection, holder), keep_on=keep_on)
    return None if full is None else Blocked(Verdict.BUDGET, refusal_of(full))


def settle_lost(connection: Connection[Any], older_than_s: float, most: int) -> int:
    """Settle reservations whose attempts will never settle them, at what the calls cost, or in full
    if that is unknown. Returns how many.

    `older_than_s` counts from the booking of the call, so that a call may still report its cost.
    """
    lost = reservations.lost_calls(connection, older_than_s, most)
    for call, cost in lost:
        for period, percent in reservations.settle(connection, call, cost) or ():
            alert(connection, period, percent)
    return len(lost)


def _holder(claim: Claim) -> Holder:
    return Holder(claim.account_id, claim.user_key, claim.session_key)


def refusal_of(full: Full, needed_usd: Decimal | None = None) -> str:
    """Which budget does not cover the call, in words. `needed_usd`: the most that the call may
    cost.
    """
    whose = "the account's budget" if full.scope == "account" else f"the {full.scope}'s budget"
    left = full.limit_usd - full.spent_usd
    if full.waits:
        state = "is in use by other calls"
    elif needed_usd is not None and left > 0:
        state = (
            f"does not fit: up to {usd(needed_usd)} USD needed for this call, {usd(left)} USD left"
        )
    else:
        state = "is spent"
    resets = when(full.ends_at)
    return f"{whose} of {usd(full.limit_usd)} USD a {full.period} {state}; it resets at {resets}"


def alert(connection: Connection[Any], period: int, percent: int) -> None:
    """Notify the account's endpoints once that this percentage of a budget is spent."""
    with connection.transaction():
        crossed = reservations.cross(connection, period, percent)
        if crossed is not None:
            announce_budget(connection, crossed, percent)
            log.warning("budget_alert", account_id=crossed.account_id, percent=percent)


class BudgetSpent(LimitReached):
    """A hard budget is spent: no job is accepted until it resets."""


def refuse_spent(full: Full | None) -> None:
    """Raises BudgetSpent, with the seconds until the budget resets or reserving calls may end."""
    if full is not None:
        left_s = (full.ends_at - datetime.now(UTC)).total_seconds()
        raise BudgetSpent(refusal_of(full), WAIT_S if full.waits else max(1.0, left_s))


def set_budget(
    connection: Connection[Any],
    *,
    account: str,
    scope: str,
    key: str,
    period: str,
    limit_usd: str,
    hard: bool,
) -> dict[str, Any]:
    """Set a budget. Raises NotFound for the account, InvalidInput for invalid values."""
    if scope == "account" and key:
        raise InvalidInput([Problem("is for the scopes user and session", "/key")])
    account_id = account_id_of(connection, account)
    return budgets.set_budget(
        connection, account_id, scope, key, period, Decimal(limit_usd), hard=hard
    )


def list_budgets(connection: Connection[Any], account_id: int | None) -> list[dict[str, Any]]:
    """The budgets of one account or of all, each with what is spent of its current period."""
    return budgets.list_budgets(connection, account_id)


def remove_budget(connection: Connection[Any], budget_id: int) -> None:
    """Remove a budget. Calls under way keep what they reserved of others. Raises NotFound."""
    with connection.transaction():
        removed = budgets.remove_budget(connection, budget_id)
    if not removed:
        raise NotFound(f"there is no budget {budget_id}")
