"""Running one attempt at a job, from the hint to the verdict: what a worker's thread does."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol
from uuid import UUID, uuid4

import psycopg
import structlog
from psycopg import Connection
from psycopg_pool import ConnectionPool

from tierline.base.logs import frames_of
from tierline.base.recent import Recent
from tierline.base.settings import Settings
from tierline.checks import RuleBroken
from tierline.features import Feature, Tier
from tierline.features.prompts import PriorFailure
from tierline.features.stored import UnreadableFeature
from tierline.providers.types import CallFailed
from tierline.rules.jobs import (
    Blocked,
    CheckFailed,
    FeatureFailed,
    Outcome,
    Passed,
    ProviderFailed,
    Route,
)
from tierline.rules.scheduling import backoff_s
from tierline.rules.verdicts import Verdict
from tierline.services.calls.admission import Admission
from tierline.services.calls.answer import Answering
from tierline.services.calls.calls import MOST_WAIT_S, CallBook
from tierline.services.calls.embedding import Embedding
from tierline.services.jobs.recover import cancel_withdrawn, give_back
from tierline.services.jobs.settle import settle
from tierline.services.jobs.trace import Trace
from tierline.services.money import budgets
from tierline.services.money.plans import no_later_tier
from tierline.services.steering.confidence_gate import ConfidenceGate, weighs
from tierline.services.steering.later_tiers import LaterTiers
from tierline.services.steering.micro import Micros, NotTrained
from tierline.services.steering.routers import Routers, routes
from tierline.storage.db.repeat import GaveUp, repeat
from tierline.storage.features.features import load_version
from tierline.storage.jobs import claims
from tierline.storage.jobs.claims import Claim, Ended

log = structlog.get_logger(__name__)

MOST_FEATURES = 500  # versions that a process remembers: each draft that is tried is one
GIVEN_BACK_S = 10.0  # before a job is claimed again that this release cannot read the feature of
CLAIM_PATIENCE_S = 10.0  # a hint that cannot be claimed for so long is left to the dispatcher
UNDERSTOOD = frozenset(
    {
        Verdict.PASSED,
        Verdict.SCHEMA,
        Verdict.RULE,
        Verdict.UNGROUNDED,
        Verdict.UNCHECKED,
        Verdict.LOW_CONFIDENCE,
    }
)
"""The verdicts of answers that could be read, so that there is an output to keep."""
SLACK_S = 30.0  # beyond its calls: what an attempt may take before its lease is given up


class Leases(Protocol):
    """Where a worker says which claims its live threads hold."""

    def hold(self, token: UUID) -> AbstractContextManager[None]:
        """The token is beaten for inside the block."""

    def until(self, token: UUID, within_s: float) -> None:
        """… and from now on for at most `within_s` seconds."""


class WakeUps(Protocol):
    """Who is told, after the commit, that a job moved."""

    def ready(self) -> None: ...
    def done(self, job_id: UUID) -> None: ...


@dataclass
class Executor:
    """What the threads of one worker process share."""

    pool: ConnectionPool[Any]
    settings: Settings
    queues: tuple[str, ...]
    worker: str  # its name, for people
    leases: Leases
    wake_ups: WakeUps
    stopping: Callable[[], bool]  # true once the process may not wait any more
    _answering: Answering = field(default_factory=Answering)
    _features: Recent[int, Feature] = field(default_factory=lambda: Recent(MOST_FEATURES))
    _unreadable: Recent[int, bool] = field(default_factory=lambda: Recent(MOST_FEATURES))
    admission: Admission = field(init=False)
    _calibrations: ConfidenceGate = field(init=False)
    embedding: Embedding = field(default_factory=Embedding)
    _routers: Routers = field(init=False)
    _micros: Micros = field(init=False)
    _cascade: LaterTiers = field(init=False)

    def __post_init__(self) -> None:
        self.admission = Admission(self.pool, self.settings)
        self._calibrations = ConfidenceGate(self.pool, self.embedding)
        self._routers = Routers(self.pool, self.embedding)
        self._micros = Micros(self.pool, self.embedding)
        self._cascade = LaterTiers(self.pool)

    def run(self, job_id: UUID) -> None:
        """Run one attempt at the job, if it is there to be taken; a hint too many does nothing."""
        token = uuid4()
        with self.leases.hold(token):
            taken = self._claim(job_id, token)
            if taken is None:
                if cancel_withdrawn(self.pool, job_id):
                    self.wake_ups.done(job_id)
                return
            started = time.monotonic()
            with structlog.contextvars.bound_contextvars(job_id=str(job_id), attempt=taken.attempt):
                self._attempt(taken, started)

    def _claim(self, job_id: UUID, token: UUID) -> Claim | None:
        give_up = time.monotonic() + CLAIM_PATIENCE_S
        tries = 0

        def statement(connection: Connection[Any]) -> Claim | None:
            nonlocal tries
            tries += 1
            # A claim whose answer was cut off may still be on its way: it is waited for first.
            taken = claims.claim(connection, job_id, token, list(self.queues), self.worker)
            if taken is None and tries > 1:
                return claims.claimed(connection, job_id, token)
            return taken

        try:
            return repeat(
                self.pool,
                statement,
                keep_on=lambda: time.monotonic() < give_up and not self.stopping(),
            )
        except GaveUp:
            log.warning("claim_given_up", job_id=str(job_id))
            return None
        except psycopg.IntegrityError as error:
            # A later release's version, of a tier whose first call it does not name as this one.
            log.error("claim_refused", job_id=str(job_id), error=type(error).__name__)
            return None

    def _attempt(self, taken: Claim, started: float) -> None:
        try:
            feature = self._feature(taken.feature_version_id)
        except UnreadableFeature as error:
            self._give_back(taken, error)
            return
        tier = feature.tiers[taken.tier_index]
        self.leases.until(taken.token, _most_s(feature, tier))
        trace = Trace() if taken.draft else None
        book = CallBook(self.pool, taken, tier, self.admission, keep_on=self._keep_on, trace=trace)
        try:
            outcome, ended = self._answer(book, feature, tier, taken, started)
            outcome, route = self._led(feature, taken, outcome)
            transition = settle(
                self.pool,
                taken,
                feature,
                route,
                outcome,
                ended if trace is None else replace(ended, trace=trace.calls),
                book.unsettled,
                keep_on=self._keep_on,
            )
        except GaveUp:
            log.warning("attempt_left", reason="the database stayed away until the stop")
            return
        if transition is None:
            return
        log.info(
            "attempt_ended",
            tier=tier.name,
            verdict=str(ended.verdict),
            status=str(transition.job.status),
            latency_s=round(ended.latency_s, 4),
        )
        if transition.terminal:
            self.wake_ups.done(taken.job_id)
        else:
            self.wake_ups.ready()

    def _give_back(self, taken: Claim, error: UnreadableFeature) -> None:
        """Leave the job to a worker of the release that its feature version is of."""
        version_id = taken.feature_version_id
        if self._unreadable.get(version_id) is None:
            self._unreadable.keep(version_id, True)
            log.error("feature_version_unreadable", version_id=version_id, reason=error.message)
        try:
            repeat(
                self.pool,
                lambda connection: give_back(connection, taken.job_id, taken.token, GIVEN_BACK_S),
                keep_on=self._keep_on,
            )
        except GaveUp:
            log.warning("attempt_left", reason="the database stayed away until the stop")

    def _answer(
        self, book: CallBook, feature: Feature, tier: Tier, taken: Claim, started: float
    ) -> tuple[Outcome, Ended]:
        earlier = taken.earlier
        prior = None
        if earlier is not None:
            prior = PriorFailure(earlier.tier, earlier.verdict, earlier.reason, earlier.text)
        if taken.shadow and taken.input is None:
            reason = "what it was to answer once more was removed"
            return FeatureFailed(reason), Ended(Verdict.FEATURE_ERROR, reason, 0.0)
        if routes(feature, tier) and not taken.shadow:
            doubted = self._doubted(feature, tier, taken, started)
            if doubted is not None and self._blocked(feature, taken) is None:
                return doubted  # else the first tier is the only one to ask
        try:
            if tier.is_micro:
                answered = self._micros.answer(book, feature, taken.input, self._keep_on)
            else:
                answered = self._answering.answer(book, feature, tier, taken.input, prior)
            weighed = None
            if weighs(feature, tier, answered) and not taken.shadow:
                answered, weighed = self._calibrations.weigh(
                    answered,
                    feature,
                    tier,
                    taken.input,
                    book.answerers,
                    taken.job_id,
                    self._keep_on,
                )
        except NotTrained as error:
            return self._untrained(feature, taken, str(error), started)
        except CallFailed as failure:
            wait_s = failure.retry_after_s
            if wait_s is None:
                wait_s = backoff_s(
                    taken.attempt, self.settings.retry_base_s, self.settings.retry_max_s
                )
            return (
                ProviderFailed(
                    failure.verdict, failure.reason, failure.retry, book.maybe_billed, wait_s
                ),
                Ended(failure.verdict, failure.reason, time.monotonic() - started),
            )
        except RuleBroken as broken:
            return (
                FeatureFailed(broken.message),
                Ended(Verdict.FEATURE_ERROR, broken.message, time.monotonic() - started),
            )
        except GaveUp:
            raise
        except Exception as error:
            kind = type(error).__name__
            log.error("attempt_crashed", error=kind, at=frames_of(error))
            reason = f"internal error ({kind})"
            return (
                ProviderFailed(
                    Verdict.PROVIDER_ERROR,
                    reason,
                    maybe_billed=book.maybe_billed,
                    wait_s=self.settings.retry_base_s,
                ),
                Ended(Verdict.PROVIDER_ERROR, reason, time.monotonic() - started),
            )
        checked = answered.checked
        ended = Ended(
            verdict=checked.verdict,
            reason=checked.reason,
            latency_s=time.monotonic() - started,
            model=answered.model,
            text=answered.text,
            output=checked.output,
            understood=checked.verdict in UNDERSTOOD and answered.failed_step is None,
            repaired=checked.repaired,
            confidence=answered.confidence,
            weighed=None if taken.draft else weighed,
        )
        if checked.verdict is Verdict.PASSED:
            return Passed(), ended
        blocked = self._blocked(feature, taken)
        reason = checked.reason or ""
        return CheckFailed(checked.verdict, reason, ended.understood, blocked), ended

    def _led(self, feature: Feature, taken: Claim, outcome: Outcome) -> tuple[Outcome, Route]:
        """The outcome of an attempt with the later tiers that are worth asking after it."""
        route = self._route(feature)
        if not isinstance(outcome, CheckFailed | ProviderFailed):
            return outcome, route
        later = self._cascade.steps(feature, taken)
        left_out = [step.left_out for _, step in later if step.left_out is not None]
        if not left_out:
            return outcome, route
        asked = {index for index, step in later if step.left_out is None}
        tiers = tuple(i for i in route.tiers if i <= taken.tier_index or i in asked)
        told = "; ".join(left_out)
        if asked:
            outcome = replace(outcome, reason=f"{outcome.reason}; left out: {told}")
        elif isinstance(outcome, CheckFailed) and outcome.blocked is None:
            outcome = replace(outcome, blocked=Blocked(Verdict.LATENCY, told))
        return outcome, replace(route, tiers=tiers)

    def _blocked(self, feature: Feature, taken: Claim) -> Blocked | None:
        """Why the job may not go to the tier that comes next; None: it may, or there is none."""
        if self._route(feature).after(taken.tier_index) is None:
            return None
        if taken.first_tier_plan is not None:
            return Blocked(Verdict.PLAN, no_later_tier(taken.first_tier_plan))
        return budgets.blocked(self.pool, taken, self._keep_on)

    def _doubted(
        self, feature: Feature, tier: Tier, taken: Claim, started: float
    ) -> tuple[Outcome, Ended] | None:
        """How the attempt ends where the tier would likely fail; None: it is asked."""
        assert feature.complexity is not None, "see routes"
        expected = self._routers.prediction(feature, tier, taken.input, self._keep_on)
        most = feature.complexity.max_risk
        if expected.risk <= most:
            return None
        reason = (
            f"the {expected.by} expect it to fail"
            if expected.by == "rules"
            else f"{expected.by} expects it to fail"
        ) + f" at a risk of {expected.risk:.2f}, and {most:g} is allowed"
        routing = {
            "policy": "complexity",
            "choice": feature.allowed_tiers()[1].name,
            "reason": reason,
            "signals": {**expected.signals, "risk": expected.risk, "by": expected.by},
            "threshold": most,
        }
        latency_s = time.monotonic() - started
        ended = Ended(Verdict.TOO_COMPLEX, reason, latency_s, routing=routing)
        return CheckFailed(Verdict.TOO_COMPLEX, reason, understood=False), ended

    def _untrained(
        self, feature: Feature, taken: Claim, reason: str, started: float
    ) -> tuple[Outcome, Ended]:
        """How an attempt of a micro tier ends that has nothing to answer with."""
        after = self._route(feature).after(taken.tier_index)
        routing = None
        if after is not None:
            routing = {"policy": "micro", "choice": feature.tiers[after].name, "reason": reason}
        verdict = Verdict.LOW_CONFIDENCE
        ended = Ended(verdict, reason, time.monotonic() - started, routing=routing)
        blocked = self._blocked(feature, taken)
        return CheckFailed(verdict, reason, understood=False, blocked=blocked), ended

    def _feature(self, version_id: int) -> Feature:
        known = self._features.get(version_id)
        if known is None:
            known = repeat(
                self.pool,
                lambda connection: load_version(connection, version_id),
                keep_on=self._keep_on,
            )
            self._features.keep(version_id, known)
        return known

    def _route(self, feature: Feature) -> Route:
        return Route(
            tiers=tuple(feature.tiers.index(tier) for tier in feature.allowed_tiers()),
            on_blocked=feature.on_blocked,
            retries=self.settings.retries,
            hold_s=self.settings.hold_s,
            outage_s=self.settings.outage_s,
        )

    def _keep_on(self) -> bool:
        return not self.stopping()


def _most_s(feature: Feature, tier: Tier) -> float:
    """The longest that an attempt may honestly take."""
    confidence = feature.confidence_of(tier)
    asked = 2 if tier.reask else 1
    if tier.join_steps:
        calls = 0
    elif confidence is not None:
        calls = (confidence.samples or 2) + confidence.verify
    else:
        calls = asked
    calls += asked * len(tier.steps)
    waits_s = MOST_WAIT_S if calls > 1 else 0.0
    return calls * len(tier.models) * tier.timeout_s + waits_s + SLACK_S
