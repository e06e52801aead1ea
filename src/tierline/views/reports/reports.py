"""The JSON of a feature's costs, quality and stage."""

from decimal import Context, Decimal
from typing import Annotated
from uuid import UUID

from pydantic import BeforeValidator, Field

from tierline.views.evidence.watching import PromiseWatch
from tierline.views.view import AnyJson, AnyObject, Page, Time, UnknownCostCalls, Usd, View

PLACES = Decimal("1e-12")  # of a calculated amount
EXACT = Context(prec=100)  # digits: whatever the volume


class ReportedTier(View):
    """A tier's share of a feature's work."""

    tier: str
    attempts: int
    jobs: int = Field(description="jobs that the tier was asked about")
    served: int
    cost_usd: Usd
    unknown_cost_calls: UnknownCostCalls
    latency_p50_s: float | None


class Escalation(View):
    """How many jobs left the first tier with one verdict."""

    verdict: str
    jobs: int
    share: float


class PurposeCost(View):
    """What calls of one purpose cost."""

    purpose: str
    calls: int
    cost_usd: Usd
    unknown_cost_calls: UnknownCostCalls


class KeptQuality(View):
    """How much of the compared answers differs from its reference."""

    compared: int = Field(description="outcomes that represent all")
    reference_models: list[str]
    served: int = Field(description="of those, by the first tier")
    served_differ: int = Field(description="of those, different from their reference")
    escalated_differ: int
    judge: AnyObject | None = Field(
        description="who decides what differs, and the share it misses; null: no judge"
    )


class Report(View):
    """What a feature's routing saved, and the quality it kept."""

    feature: str
    since: Time = Field(serialization_alias="from")
    to: Time
    jobs: int
    completed: int
    unverified: int
    failed: int
    tiers: list[ReportedTier]
    escalations: list[Escalation]
    cost_usd: Usd
    unknown_cost_calls: UnknownCostCalls
    shadow_cost_usd: Usd
    judge_cost_usd: Usd
    costs_by_purpose: list[PurposeCost] = Field(
        description="every call's cost by purpose: shadow and judge are not in cost_usd"
    )
    last_tier: str
    last_tier_alone_usd: Usd | None = Field(
        description="at its cost where it was asked; null: unknown"
    )
    saved_usd: Usd | None
    saved_share: float | None
    quality: KeptQuality
    watch: PromiseWatch | None = Field(
        description="what would notice that the feature's promise broke; null: none is in force"
    )


class Outcome(View):
    """An answer of the first tier, compared with its reference."""

    job_id: UUID
    input: AnyJson
    models: str
    reference_by: str | None
    served: bool
    differs: bool
    score: float | None
    signals: AnyObject
    inclusion: float = Field(description="the probability with which it was sampled")
    first_usd: Usd | None = Field(description="the cost of the first tier's answer")
    later_usd: Usd | None = Field(description="the cost of the later tier's answer")


class OutcomePage(Page[Outcome]):
    """A page of compared outcomes."""


class TierEconomics(View):
    """What an attempt on a tier uses and costs."""

    tier: str
    model: str
    attempts: int = Field(description="with a call, without shadows")
    known_attempts: int = Field(description="attempts with a known cost")
    unknown_cost_attempts: int
    cost_usd: Usd | None = Field(description="mean per attempt")
    cost_deviation_usd: Usd | None = Field(description="standard deviation")
    input_tokens: float | None = Field(description="mean, without those read from a cache")
    cached_input_tokens: float | None
    output_tokens: float | None = Field(description="mean, with reasoning tokens")
    flex_price: AnyObject | None = Field(description="at the slower service tier flex")
    prompt_characters: int = Field(description="without an input")


class UpkeepCost(View):
    """The cost of comparing answers, for one purpose."""

    purpose: str
    jobs: int
    calls: int
    cost_usd: Usd
    unknown_cost_calls: UnknownCostCalls


def _to_places(value: Decimal) -> Decimal:
    return value.quantize(PLACES, context=EXACT)


