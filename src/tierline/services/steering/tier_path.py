"""Which tier of its feature answers a job: the three questions of an attempt, in one object.

    before_call    is this tier called at all?      plan, complexity router, micro model
    after_answer   is its answer good enough?      confidence gate
    later_tiers    which tiers may come next?      cost, latency target, plan, budget

The rules are pure and live in `routing`: `first_tier` (at submission), `before_call`,
`confidence_gate`, `later_tiers`. This object reads what they need, and only if it matters. Then
`rules.jobs.next_state` makes the transition.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from psycopg_pool import ConnectionPool

from tierline.base.settings import Settings
from tierline.routing.before_call import (
    Skip,
    is_routed,
    is_too_complex,
    no_later_tier,
    not_trained,
    predicted_to_fail,
    refused_by_plan,
)
from tierline.routing.later_tiers import LaterTiers, later_tiers
from tierline.rules.jobs import Blocked, CheckFailed, Outcome, ProviderFailed, Route
from tierline.rules.verdicts import Verdict
from tierline.services.calls.answer import Answered
from tierline.services.calls.attempt import Attempt
from tierline.services.calls.embedding import Embedding
from tierline.services.money import budgets
from tierline.services.steering.confidence_gate import ConfidenceGate
from tierline.services.steering.micro import Micros, NotTrained, ReadyMicro
from tierline.services.steering.routers import Routers
from tierline.services.steering.tier_history import TierHistory
from tierline.storage.evidence.outcomes import AnswerOutcome


@dataclass(frozen=True)
class Ask:
    """The tier is called."""

    micro: ReadyMicro | None = None  # the classifier that answers; None: a model is called


@dataclass
class TierPath:
    """One per worker process, shared by its threads. Each question may raise GaveUp."""

    pool: ConnectionPool[Any]
    settings: Settings
    embedding: Embedding
    keep_on: Callable[[], bool]  # false once the process may no longer wait for the database
    routers: Routers = field(init=False)
    micros: Micros = field(init=False)
    gate: ConfidenceGate = field(init=False)
    history: TierHistory = field(init=False)

    def __post_init__(self) -> None:
        self.routers = Routers(self.pool, self.embedding)
        self.micros = Micros(self.pool, self.embedding)
        self.gate = ConfidenceGate(self.pool, self.embedding)
        self.history = TierHistory(self.pool)

    def before_call(self, attempt: Attempt) -> Ask | Skip:
        """Whether the attempt's tier is called. The router does not apply to shadows, because a
        shadow's purpose is this tier's answer.
        """
        claim, feature, tier = attempt.claim, attempt.feature, attempt.tier
        refused = refused_by_plan(claim.tier_index, claim.first_tier_plan)
        if refused is not None:
            return refused
        if is_routed(feature, tier) and not claim.shadow:
            skip = self._predicted_to_fail(attempt)
            if skip is not None:
                return skip
        if not tier.is_micro:
            return Ask()
        try:
            return Ask(self.micros.ready(feature, claim.input, self.keep_on))
        except NotTrained as error:
            return not_trained(feature, str(error), self._later(attempt))

    def after_answer(
        self, attempt: Attempt, answered: Answered, answerers: frozenset[str]
    ) -> tuple[Answered, AnswerOutcome | None]:
        """The answer with the gate's verdict, and the outcome to store, or None.

        `answerers` are the models that answered the attempt's calls.
        """
        answered, outcome = self.gate.check(attempt, answered, answerers, self.keep_on)
        return answered, None if attempt.claim.draft else outcome

    def later_tiers(self, attempt: Attempt, outcome: Outcome) -> Route:
        """Where the job may go after this outcome, with the reason for each tier left out."""
        later = LaterTiers()
        if isinstance(outcome, CheckFailed):
            later = self._later(attempt)
        elif isinstance(outcome, ProviderFailed):
            # No budget is read: this may be a retry, and a later call can still be refused.
            later = later_tiers(self.history.worth_calling(attempt.feature, attempt.claim))
        return Route(
            tiers=later.tiers,
            skipped=later.skipped,
            blocked=later.blocked,
            on_blocked=attempt.feature.on_blocked,
            retries=self.settings.retries,
            hold_s=self.settings.hold_s,
            outage_s=self.settings.outage_s,
        )

    def _predicted_to_fail(self, attempt: Attempt) -> Skip | None:
        feature = attempt.feature
        assert feature.complexity is not None, "the tier is routed"
        max_risk = feature.complexity.max_risk
        prediction = self.routers.prediction(
            feature, attempt.tier, attempt.claim.input, self.keep_on
        )
        if not is_too_complex(prediction, max_risk):
            return None
        return predicted_to_fail(feature, prediction, max_risk, self._later(attempt))

    def _later(self, attempt: Attempt) -> LaterTiers:
        """Decided once per attempt, so that the answer before and after the call is the same."""
        if attempt.later is None:
            worth = self.history.worth_calling(attempt.feature, attempt.claim)
            attempt.later = later_tiers(worth, self._blocked(attempt) if worth else None)
        return attempt.later

    def _blocked(self, attempt: Attempt) -> Blocked | None:
        """What forbids every later tier: the account's plan, a spent budget, or None."""
        plan = attempt.claim.first_tier_plan
        if plan is not None:
            return Blocked(Verdict.PLAN, no_later_tier(plan))
        return budgets.blocked(self.pool, attempt.claim, self.keep_on)
