"""Which tier answers a job, as a table: each thing that decides, and those that meet."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from tests.support.scenes.bench import Bench
from tierline.base.ids import new_id
from tierline.checks import Checked
from tierline.features.parse import parse_feature
from tierline.routing.before_call import Skip
from tierline.routing.later_tiers import TierStats
from tierline.rules.jobs import JobState, Outcome, ProviderFailed, Status, next_state
from tierline.rules.verdicts import Verdict
from tierline.services.calls.answer import Answered
from tierline.services.calls.attempt import Attempt
from tierline.services.jobs.running.attempt_end import answered_with, skipped
from tierline.services.steering.tier_path import TierPath
from tierline.storage.evidence.outcomes import AnswerOutcome
from tierline.storage.jobs.claims import Claim, FirstCall
from tierline.storage.money.budgets import Holder, set_budget
from tierline.storage.money.reservations import CallId, reserve, settle

FEATURE = """
feature: path-{number}
instructions: Name the kind.
input: {{type: object, required: [text], properties: {{text: {{type: string}}}}}}
output:
  type: object
  required: [kind]
  properties: {{kind: {{type: string, enum: [billing, login]}}}}
{more}
tiers:
{tiers}
"""
MICRO = "  - {name: micro, models: [micro:all-MiniLM-L6-v2]}\n"
SLM = "  - {name: slm, models: [openai:small], max_tokens: 50, timeout_s: 5}\n"
MID = "  - {name: mid, models: [openai:mid], max_tokens: 50, timeout_s: 5}\n"
FRONTIER = "  - {name: frontier, models: [openai:large], max_tokens: 50, timeout_s: 5}\n"
STRICT = FRONTIER.replace(
    "timeout_s: 5", "timeout_s: 5, confidence: {signal: agreement, samples: 2, threshold: 0.9}"
)
JOINED = """
  - name: slm
    models: [openai:small]
    max_tokens: 50
    timeout_s: 5
    join_steps: true
    steps:
      - name: kind
        instructions: Name the kind.
        max_tokens: 10
        output:
          type: object
          required: [kind]
          properties: {kind: {type: string, enum: [billing, login]}}