def _to_thousandths(value: Decimal | None) -> Decimal | None:
    return None if value is None else round(value, 3)


Amount = Annotated[Usd, BeforeValidator(_to_places)]
RequestsPerDay = Annotated[Usd | None, BeforeValidator(_to_thousandths)]


class CostEstimate(View):
    """An amount and its 95% interval."""

    value: Amount
    low: Amount
    high: Amount


class WayOfRunning(View):
    """The cost of one way to run a feature, at the volume."""

    name: str
    usd_per_request: CostEstimate = Field(validation_alias="per_request")
    usd_per_day: CostEstimate = Field(validation_alias="per_day")
    usd_per_month: CostEstimate = Field(validation_alias="per_month")
    usd_per_peak_hour: CostEstimate = Field(validation_alias="at_peak_per_hour")
    replicas: int | None = Field(description="of a server of your own; null: there is none")
    share_of_revenue: CostEstimate | None = Field(
        validation_alias="of_revenue", description="null: no revenue was given"
    )
    over_15_percent: bool | None = Field(
        validation_alias="too_expensive", description="of the revenue; null: none was given"
    )


class BreakEvenVolume(View):
    """The number of requests a day from which `kept` costs no more than `paid`."""

    kept: str = Field(description="the way with a server of your own")
    paid: str = Field(description="the way that is paid per request")
    requests_per_day: RequestsPerDay = Field(
        validation_alias="per_day", description="null: at no volume"
    )


class Saving(View):
    """One thing to do, and what it saves."""

    name: str
    saves_usd_per_month: CostEstimate = Field(validation_alias="saves_per_month")


class WaysOfRunning(View):
    """The cost of each way to run a feature, at a volume."""

    requests_per_day: Usd
    peak_per_s: Usd
    notes: list[str] = Field(description="what was measured, and what is assumed")
    scenarios: list[WayOfRunning]
    break_evens: list[BreakEvenVolume]
    levers: list[Saving] = Field(description="the three that save most")


class Economics(View):
    """What a feature's jobs use and cost, as a basis for calculations."""

    feature: str
    since: Time = Field(serialization_alias="from")
    to: Time
    every: int = Field(description="one of this many jobs was sampled")
    jobs: int = Field(description="ended jobs of the current version")
    began_before_last: int = Field(description="of those, begun before the last tier")
    escalated: int
    known_jobs: int = Field(description="jobs with a known cost")
    cost_usd: Usd | None = Field(description="mean per job")
    cost_deviation_usd: Usd | None = Field(description="standard deviation")
    upkeep: list[UpkeepCost] = Field(
        description="the total cost of comparing answers, by purpose: shadow, judge"
    )
    tiers: list[TierEconomics]
    costs: WaysOfRunning | None = Field(description="null: no volume was given")


class MonthOfFeature(View):
    """What a feature cost and saved this month."""

    since: Time = Field(serialization_alias="from")
    jobs: int
    cost_usd: Usd
    unknown_cost_calls: UnknownCostCalls
    last_tier_alone_usd: Usd | None
    saved_usd: Usd | None


class FeatureStatus(View):
    """A feature's stage and its next step."""

    feature: str
    feature_version: int
    stages: list[str] = Field(description="all stages, in order")
    stage: str = Field(description="the current stage")
    meaning: str = Field(description="what the stage means here")
    told: str = Field(deprecated=True, description="meaning as version 0.2 named it")
    labels: int = Field(description="jobs with a known right output")
    labels_wanted: int
    dataset_rows: int = Field(description="of the newest dataset of this task")
    verdict: str | None = Field(description="of the newest valid evaluation")
    stale: str | None = Field(description="why the newest evaluation is not valid")
    rung: str | None = Field(description="of the promotion in force")
    share: float | None = Field(description="the share of the jobs that it takes")
    drifted: bool
    watch: PromiseWatch | None = Field(
        description="what would notice that the feature's promise broke; null: none is in force"
    )
    month: MonthOfFeature
    next: str = Field(description="a command")
    why: str = Field(description="the purpose of the next step")