"""
FIXED = "confidence: {signal: agreement, samples: 2, threshold: 0.9}\n"
CALIBRATED = "confidence: {signal: agreement, samples: 2, threshold: calibrated}\n"
COMPLEX = "complexity: {max_risk: 0.5, longest: 5}\n"  # any input of the table is longer
TARGET = "latency_target_ms: 2000\n"
SHADOWED = "shadow: {share: 1}\n"

SLOW = TierStats("frontier", 100, 0.9, 0.01, 9.0)
DEAR_MID = TierStats("mid", 100, 0.1, 0.009, 1.0)
QUICK = TierStats("frontier", 100, 0.9, 0.01, 1.0)
PLAN = {"first_tier_plan": "free"}


@dataclass(frozen=True)
class Case:
    """What there is, and what becomes of the job."""

    says: str
    becomes: str  # the tier that is next, or how the job ends
    verdict: str = "passed"
    more: str = ""
    tiers: str = SLM + FRONTIER
    claim: dict[str, Any] = field(default_factory=dict)
    stats: tuple[TierStats, ...] = ()
    budget_spent: bool = False
    confidence: float = 1.0
    asked: bool = True
    failed_step: str | None = None
    outcome_kept: bool = False


LOW: dict[str, Any] = {"verdict": "low_confidence", "more": FIXED, "confidence": 0.3}
HARD: dict[str, Any] = {"verdict": "too_complex", "more": COMPLEX, "asked": False}
UNTRAINED: dict[str, Any] = {
    **{"verdict": "low_confidence", "tiers": MICRO + SLM + FRONTIER, "more": SHADOWED},
    "asked": False,
}
CASES = [
    Case("an answer that passes is served", "completed"),
    # after an answer
    Case("an answer that is not sure enough escalates", "frontier", **LOW),
    Case("one that is sure enough is served", "completed", more=FIXED, confidence=0.9),
    Case(
        "on the last tier it fails the job",
        *("failed: checks_failed", "low_confidence"),
        tiers=SLM + STRICT,
        claim={"tier_index": 1},
        confidence=0.3,
    ),
    Case(
        "where one tier is allowed it fails the job",
        *("failed: checks_failed", "low_confidence"),
        more="routing: slm_only\n",
        tiers=STRICT,
        confidence=0.3,
    ),
    Case(
        "a calibrated confidence serves nothing without a calibration",
        *("frontier", "low_confidence"),
        more=CALIBRATED,
        outcome_kept=True,
    ),
    Case(
        "of a draft no outcome is kept",
        *("frontier", "low_confidence"),
        more=CALIBRATED,
        claim={"draft": True},
    ),
    Case(
        "a shadow is neither gated by a calibration nor an outcome",
        "completed",
        more=CALIBRATED,
        claim={"shadow": True},
    ),
    Case(
        "nor is a judge's job",
        "completed",
        more=CALIBRATED,
        claim={"shadow": True, "judges": True},
    ),
    Case(
        "a shadowed first tier's answer is an outcome",
        "completed",
        more=SHADOWED,
        outcome_kept=True,
    ),
    Case(
        "a later tier's is none",
        "completed",
        more=SHADOWED,
        claim={"tier_index": 1},
    ),
    Case(
        "joined steps have no confidence, and are an outcome",
        "completed",
        more=SHADOWED,
        tiers=JOINED + FRONTIER,
        confidence=0.0,
        outcome_kept=True,
    ),
    Case(
        "a step's answer is no outcome",
        "completed",
        more=SHADOWED,
        tiers=JOINED + FRONTIER,
        failed_step="kind",
    ),
    # which later tiers
    Case("a plan holds the job on its first tier", "failed: plan", claim=PLAN, **LOW),
    Case("a spent budget does", "failed: budget", budget_spent=True, **LOW),
    Case(
        "a latency target does, if the next tier is too slow",
        "failed: latency",
        stats=(SLOW,),
        **{**LOW, "more": FIXED + TARGET},
    ),
    Case(
        "a quick next tier is asked",
        "frontier",
        stats=(QUICK,),
        **{**LOW, "more": FIXED + TARGET},
    ),
    Case(
        "the target counts from the submission",
        "failed: latency",
        stats=(QUICK,),
        claim={"age_s": 1.5},
        **{**LOW, "more": FIXED + TARGET},
    ),
    Case(
        "a plan goes before a latency target",
        "failed: plan",
        claim=PLAN,
        stats=(SLOW,),
        **{**LOW, "more": FIXED + TARGET},
    ),
    Case(
        "a tier that costs more than it spares is skipped",
        "frontier",
        tiers=SLM + MID + FRONTIER,
        stats=(DEAR_MID, QUICK),
        **LOW,
    ),
    Case("a tier of unknown cost is not", "mid", tiers=SLM + MID + FRONTIER, **LOW),
    # before a call: the complexity router
    Case("what will likely fail goes to the next tier at once", "frontier", **HARD),
    Case(
        "past a tier that costs more than it spares",
        "frontier",
        tiers=SLM + MID + FRONTIER,
        stats=(DEAR_MID, QUICK),
        **HARD,
    ),
    Case("it is asked if a plan forbids the next tier", "completed", more=COMPLEX, claim=PLAN),
    Case("it is asked if a budget does", "completed", more=COMPLEX, budget_spent=True),
    Case(
        "it is asked if the latency target does", "completed", more=COMPLEX + TARGET, stats=(SLOW,)
    ),
    Case("a shadow is asked", "completed", more=COMPLEX, claim={"shadow": True}),
    Case("a later tier is asked", "completed", more=COMPLEX, claim={"tier_index": 1}),
    # before a call: the micro model
    Case("an untrained micro tier passes its jobs on", "slm", **UNTRAINED),
    Case("also those of a draft", "slm", claim={"draft": True}, **UNTRAINED),
    Case("it cannot be asked, whatever the plan", "failed: plan", claim=PLAN, **UNTRAINED),
    Case("nor whatever the budget", "failed: budget", budget_spent=True, **UNTRAINED),
    # before a call: the plan
    Case(
        "a plan refuses a job that is on a later tier",
        *("failed: plan", "plan"),
        claim={"tier_index": 1, **PLAN},
        asked=False,
    ),
    Case(
        "also a shadow",
        *("failed: plan", "plan"),
        claim={"tier_index": 1, "shadow": True, **PLAN},
        asked=False,
    ),
]


@pytest.fixture(autouse=True)
def no_budgets(bench: Bench) -> Iterator[None]:
    yield
    with bench.pool.connection() as connection:
        connection.execute("TRUNCATE reservations, budget_periods, budgets")


def attempt_of(bench: Bench, case: Case) -> Attempt:
    text = FEATURE.format(number=next(bench.numbers), more=case.more, tiers=case.tiers)
    values = {
        **{"job_id": new_id(), "token": uuid4(), "account_id": bench.account, "attempt": 1},
        **{"feature_version_id": 1, "tier_index": 0, "queue": "slm", "failures": 0, "losses": 0},
        **{"maybe_billed": 0, "held_s": 0.0, "backfill": False, "cancel_requested": False},
        **{"remaining_s": None, "input": {"text": "my invoice"}, "earlier": None, "hooked": False},
        **{"first_call": FirstCall("openai:small", "answer"), "draft": False, "age_s": 0.0},
        **{"budgeted": case.budget_spent, "first_tier_plan": None, "user_key": None},
        **{"session_key": None, "shadow": False, "judges": False},
    }
    return Attempt(Claim(**{**values, **case.claim}), parse_feature(text))


def path_of(bench: Bench, case: Case) -> TierPath:
    executor = bench.executor
    path = TierPath(bench.pool, executor.settings, executor.embedding, lambda: True)
    path.history.figures = {(1, one.name): one for one in case.stats}
    path.history.due_s = float("inf")
    if case.budget_spent:
        spend_budget(bench)
    return path


def spend_budget(bench: Bench) -> None:
    limit, call = Decimal("0.01"), CallId(new_id(), 1, 1)
    with bench.pool.connection() as connection:
        set_budget(connection, bench.account, "account", "", "day", limit, hard=False)
        holder = Holder(bench.account, None, None)
        assert reserve(connection, holder, call, limit, first_tier=True) is None
        settle(connection, call, limit)


def asked(
    path: TierPath, attempt: Attempt, case: Case
) -> tuple[bool, Outcome, Verdict, AnswerOutcome | None]:
    """Whether the tier is asked, how the attempt ends, and what is kept of its answer."""
    before = path.before_call(attempt)
    if isinstance(before, Skip):
        end = skipped(attempt, before)
        return False, end.outcome, end.ended.verdict, None
    given = Answered(
        text='{"kind": "billing"}',
        checked=Checked(Verdict.PASSED, None, {"kind": "billing"}, False, ()),
        model="small",
        confidence=case.confidence,
        failed_step=case.failed_step,
    )
    answered, outcome = path.after_answer(attempt, given, frozenset({"openai:small"}))
    end = answered_with(attempt, answered, outcome)
    return True, end.outcome, end.ended.verdict, outcome


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.says)
def test_what_becomes_of_a_job(bench: Bench, case: Case) -> None:
    attempt, path = attempt_of(bench, case), path_of(bench, case)
    was_asked, outcome, verdict, kept = asked(path, attempt, case)
    route = path.later_tiers(attempt, outcome)
    after = next_state(JobState(Status.IN_PROGRESS, attempt.claim.tier_index), outcome, route)
    if after.job.status is Status.QUEUED:
        becomes = attempt.feature.tiers[after.job.tier_index].name
    elif after.error is not None:
        becomes = f"{after.job.status}: {after.error.code}"
    else:
        becomes = str(after.job.status)
    assert (was_asked, str(verdict), becomes, kept is not None) == (
        *(case.asked, case.verdict, case.becomes, case.outcome_kept),
    )


def test_the_decision_log_names_the_tier_that_is_asked_in_its_place(bench: Bench) -> None:
    case = Case("", "", tiers=SLM + MID + FRONTIER, more=COMPLEX, stats=(DEAR_MID, QUICK))
    skip = path_of(bench, case).before_call(attempt_of(bench, case))
    assert isinstance(skip, Skip)
    assert skip.decision is not None
    assert (skip.decision.policy, skip.decision.choice) == ("complexity", "frontier")


def test_each_tier_that_is_left_out_has_its_reason(bench: Bench) -> None:
    case = Case("", "", tiers=SLM + MID + FRONTIER, stats=(DEAR_MID, QUICK), **LOW)
    attempt, path = attempt_of(bench, case), path_of(bench, case)
    route = path.later_tiers(attempt, asked(path, attempt, case)[1])
    assert route.tiers == (2,)
    assert route.skipped == ("mid costs 0.009 USD and saves 0.001 on average: it passes 10%",)


def test_after_a_provider_failure_no_budget_is_read(bench: Bench) -> None:
    """The next tier's own call is refused by it."""
    case = Case("", "", budget_spent=True)
    attempt, path = attempt_of(bench, case), path_of(bench, case)
    failed = ProviderFailed(Verdict.PROVIDER_ERROR, "503")
    assert path.later_tiers(attempt, failed).blocked is None
